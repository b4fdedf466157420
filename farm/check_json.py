"""Check JSON: what `farm check` found, as one object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from facecap_core.checks.finding import errors_of

if TYPE_CHECKING:
    from facecap_core.checks.finding import Finding
    from facecap_core.checks.production_check import CheckReport, ShotReport
    from facecap_core.errors import Fault
    from facecap_core.productions.production import Production

SCHEMA_VERSION = 1


def as_json(
    production: Production | None,
    report: CheckReport | None,
    faults: Sequence[Fault],
    warnings: Sequence[Fault],
    findings: Sequence[Finding] | None = None,
) -> dict[str, Any]:
    """The object that --json prints; `findings` are those of --deep, null without it."""
    from facecap_core.productions.composition import PAPER_PARTS

    return {
        "schema_version": SCHEMA_VERSION,
        "ok": not faults and not errors_of(findings),
        "production": production
        and {
            "name": production.name,
            "folder": str(production.folder),
            "store": str(production.store),
            "fps": str(production.fps),
            "units": production.units,
        },
        "shots": [_shot_json(found, production) for found in report.shots] if report else [],
        "composition": [
            {
                "actor": composition.actor,
                "minutes": composition.minutes,
                "shots": composition.shots,
                "paper_minutes": {part.name: part.paper_minutes for part in PAPER_PARTS},
            }
            for composition in (report.compositions if report else [])
        ],
        "faults": [_fault_json(fault) for fault in faults],
        "warnings": [_fault_json(warning) for warning in warnings],
        "findings": None if findings is None else [asdict(finding) for finding in findings],
    }


def _shot_json(found: ShotReport, production: Production | None) -> dict[str, Any]:
    shot = found.shot
    return {
        "shot": shot.name,
        "actor": shot.actor,
        "category": shot.category,
        "split": shot.split,
        "line": shot.line,
        "frames": found.frames,
        "seconds": float(found.frames / production.fps) if production and found.frames else None,
        "footage": {
            camera: {
                "path": str(facts.path),
                "frames": facts.frames,
                "picture_size": facts.picture_size,
                "codec": facts.codec,
            }
            for camera, facts in found.footage.items()
        },
        "cache": found.cache
        and {
            "path": str(shot.cache),
            "format": found.cache.format,
            "frames": found.cache.frames,
            "vertices": found.cache.vertices,
            "start_frame": found.cache.start_frame,
        },
        "faults": [_fault_json(fault) for fault in found.faults],
        "warnings": [_fault_json(warning) for warning in found.warnings],
    }


def _fault_json(fault: Fault) -> dict[str, Any]:
    return {
        "message": fault.message,
        "remedy": fault.remedy,
        "file": fault.file or None,
        "line": fault.line,
    }
