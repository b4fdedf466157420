"""Export: solved shots as files that Maya, Blender, Houdini or Unreal open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import (
    AllOfActorOption,
    Exporting,
    JsonOption,
    ShotListOption,
    SolvedShotsArgument,
    grouped,
)

if TYPE_CHECKING:
    from facecap_core.exports.export import ExportResult
    from facecap_core.progress import OnProgress

SCHEMA_VERSION = 1


@grouped()
def export(
    shots: SolvedShotsArgument = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    *,
    exporting: Exporting,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write solved shots as animation files: one mesh, its vertex order and texture coordinates, exact rate.

    usd and abc hold the mesh and its motion. pc2, mdd and npy hold points only, for a mesh that the program
    has already; obj is a folder with a mesh a frame. Beside them SHOT.json tells rate, first frame, units,
    model and versions. A file appears whole or not at all; one of the same name is replaced, unless it was made
    of the same vertices in the same way. For hundreds of shots: farm submit export.

    Examples:

    farm export ada_line_0042

    farm export 'ada_line_00*' --format abc --out /mnt/abc --start-frame 1001

    farm export --actor ada --format usd --units m --up-axis z

    farm export --shots bulk.txt --format abc --start-timecode 01:00:00:00
    """
    from facecap_core.exports.export import export_shot
    from facecap_core.exports.formats import check_formats
    from farm.each_shot import each_shot
    from farm.output_choice import export_options, folder_of
    from farm.shot_choice import solved_shots

    found = find_and_load(production)
    options = export_options(found, exporting)
    names = solved_shots(found, shots or [], listed, actor)
    folder = folder_of(found, exporting.out, "exports")
    check_formats(options.formats)  # once for all shots

    def work(name: str, on_progress: OnProgress | None) -> ExportResult:
        return export_shot(found, name, folder, options, on_progress=on_progress)

    def tell(result: ExportResult, _: float) -> None:
        if not as_json:
            files = ", ".join(file.name for file in result.files)
            there = ", there already" if result.reused else ""
            typer.echo(f"{result.shot}: {result.frames} frames, {files}{there}")

    done = each_shot(found, names, work, tell)
    if as_json:
        told = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "shots": [
                {
                    "shot": result.shot,
                    "frames": result.frames,
                    "fps": str(result.fps),
                    "start_frame": result.start_frame,
                    "files": [str(file) for file in result.files],
                    "reused": result.reused,
                }
                for result in done.made.values()
            ],
            "failed": done.failed,
            "warnings": done.warnings,
        }
        typer.echo(json.dumps(told))
    else:
        typer.echo(str(folder))
        if done.failed:
            typer.echo(f"{len(done.made)} of {len(names)} shots exported", err=True)
    if done.failed:
        raise typer.Exit(JOB_FAILED)
