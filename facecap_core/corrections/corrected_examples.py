"""Corrected examples: the frames that artists put right, beside those that a network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from facecap_core.corrections.correction import Correction, numbers_of, read_correction
from facecap_core.corrections.shot_corrections import combine
from facecap_core.errors import StoreError
from facecap_core.learning.examples import Examples
from facecap_core.learning.network import shrink
from facecap_core.stores.groups import open_frames
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.stores.paths import StorePaths
from facecap_core.units import MM_PER_UNIT


@dataclass(frozen=True)
class CorrectedShot:
    """A shot of which some frames are corrected, with a frame store a camera."""

    shot: str
    views: tuple[ArrayFolder, ...]
    corrections: tuple[Correction, ...]  # the oldest first


def chosen_corrections(
    paths: StorePaths, actor: str, shot: str, contents: Sequence[str]
) -> tuple[Correction, ...]:
    """The shot's corrections with these contents, in their order, whether they still count or not.

    Raises:
        StoreError: one is not there, or damaged.
    """
    found: dict[str, Correction] = {}
    damaged: StoreError | None = None
    for number in numbers_of(paths, actor, shot):
        try:
            one = read_correction(paths, actor, shot, number)
        except StoreError as error:  # maybe none of those that are wanted
            damaged = error
        else:
            found[one.content] = one
    missing = [content for content in contents if content not in found]
    if missing and damaged is not None:
        raise damaged
    if missing:
        raise StoreError(
            f"correction {missing[0]} of {shot} is not there any more",
            remedy="submit the training again",
            file=paths.corrections(actor, shot),
        )
    return tuple(found[content] for content in contents)


def with_corrections(
    examples: Examples,
    corrected: Sequence[CorrectedShot],
    *,
    units: str,
    topology_sha256: str,
    input_size: tuple[int, int],
) -> Examples:
    """Corrected frames of the examples' own shots in place of what was tracked, those of others behind.

    Raises:
        StoreError: a frame store is missing or damaged, or a correction is of another template.
    """
    scale, start = MM_PER_UNIT[units] / 10, 0
    begins = {}
    for shot, frames in examples.shots:
        begins[shot], start = start, start + frames
    positions, numbers = examples.positions.clone(), []
    more_luma, more_positions, more_runs = [], [], []
    for one in corrected:
        stores = [open_frames(view) for view in one.views]
        found = combine(
            one.corrections,
            stores[0].frames,
            footage_fingerprint=None,  # held against the footage when the training was planned
            topology_sha256=topology_sha256,
        )
        if found is None:
            continue
        right = torch.from_numpy(found.read_frames(found.frames)).flatten(1) * scale
        if one.shot in begins:
            places = begins[one.shot] + torch.from_numpy(found.frames)
            positions[places] = right
            numbers.append(places)
            continue
        more_positions.append(right)
        for first, last in found.ranges:
            pictures = [torch.from_numpy(s.read("luma", first, last + 1)) for s in stores]
            more_luma.append(torch.stack([shrink(one, input_size) for one in pictures], dim=1))
            more_runs.append((one.shot, last + 1 - first))
            numbers.append(torch.arange(start, start + last + 1 - first))
            start += last + 1 - first
    return replace(
        examples,
        luma=torch.cat([examples.luma, *more_luma]),
        positions=torch.cat([positions, *more_positions]),
        runs=tuple(more_runs),
        corrected=torch.cat(numbers) if numbers else examples.corrected,
    )
