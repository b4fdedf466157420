"""Init: a folder to begin a production in, with both files explained inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from farm.option_groups import JsonOption

SCHEMA_VERSION = 1
FOLDERS = ("actors", "caches", "footage")

SETTINGS = """\
# A production: one folder, its actors, and how their cameras see them.
# Paths are relative to this file. `farm check` says what is missing or wrong.

name  = {name}
fps   = {fps}    # of all footage and caches; exact rates too: "30000/1001"
units = {units}    # of template and caches: mm, cm, dm, m, in or ft
store = "store"    # everything that the farm computes is written below this folder

[actors.hero]                               # rename hero; letters, digits, _ - and . only
template = "actors/hero/template.obj"       # the mesh at rest; its vertex order holds for every cache
# animated = "actors/hero/animated.txt"     # optional: vertices that count in errors, one index a line

[actors.hero.cameras.center]
crop = [120, 160, 960, 1280]                # x, y, width, height in source pixels: the face and some room
                                            # around it, 3 wide to 4 high (it becomes 240 x 320)
# [actors.hero.cameras.left]                # further cameras, each with a column in shots.csv
# crop = [120, 160, 960, 1280]
"""

SHOTS = """\
shot,actor,category,split,cache,center
# A row a shot. Rows that begin with # are passed over; these are examples:
# hero_rom,hero,rom,train,caches/hero_rom.pc2,footage/hero_rom.mp4
# hero_pangram_01,hero,pangrams,train,caches/hero_pangram_01.pc2,footage/hero_pangram_01.mp4
# hero_scene_01,hero,in-character,validation,caches/hero_scene_01.abc,footage/hero_scene_01.mov
# hero_line_0001,hero,,,,footage/hero_line_0001.%04d.png
# category: rom, expressions, pangrams or in-character. split: train, validation, or empty for bulk footage.
"""

NEXT = """\
{folder} is ready. Next:
  1. name your actor in production.toml, and set the crop of each camera
  2. put the template under actors/, tracked point caches under caches/, videos under footage/
  3. write a row per shot into shots.csv (any spreadsheet will do)
  4. cd {folder} && farm check
"""


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder, made if need be.", show_default=False)
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The production's name; else the folder's.", show_default=False),
    ] = None,
    fps: Annotated[str, typer.Option(help="Frames per second: 30, 25, 30000/1001, 23.976.")] = "30",
    units: Annotated[str, typer.Option(help="Units of meshes: mm, cm, dm, m, in or ft.")] = "cm",
    as_json: JsonOption = False,
) -> None:
    """Begin a production: write a commented production.toml and shots.csv, and folders for the data.

    Nothing that exists is overwritten.

    Examples:

    farm init quantum

    farm init quantum --name "Quantum" --fps 30000/1001 --units mm
    """
    from facecap_core.errors import Fault, ProductionError
    from facecap_core.files import write_text_atomically
    from facecap_core.plain_path import plain_path
    from facecap_core.productions.production import SETTINGS_FILE, SHOTS_FILE
    from facecap_core.productions.production_toml import parse_settings

    folder = plain_path(directory)
    settings_path, shots_path = folder / SETTINGS_FILE, folder / SHOTS_FILE
    faults = [
        Fault("exists already", "choose another folder, or edit this file", str(path))
        for path in (settings_path, shots_path)
        if path.exists()
    ]
    settings = SETTINGS.format(
        name=_quoted(name or folder.name), fps=_quoted(fps), units=_quoted(units)
    )
    faults += [
        Fault(fault.message, fault.remedy) for fault in parse_settings(settings, settings_path)[2]
    ]
    if faults:
        raise ProductionError(faults)
    for part in FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_text_atomically(shots_path, SHOTS)
    write_text_atomically(settings_path, settings)
    if as_json:
        answer = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "settings": str(settings_path),
            "shots": str(shots_path),
        }
        typer.echo(json.dumps(answer))
    else:
        typer.echo(NEXT.format(folder=directory), nl=False)


def _quoted(text: str) -> str:
    # A JSON string is a TOML string.
    return json.dumps(text, ensure_ascii=False)
