"""Check tables: what `farm check` found, as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facecap_core.checks.finding import errors_of
from facecap_core.reports.wording import count
from farm.tables import fitting, left_out_sentence, terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from facecap_core.checks.finding import Finding
    from facecap_core.checks.production_check import CheckReport, ShotReport
    from facecap_core.errors import Fault
    from facecap_core.productions.composition import Composition
    from facecap_core.productions.production import Production

PIPED_WIDTH = 160  # of a table that goes to a file, where no terminal says how wide it is
SHOT_COLUMNS = (
    *("shot", "actor", "category", "split", "frames", "minutes"),
    *("pictures", "cache", "result"),
)
SPARE_COLUMNS = ("minutes", "cache", "pictures", "category")
"""What a narrow terminal does without, the first one first."""


def print_report(
    production: Production | None,
    report: CheckReport | None,
    faults: Sequence[Fault],
    warnings: Sequence[Fault],
    findings: Sequence[Finding] | None = None,
) -> None:
    """Tables of shots, compositions and findings, then all warnings and faults, to stdout."""
    console = terminal(PIPED_WIDTH)
    if production is not None and report is not None:
        if report.shots:
            rate, units = _fps(production), production.units
            shots = count(len(report.shots), "shot")
            console.print(
                f"{production.name}: {shots} at {rate} frames/s, in {units}", style="bold"
            )
            console.print(_shots_table(production, report.shots, console.width))
        for composition in report.compositions:
            if composition.shots:
                heading = "minutes, beside the training set of the paper (Section 4)"
                console.print(f"{composition.actor}: {heading}", style="bold")
                console.print(_composition_table(composition))
    if findings is not None:
        _print_findings(console, findings, whole=not faults)
    _print_faults(console, "warning", "yellow", warnings)
    _print_faults(console, "fault", "red", faults)
    if not faults and not errors_of(findings):
        console.print("No faults: ready to ingest and train.", style="green")


def _print_findings(console: Console, findings: Sequence[Finding], *, whole: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console.print("Deep check: footage and caches, seen whole", style="bold")
    if not whole:
        console.print("  shots with faults were left out", style="yellow")
    if not findings:
        console.print("  nothing found", style="green")
        return
    table = Table(box=box.SIMPLE_HEAVY, pad_edge=False)
    table.add_column("shot", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("what was found, and what to do")
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        unit = "" if finding.unit == "%" else " "
        table.add_row(
            finding.shot or f"(all of {finding.actor})",
            Text(finding.check, colour),
            f"{finding.figure:.3g}{unit}{finding.unit}",
            Text.assemble(finding.message, "\n", (finding.remedy, "dim")),
        )
    console.print(table)
    errors = len(errors_of(findings))
    told = (
        f"{count(len(findings), 'finding')}: {errors} to mend, {len(findings) - errors} to look at"
    )
    console.print(told, style="bold red" if errors else "bold yellow")


def _shots_table(production: Production, shots: Sequence[ShotReport], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    several = len({found.shot.actor for found in shots}) > 1
    columns = [name for name in SHOT_COLUMNS if several or name != "actor"]
    rows = [_shot_row(production, found) for found in shots]
    frames = sum(found.frames or 0 for found in shots)
    minutes = f"{_minutes(frames, production):.2f}"
    rows.append({"shot": "in all", "frames": str(frames), "minutes": minutes})
    texts = [[str(row.get(name, "")) for name in columns] for row in rows]
    kept = fitting(columns, texts, SPARE_COLUMNS, width - 2, gap=3)
    left_out = left_out_sentence(columns, kept)
    table = Table(box=box.SIMPLE_HEAVY, pad_edge=False, caption=left_out or None)
    table.caption_justify = "left"
    for name in kept:
        justify: Literal["left", "right"] = "right" if name in ("frames", "minutes") else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(row.get(name, Text()) for name in kept))
    return table


def _shot_row(production: Production, found: ShotReport) -> dict[str, str | Text]:
    """What the table says of a shot, by column."""
    from rich.text import Text

    shot = found.shot
    main = production.actors[shot.actor].main_camera
    if main not in found.footage:
        main = next(iter(found.footage), main)
    extra = [camera for camera in found.footage if camera != main]
    picture = "?"
    if main in found.footage and (size := found.footage[main].picture_size):
        picture = f"{size[0]} x {size[1]}" + (f" +{len(extra)}" if extra else "")
    if found.cache:
        cache = f"{found.cache.format} {found.cache.vertices} points"
    else:
        cache = "?" if shot.cache else ""
    result = Text("ok", "green")
    if found.warnings:
        result = Text(count(len(found.warnings), "warning"), "yellow")
    if found.faults:
        result = Text(count(len(found.faults), "fault"), "red")
    return {
        "shot": shot.name,
        "actor": shot.actor,
        "category": shot.category,
        "split": shot.split or "bulk",
        "frames": "?" if found.frames is None else str(found.frames),
        "minutes": "?" if found.frames is None else f"{_minutes(found.frames, production):.2f}",
        "pictures": picture,
        "cache": cache,
        "result": result,
    }


def _composition_table(composition: Composition) -> Table:
    from rich import box
    from rich.table import Table

    from facecap_core.productions.composition import BULK, PAPER_MINUTES, PAPER_PARTS, UNNAMED

    splits = ("train", "validation", BULK)
    table = Table(box=box.SIMPLE_HEAVY, pad_edge=False)
    table.add_column("category")
    table.add_column("train", justify="right")
    table.add_column("paper", justify="right")
    for split in splits[1:]:
        table.add_column(split, justify="right")

    def row(name: str, paper: str, categories: Sequence[str] | None) -> None:
        train, *others = (f"{composition.total_minutes(split, categories):.2f}" for split in splits)
        table.add_row(name, train, paper, *others)

    for part in PAPER_PARTS:
        if len(part.categories) == 1:
            row(part.name, f"{part.paper_minutes:g}", part.categories)
            continue
        for category in part.categories:
            row(category, "", [category])
        row("  together", f"{part.paper_minutes:g}", part.categories)
    if any(UNNAMED in categories for categories in composition.shots.values()):
        row(UNNAMED, "", [UNNAMED])
    row("in all", f"{PAPER_MINUTES:g}", None)
    counts = [str(composition.total_shots(split)) for split in splits]
    table.add_row("shots", counts[0], "", *counts[1:])
    return table


def _print_faults(console: Console, kind: str, colour: str, faults: Sequence[Fault]) -> None:
    if not faults:
        return
    console.print(f"{count(len(faults), kind)}:", style=f"bold {colour}")
    for fault in faults:
        place = _nearer(fault.file) + (f":{fault.line}" if fault.line else "")
        text = f"{place}: {fault.message}" if place else fault.message
        # Not wrapped, so that a terminal can open FILE:LINE and grep finds whole messages.
        console.print(f"  {text}", soft_wrap=True)
        if fault.remedy:
            console.print(f"      {fault.remedy}", style="dim", soft_wrap=True)


def _nearer(file: str) -> str:
    """A path as one would type it here."""
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if file and path.is_relative_to(here) else file


def _minutes(frames: int, production: Production) -> float:
    return float(frames / production.fps / 60)


def _fps(production: Production) -> str:
    fps = production.fps
    return str(fps) if fps.denominator == 1 else f"{fps} ({float(fps):.3f})"
