"""Shots: the rows of shots.csv, each fault with its line and remedy."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from pydantic import BaseModel, ConfigDict

from facecap_core.errors import Fault
from facecap_core.names import NAME_RULE, did_you_mean, is_name, is_path, shown
from facecap_core.productions.production_toml import SHOT_COLUMNS
from facecap_core.productions.written_text import read_written

Category = Literal["rom", "expressions", "pangrams", "in-character", ""]
Split = Literal["train", "validation", ""]

CATEGORIES: tuple[str, ...] = tuple(word for word in get_args(Category) if word)
SPLITS: tuple[str, ...] = tuple(word for word in get_args(Split) if word)


Cameras = Mapping[str, Sequence[str] | None] | None
"""Each actor's cameras; None where production.toml is too broken to tell, so nothing is checked."""


class Shot(BaseModel):
    """A row of shots.csv; paths are absolute, `line` is where it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    actor: str
    category: Category = ""
    split: Split = ""
    cache: Path | None = None
    footage: dict[str, Path]
    line: int


def read_shots(path: Path, *, folder: Path, cameras: Cameras) -> tuple[list[Shot], list[Fault]]:
    """All usable rows in their order, and everything wrong with the file.

    Relative paths are taken from `folder`. Nothing is raised for what the file says.
    """
    text, faults = _read_text(path)
    if text is None:
        return [], faults
    rows = _rows(text, path, faults)
    header = next(rows, None)
    if header is None:
        remedy = f"begin it with the columns: {', '.join(SHOT_COLUMNS)}, and one for each camera"
        return [], [*faults, Fault("has no columns", remedy, str(path), 1)]
    table = _Table(path, folder, cameras, header[1], header[0])
    shots = [shot for line, cells in rows if (shot := table.shot(line, cells)) is not None]
    return shots, sorted([*faults, *table.faults], key=lambda fault: fault.line or 0)


class _Table:
    """The columns, and the faults found so far in the rows under them."""

    def __init__(
        self,
        path: Path,
        folder: Path,
        cameras: Cameras,
        header: list[str],
        line: int,
    ) -> None:
        self.path, self.folder, self.cameras = path, folder, cameras
        self.faults: list[Fault] = []
        self.first_lines: dict[str, int] = {}
        folded = [cell.casefold() for cell in header]
        self.columns = [
            low if low in SHOT_COLUMNS else cell for low, cell in zip(folded, header, strict=True)
        ]
        listed = list((cameras or {}).values())
        all_known = cameras is not None and None not in listed
        known_cameras = {camera for some in listed for camera in some or ()}
        named = [column for column in self.columns if column]
        self.camera_columns = [column for column in named if column not in SHOT_COLUMNS]
        for column in sorted({column for column in named if named.count(column) > 1}):
            self.fault(line, f"column {shown(column)} stands twice", "remove one of them")
        for column in ("shot", "actor"):
            if column not in named:
                self.fault(line, f"column {column!r} is missing", f"add a column {column!r}")
        for column in self.camera_columns:
            if all_known and column not in known_cameras:
                # A misspelt column is no camera either, so both kinds of name are offered.
                choices = [word for word in SHOT_COLUMNS if word not in named]
                choices += sorted(known_cameras - set(named))
                self.fault(
                    line,
                    f"unknown column {shown(column)}",
                    did_you_mean(column, choices, otherwise="remove it")
                    + f" (a camera needs [actors.NAME.cameras.{column}] in production.toml)",
                )
        if not self.camera_columns:
            remedy = f"add a column named after a camera: {', '.join(sorted(known_cameras))}"
            self.fault(line, "no column holds footage", remedy.rstrip(": "))
        self.usable = not self.faults

    def fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(Fault(message, remedy, str(self.path), line))

    def shot(self, line: int, cells: list[str]) -> Shot | None:
        """The shot of one row, or None when the row has a fault, which is noted."""
        before = len(self.faults)
        if any(
            cell and not column
            for cell, column in zip(cells, self.columns + [""] * len(cells), strict=False)
        ):
            self.fault(line, "a cell stands under no column", "name its column, or clear the cell")
        row = dict.fromkeys(SHOT_COLUMNS, "") | {
            column: cell for column, cell in zip(self.columns, cells, strict=False) if column
        }
        self._check_name(line, row["shot"])
        category = self._word(line, row["category"], "category", CATEGORIES)
        split = self._word(line, row["split"], "split", SPLITS)
        footage = {
            camera: found
            for camera in self.camera_columns
            if (found := self._path(line, row.get(camera, ""), camera)) is not None
        }
        cache = self._path(line, row["cache"], "cache")
        self._check_inputs(line, row, split)
        self._check_actor(line, row["actor"], footage)
        if len(self.faults) > before or not self.usable:
            return None
        return Shot(
            name=row["shot"],
            actor=row["actor"],
            category=cast("Category", category),
            split=cast("Split", split),
            cache=cache,
            footage=footage,
            line=line,
        )

    def _check_name(self, line: int, name: str) -> None:
        if not name:
            if "shot" in self.columns:
                self.fault(line, "the row has no shot name", "name the shot, or remove the row")
        elif not is_name(name):
            self.fault(line, f"{shown(name)} cannot be a shot's name", NAME_RULE)
        elif name in self.first_lines:
            first = self.first_lines[name]
            self.fault(
                line,
                f"shot {name} stands on line {first} already",
                "rename one of them, or take it out",
            )
        else:
            self.first_lines[name] = line

    def _check_inputs(self, line: int, row: Mapping[str, str], split: str) -> None:
        """There is footage, and a cache where a split asks for one."""
        called = f"shot {shown(row['shot'])}" if row["shot"] else "the shot"
        if not any(row.get(camera) for camera in self.camera_columns) and self.camera_columns:
            self.fault(
                line,
                f"{called} has no footage",
                f"put its video under one of: {', '.join(self.camera_columns)}",
            )
        if split and not row["cache"]:
            self.fault(
                line,
                f"{called} is for {split}, but has no cache",
                "name its point cache, or leave split empty",
            )

    def _check_actor(self, line: int, actor: str, footage: Mapping[str, Path]) -> None:
        if not actor:
            if "actor" in self.columns:
                self.fault(line, "the row has no actor", "name the actor of the shot")
            return
        if self.cameras is None:
            return
        if actor not in self.cameras:
            self.fault(
                line,
                f"unknown actor {shown(actor)}",
                did_you_mean(actor, self.cameras, otherwise="add [actors.NAME] to production.toml"),
            )
            return
        own = self.cameras[actor]
        everyone = {camera for listed in self.cameras.values() for camera in listed or ()}
        for camera in footage:
            if own is not None and camera in everyone and camera not in own:
                self.fault(
                    line,
                    f"actor {actor} has no camera {camera}",
                    f"add [actors.{actor}.cameras.{camera}] to production.toml, or clear the cell",
                )

    def _word(self, line: int, cell: str, column: str, words: Sequence[str]) -> str:
        word = cell.casefold()
        if word and word not in words:
            remedy = did_you_mean(word, words)
            if column == "split":
                remedy += " (bulk footage leaves it empty)"
            self.fault(line, f"unknown {column} {shown(cell)}", remedy)
            return ""
        return word

    def _path(self, line: int, cell: str, column: str) -> Path | None:
        if not cell:
            return None
        if not is_path(cell):
            remedy = "write the path anew"
            self.fault(line, f"{column} is not a path: {shown(cell)}", remedy)
            return None
        return self.folder / cell  # an absolute path stays what it is


def _read_text(path: Path) -> tuple[str | None, list[Fault]]:
    if os.path.lexists(path):
        return read_written(path, remedy="save it as CSV UTF-8")
    remedy = f"write one with the columns {','.join(SHOT_COLUMNS)} and one for each camera"
    return None, [Fault("there is no shots.csv", remedy, str(path))]


def _rows(text: str, path: Path, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """(line, trimmed cells) of each row that is neither empty nor a # comment."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            cells = [cell.strip() for cell in cells]
            if start == 1 and cells[:1] and cells[0].casefold().startswith("sep="):
                continue
            if any(cells) and not cells[0].startswith("#"):
                yield start, cells
    except csv.Error as error:
        remedy = 'close the "quotes" that open here, and remove stray ones'
        faults.append(Fault(f"is not a table of cells: {error}", remedy, str(path), line))


def _delimiter(text: str) -> str:
    """Comma, or what spreadsheets of other countries write: semicolon or tab."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    first = next(lines, "")
    if first.casefold().startswith("sep="):
        first = next(lines, "")
    return max(",;\t", key=first.count)
