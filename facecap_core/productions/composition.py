"""Composition: minutes of an actor's footage by category, against the training set of Section 4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from facecap_core.errors import Fault

BULK = "bulk"
UNNAMED = "no category"


@dataclass(frozen=True)
class Part:
    """A part of the paper's training set: the categories that fill it, and its minutes."""

    name: str
    categories: tuple[str, ...]
    paper_minutes: float


PAPER_PARTS = (
    Part("rom, expressions", ("rom", "expressions"), 1.0),
    Part("pangrams", ("pangrams",), 3.0),
    Part("in-character", ("in-character",), 6.0),
)
"""Section 4: one minute of range of motion and expressions, three of pangrams, up to six in character."""

PAPER_MINUTES = sum(part.paper_minutes for part in PAPER_PARTS)
LEAST_SHARE = 0.5  # of the paper's ten minutes; below it, people should know


@dataclass
class Composition:
    """What an actor has: minutes and number of shots by split ("train", "validation", "bulk") and category."""

    actor: str
    minutes: dict[str, dict[str, float]] = field(default_factory=dict)
    shots: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, split: str, category: str, frames: int, fps: Fraction) -> None:
        """Count one shot."""
        split, category = split or BULK, category or UNNAMED
        minutes = self.minutes.setdefault(split, {})
        minutes[category] = minutes.get(category, 0.0) + float(frames / fps / 60)
        shots = self.shots.setdefault(split, {})
        shots[category] = shots.get(category, 0) + 1

    def total_minutes(self, split: str, categories: Iterable[str] | None = None) -> float:
        """Minutes of a split; of all categories, or of some."""
        minutes = self.minutes.get(split, {})
        wanted = minutes if categories is None else categories
        return sum(minutes.get(category, 0.0) for category in wanted)

    def total_shots(self, split: str) -> int:
        """Number of shots of a split."""
        return sum(self.shots.get(split, {}).values())


def composition_warnings(composition: Composition, file: str) -> list[Fault]:
    """What the training set lacks, measured by the paper's; nothing for an actor without one."""
    actor = composition.actor
    if not composition.total_shots("train"):
        return []
    warnings = [
        Fault(
            f"actor {actor} trains on no footage of {' or '.join(part.categories)}",
            f"the paper trains on about {part.paper_minutes:g} min of it: track some, or name its category",
            file,
        )
        for part in PAPER_PARTS
        if not composition.total_minutes("train", part.categories)
    ]
    total = composition.total_minutes("train")
    if total < LEAST_SHARE * PAPER_MINUTES:
        remedy = f"the paper uses about {PAPER_MINUTES:g} min; track more for lower errors"
        warnings.append(Fault(f"actor {actor} trains on {total:.1f} min only", remedy, file))
    if not composition.total_shots("validation"):
        remedy = "set split to validation for one tracked shot of each category, 1 min in all"
        warnings.append(
            Fault(f"actor {actor} has no validation shot: its error is not known", remedy, file)
        )
    return warnings
