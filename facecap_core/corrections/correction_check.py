"""Correction check: every byte of an artist's frames, held against what was written and what their shot is now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facecap_core.corrections.correction import (
    Correction,
    content_of,
    correction_path,
    digests_of,
    is_taken_out,
    lost_remedy,
    read_correction,
    written_numbers,
)
from facecap_core.errors import FootageMissing, StoreError
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.productions.production import Production, Shot
from facecap_core.stores.manifests import size_of, verify
from facecap_core.stores.paths import StorePaths
from facecap_core.template import Template

BLOCK = 64  # frames


@dataclass(frozen=True)
class CorrectionFault:
    """One thing that is wrong with a correction; `frames` are first and last of the shot's, where they are known."""

    number: int
    part: str
    what: str
    remedy: str
    frames: tuple[int, int] | None = None


@dataclass(frozen=True)
class CheckedCorrections:
    """What was read of one shot's corrections, and what is wrong with them."""

    shot: str
    count: int
    files: int
    bytes: int
    faults: list[CorrectionFault]


def corrected_shots(paths: StorePaths) -> list[tuple[str, str]]:
    """Actor and shot of all that was ever corrected, also where the production has them no more."""
    folders = paths.corrections("", "").glob("*/*")
    return sorted((folder.parent.name, folder.name) for folder in folders if folder.is_dir())


def check_corrections(
    production: Production, actor: str, shot: str, template: Template | None
) -> CheckedCorrections:
    """Read all corrections of a shot that count; those that were taken out may be in any state.

    Args:
        template: the actor's as it is now; None: their bytes alone are checked, and the footage.

    Raises:
        StoreError: a file cannot be read for now.
    """
    paths, listed = production.paths, production.shots.get(shot)
    counting = [
        number
        for number in written_numbers(paths, actor, shot)
        if not is_taken_out(paths, actor, shot, number)
    ]
    files, size = 0, 0
    faults: list[CorrectionFault] = []
    for number in counting:
        counted = size_of(correction_path(paths, actor, shot, number))
        files, size = files + counted[0], size + counted[1]
        damages = list(_damages(paths, actor, shot, number))
        faults += damages
        if damages:
            continue
        correction = read_correction(paths, actor, shot, number)
        for what in _wrong_inside(correction, actor, template):
            faults.append(CorrectionFault(number, "", what, lost_remedy(shot, number)))
        if listed is not None and not is_of_footage(listed, correction):
            what = "was made for other footage than the shot has now"
            remedy = f"farm correct {shot} --remove {number} (it stays in the history)"
            faults.append(CorrectionFault(number, "", what, remedy))
    return CheckedCorrections(shot, len(counting), files, size, faults)


def is_of_footage(shot: Shot, correction: Correction) -> bool:
    """Whether the shot still has the pictures that were corrected, as far as that can be told."""
    footage = shot.footage.get(str(correction.facts.get("camera")))
    made_for = correction.facts.get("footage_fingerprint")
    if footage is None or made_for is None:
        return True
    try:
        return fingerprint_footage(footage) == made_for
    except FootageMissing:  # that is told wherever the shot is used
        return True


def _damages(paths: StorePaths, actor: str, shot: str, number: int) -> Iterator[CorrectionFault]:
    for damage in verify(correction_path(paths, actor, shot, number)):
        frames = None
        if damage.frames is not None and damage.part.startswith("positions/"):
            with contextlib.suppress(StoreError, IndexError):
                numbered = read_correction(paths, actor, shot, number).frames
                frames = (int(numbered[damage.frames[0]]), int(numbered[damage.frames[1]]))
        yield CorrectionFault(number, damage.part, damage.what, lost_remedy(shot, number), frames)


def _wrong_inside(correction: Correction, actor: str, template: Template | None) -> Iterator[str]:
    """What is wrong though every byte is as it was written."""
    frames, facts = correction.frames, correction.facts
    if (facts.get("actor"), facts.get("shot")) != (actor, correction.shot):
        yield f"is of {facts.get('shot')} of {facts.get('actor')}"
    shape = correction.store.shape("positions")
    if shape[0] != len(frames) or not len(frames) or frames[0] < 0 or (np.diff(frames) < 1).any():
        yield f"has positions of {shape[0]} frames, and {len(frames)} numbers of frames"
        return
    if template is not None and shape[1:] != template.positions.shape:
        yield f"has {shape[1]} vertices, the template {template.vertex_count}"
    elif template is not None and facts.get("topology_sha256") not in (
        None,
        template.topology_sha256,
    ):
        yield "was made for another template than the actor has now"
    digests: list[bytes] = []
    for start in range(0, len(frames), BLOCK):
        block = correction.read(start, min(start + BLOCK, len(frames)))
        digests += digests_of(block)
        bad = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2)))
        if len(bad):
            yield f"frame {frames[start + bad[0]]} has positions that are no numbers"
            return
    if content_of(frames.tolist(), digests) != correction.content:
        yield "its frames are not those of the digest that stands beside them"
