"""Order: which training frames a step takes, as one endless stream (Section 4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch


class Order:
    """Training frames in random order, each once an epoch, but some more often."""

    def __init__(self, frames: int, seed: int, again: torch.Tensor | None = None) -> None:
        """`again` int64 [n]: frames that come once more, for each time that they are in it."""
        every = torch.arange(frames)
        self._pool = every if again is None else torch.cat([every, again])
        self._frames, self._seed = len(self._pool), seed
        self._epochs: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        """How many frames an epoch has."""
        return self._frames

    def batch(self, start: int, size: int) -> torch.Tensor:
        """Indices of the stream's positions [start, start + size), on the CPU."""
        parts, position = [], start
        while position < start + size:
            epoch, inside = divmod(position, self._frames)
            count = min(self._frames - inside, start + size - position)
            parts.append(self._epoch(epoch)[inside : inside + count])
            position += count
        return torch.cat(parts)

    def _epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(mixed_seed(self._seed, 0, epoch))
            self._epochs = {e: order for e, order in self._epochs.items() if e >= epoch - 1}
            self._epochs[epoch] = self._pool[torch.randperm(self._frames, generator=generator)]
        return self._epochs[epoch]


def neighbours(shots: Sequence[tuple[str, int]]) -> torch.Tensor:
    """Of each frame the next one of its shot, of a shot's last frame the one before; int64 [frame].

    A shot of one frame has itself. `shots`: names and frames, in the order in which the frames lie.
    """
    parts, begin = [], 0
    for _, frames in shots:
        beside = torch.arange(1, frames + 1)
        beside[-1:] = max(frames - 2, 0)
        parts.append(begin + beside)
        begin += frames
    return torch.cat(parts)


def mixed_seed(*numbers: int) -> int:
    """A 63-bit seed from several numbers, far apart for neighbours."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
