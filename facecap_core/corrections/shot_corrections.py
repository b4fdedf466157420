"""Shot corrections: all that count of one shot, laid over what was solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facecap_core.corrections.correction import Correction, content_of, runs
from facecap_core.errors import StoreError

Read = Callable[[int, int], np.ndarray]
"""[start, stop) to positions float32 [frame, vertex, xyz]."""


@dataclass(frozen=True)
class ShotCorrections:
    """In each frame the latest correction wins. Beyond the ends of its ranges it may fade out (`blend`)."""

    corrections: tuple[Correction, ...]  # that count, the oldest first
    _winner: np.ndarray  # int32 [frame], place in `corrections`, -1 where there is none
    _row: np.ndarray  # int64 [frame], in the winner
    _offsets: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def corrected(self) -> np.ndarray:
        """bool [frame]."""
        return self._winner >= 0

    @property
    def frames(self) -> np.ndarray:
        """The corrected frames, int64 [n]."""
        return np.flatnonzero(self.corrected)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """First and last frame of each run of corrected frames."""
        return runs(self.frames)

    @property
    def contents(self) -> tuple[str, ...]:
        """What it is made of, in order: other corrections have other ones."""
        return tuple(correction.content for correction in self.corrections)

    def counting_whole(self, content: str, blend: int) -> Correction | None:
        """The one of this content and blend where it counts in all of its frames: the same again would change
        nothing."""
        for place, correction in enumerate(self.corrections):
            same = (correction.content, correction.blend) == (content, blend)
            if same and (self._winner[correction.frames] == place).all():
                return correction
        return None

    def counting_in(self, digests: Sequence[bytes]) -> Correction | None:
        """The latest whose frames a file of the whole shot has, where it counts in all of them.

        Args:
            digests: of each frame of the file, see `digests_of`.
        """
        for correction in reversed(self.corrections):
            frames = correction.frames.tolist()
            content = content_of(frames, [digests[frame] for frame in frames])
            if content == correction.content and self.counting_whole(content, correction.blend):
                return correction
        return None

    def told(self) -> list[dict[str, Any]]:
        """What an output says of the corrections in it: frames are those in which each one counts."""
        return [
            {
                "number": correction.number,
                "ranges": [list(pair) for pair in runs(np.flatnonzero(self._winner == place))],
                "blend": correction.blend,
                "content": correction.content,
                **{name: correction.facts.get(name) for name in ("by", "note", "file")},
                "date": correction.facts["made"]["date"],
            }
            for place, correction in enumerate(self.corrections)
        ]

    def read(self, start: int, stop: int, solved: Read) -> np.ndarray:
        """Frames [start, stop), float32 [frame, vertex, xyz], corrected where they are, else `solved`."""
        positions = np.array(solved(start, stop))
        inside = np.flatnonzero(self.corrected[start:stop])
        if len(inside):
            positions[inside] = self.read_frames(start + inside)
        for frame, weights in self._fading(start, stop):
            for end, weight in weights:
                positions[frame - start] += weight * self._offset(end, solved)
        return positions

    def read_frames(self, frames: np.ndarray) -> np.ndarray:
        """Positions of frames int64 [n] that are corrected, float32 [n, vertex, xyz]."""
        places, rows = self._winner[frames], self._row[frames]
        found: np.ndarray | None = None
        for place in np.unique(places):
            inside = np.flatnonzero(places == place)
            first, last = int(rows[inside].min()), int(rows[inside].max())
            block = self.corrections[place].read(first, last + 1)[rows[inside] - first]
            if found is None:
                found = np.empty((len(frames), *block.shape[1:]), np.float32)
            found[inside] = block
        assert found is not None
        return found

    def _offset(self, end: int, solved: Read) -> np.ndarray:
        """How far the correction of a range's last (or first) frame is from what was solved."""
        if end not in self._offsets:
            (right,) = self.read_frames(np.array([end]))
            self._offsets[end] = right - solved(end, end + 1)[0]
        return self._offsets[end]

    def _fading(self, start: int, stop: int) -> list[tuple[int, list[tuple[int, float]]]]:
        """Frames without correction near one, with the ends that reach them and how much of each."""
        found = []
        ends = [(first, last) for first, last in self.ranges if self._reach(first, last)]
        for frame in range(start, stop) if ends else ():
            if self._winner[frame] >= 0:
                continue
            near = [
                (end, self._weight(end, frame))
                for first, last in ends
                for end in (first if frame < first else last,)
            ]
            near = [(end, weight) for end, weight in near if weight > 0]
            # Between two ranges close to each other they share, or their offsets would add up.
            whole = max(1.0, sum(weight for _, weight in near))
            if near:
                found.append((frame, [(end, weight / whole) for end, weight in near]))
        return found

    def _reach(self, *ends: int) -> int:
        return max(self.corrections[self._winner[end]].blend for end in ends)

    def _weight(self, end: int, frame: int) -> float:
        """1 at the end of a range, smoothly 0 from the first frame on that it does not reach."""
        left = 1 - abs(frame - end) / (self._reach(end) + 1)
        return max(0.0, left) ** 2 * (3 - 2 * left)


def combine(
    corrections: Sequence[Correction],
    frames: int,
    *,
    footage_fingerprint: str | None,
    topology_sha256: str,
) -> ShotCorrections | None:
    """What these add up to for a shot of this many frames; None where there are none.

    Raises:
        StoreError: one was made for other footage or another template.
    """
    if not corrections:
        return None
    winner, row = np.full(frames, -1, np.int32), np.zeros(frames, np.int64)
    for place, correction in enumerate(corrections):
        _check(correction, frames, footage_fingerprint, topology_sha256)
        winner[correction.frames] = place
        row[correction.frames] = np.arange(len(correction.frames))
    return ShotCorrections(tuple(corrections), winner, row)


def _check(
    correction: Correction,
    frames: int,
    footage_fingerprint: str | None,
    topology_sha256: str,
) -> None:
    other = ""
    meant = (correction.facts.get("footage_fingerprint"), footage_fingerprint)
    if correction.facts.get("topology_sha256") not in (None, topology_sha256):
        other = "another template"
    elif (None not in meant and meant[0] != meant[1]) or correction.frames[-1] >= frames:
        other = "other footage"
    if other:
        shot, number = correction.shot, correction.number
        raise StoreError(
            f"correction {number} of {shot} was made for {other} than the shot has now",
            remedy=f"farm correct {shot} --remove {number} (it stays in the history)",
            file=correction.store.path,
        )
