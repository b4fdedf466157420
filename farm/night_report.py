"""Night report: the page that `farm report --job` writes, with what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from facecap_core.productions.production import Production
    from jobs.night_page import NightPage

SCHEMA_VERSION = 1


def report_night(production: Production, job: str, out: Path | None, *, as_json: bool) -> Path:
    """Write the page about a job and say what is on it; returns where it is."""
    from farm.bar import bar
    from farm.context import choose_job
    from jobs.night_page import write_night

    ledger = choose_job(production, job)
    path = out or production.folder / "reports" / f"{ledger.job}.html"
    with bar() as on_progress:
        page = write_night(production, ledger, path, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps(night_json(page)))
    else:
        _print(page)
    return page.path


def night_json(page: NightPage) -> dict[str, Any]:
    """What the page is made of."""
    from dataclasses import asdict

    from jobs.night_ledger import retry_command
    from jobs.night_page import WORST_SHOTS

    night, trust = page.night, page.trust
    rate = night.frames_per_second
    return {
        "schema_version": SCHEMA_VERSION,
        "job": night.status.job,
        "state": night.status.state,
        "report": str(page.path),
        "size_bytes": page.size_bytes,
        "counts": night.status.counts,
        "frames": night.frames,
        "new_frames": night.new_frames,
        "reused": night.reused,
        "tries": night.tries,
        "at_work_seconds": round(night.at_work_seconds, 2),
        "frames_per_second": None if rate is None else round(rate, 2),
        "machines": [
            {**asdict(machine), "frames_per_second": machine.frames_per_second}
            for machine in night.machines
        ],
        "failures": [
            {
                "type": failure.type,
                "kind": failure.kind,
                "remedy": failure.remedy,
                "causes": [
                    {"shot": record.name, "message": record.cause.message if record.cause else ""}
                    for record in failure.records
                ],
            }
            for failure in night.failures
        ],
        "retry": retry_command(night.status),
        "confidence": trust
        and {
            "shots": len(trust.shots),
            "frames": trust.frames,
            "doubtful_frames": trust.doubtful_frames,
            "without": len(trust.without),
            "left_out": len(trust.left_out),
        },
        "flagged_ranges": len(page.flagged.ranges) if page.flagged else None,
        "worst": [
            {
                "shot": shot.shot,
                "frame": shot.names.number(shot.worst_frame),
                "worst_second": shot.worst_second,
            }
            for shot in (trust.worst(WORST_SHOTS) if trust else [])
        ],
    }


def _print(page: NightPage) -> None:
    from jobs.night_ledger import retry_command
    from jobs.sentences import counted

    night = page.night
    rate = night.frames_per_second
    speed = f", {rate:.0f} frames/s" if rate and night.new_frames else ""
    typer.echo(f"{night.status.job} {night.status.state}: {counted(night.status)}{speed}")
    for failure in night.failures:
        count = len(failure.records)
        typer.echo(f"{count} {failure.type}" + (f": {failure.remedy}" if failure.remedy else ""))
    if retry := retry_command(night.status):
        typer.echo(retry)
    typer.echo(f"{page.path}  ({page.size_bytes / 1e6:.1f} MB)")
