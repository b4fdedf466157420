"""Export: solved shots as files that Maya, Blender, Houdini or Unreal open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farm.context import ProductionOption, find_and_load
from farm.exit_codes import JOB_FAILED
from farm.option_groups import (
    AllOfActorOption,
    CorrectedOption,
    JsonOption,
    ShotListOption,
    SolvedShotsArgument,
)

if TYPE_CHECKING:
    from fractions import Fraction


SCHEMA_VERSION = 1


def export(
    shots: SolvedShotsArgument = None,
    formats: Annotated[
        str,
        typer.Option("--format", "-f", help="usd, abc, pc2, mdd, npy, obj; several with commas."),
    ] = "usd",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Else exports/ of the production.",
            show_default=False,
        ),
    ] = None,
    listed: ShotListOption = None,
    actor: AllOfActorOption = None,
    start_frame: Annotated[
        float | None,
        typer.Option(help="Number of the first frame; else the store's.", show_default=False),
    ] = None,
    start_timecode: Annotated[
        str | None,
        typer.Option(metavar="HH:MM:SS:FF", help="The same as timecode.", show_default=False),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="mm, cm, dm, m, in or ft; else the production's.", show_default=False),
    ] = None,
    up_axis: Annotated[str, typer.Option(help="y, as the production has it, or z.")] = "y",
    corrected: CorrectedOption = True,
    production: ProductionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write solved shots as animation files: one mesh, its vertex order and texture coordinates, exact rate.

    usd and abc hold the mesh and its motion. pc2, mdd and npy hold points only, for a mesh that the program
    has already; obj is a folder with a mesh a frame. Beside them SHOT.json tells rate, first frame, units,
    model and versions. A file appears whole or not at all; one of the same name is replaced.

    Examples:

    farm export ada_line_0042

    farm export 'ada_line_00*' --format abc,pc2 --out /mnt/animation --start-frame 1001

    farm export --actor ada --format usd --units m --up-axis z

    farm export --shots bulk.txt --format abc --start-timecode 01:00:00:00
    """
    from facecap_core.errors import Cancelled, FacecapError
    from facecap_core.exports.export import ExportOptions, export_shot
    from farm.bar import bar
    from farm.shot_choice import solved_shots

    found = find_and_load(production)
    options = ExportOptions(
        formats=_formats(formats),
        units=_one_of(units, "--units", _units()) if units else None,
        up_axis=_one_of(up_axis, "--up-axis", ["y", "z"]),
        start_frame=_start(start_frame, start_timecode, found.fps),
        corrected=corrected,
    )
    names = solved_shots(found, shots or [], listed, actor)
    folder = (out or found.folder / "exports").absolute()
    results, failed = [], {}
    for name in names:
        try:
            with bar() as on_progress:
                results.append(export_shot(found, name, folder, options, on_progress=on_progress))
        except Cancelled:
            raise
        except FacecapError as error:
            if len(names) == 1:
                raise
            failed[name] = str(error)
            typer.echo(f"{name}: {error}", err=True)
            continue
        if not as_json:
            files = ", ".join(file.name for file in results[-1].files)
            typer.echo(f"{name}: {results[-1].frames} frames, {files}")
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
                }
                for result in results
            ],
            "failed": failed,
        }
        typer.echo(json.dumps(told))
    else:
        typer.echo(str(folder))
        if failed:
            typer.echo(f"{len(results)} of {len(names)} shots exported", err=True)
    if failed:
        raise typer.Exit(JOB_FAILED)


def _units() -> list[str]:
    from facecap_core.productions.production import MM_PER_UNIT

    return list(MM_PER_UNIT)


def _formats(text: str) -> tuple[str, ...]:
    from facecap_core.exports.formats import FORMATS

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    return tuple(dict.fromkeys(_one_of(name, "--format", list(FORMATS)) for name in names or [""]))


def _one_of(value: str, option: str, known: list[str]) -> str:
    from facecap_core.errors import ConfigError

    if value not in known:
        raise ConfigError(
            f"{option}: {value!r} is not known", remedy=f"choose of {', '.join(known)}"
        )
    return value


def _start(frame: float | None, timecode: str | None, fps: Fraction) -> float | None:
    from facecap_core.errors import ConfigError
    from facecap_core.timecode import frame_of

    if frame is not None and timecode is not None:
        raise ConfigError(
            "--start-frame and --start-timecode say the same thing", remedy="give one of them"
        )
    return frame if timecode is None else float(frame_of(timecode, fps))
