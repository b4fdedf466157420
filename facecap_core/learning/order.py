"""Order: which training frames a step takes, as one endless stream (Section 4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch


class Order:
    """Training frames in random order, each once an epoch.

    In `pairs`, frames come as two neighbours of a shot, for losses of motion; which frames pair up changes
    from epoch to epoch. Of a shot with an odd number of frames one is then left out in turn.
    """

    def __init__(
        self,
        shots: Sequence[tuple[str, int]],
        seed: int,
        device: torch.device,
        *,
        pairs: bool = False,
    ) -> None:
        """`shots`: names and frames, in the order in which the frames lie."""
        self._lengths = [frames for _, frames in shots]
        self._seed, self._device, self._pairs = seed, device, pairs
        self._epochs: dict[int, torch.Tensor] = {}

    @property
    def frames(self) -> int:
        """Of an epoch."""
        return sum(n - n % 2 if self._pairs else n for n in self._lengths)

    def batch(self, start: int, size: int) -> torch.Tensor:
        """Indices of the stream's positions [start, start + size)."""
        parts, position = [], start
        while position < start + size:
            epoch, inside = divmod(position, self.frames)
            count = min(self.frames - inside, start + size - position)
            parts.append(self._epoch(epoch)[inside : inside + count])
            position += count
        return torch.cat(parts).to(self._device)

    def _epoch(self, epoch: int) -> torch.Tensor:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(mixed_seed(self._seed, 0, epoch))
            self._epochs = {e: order for e, order in self._epochs.items() if e >= epoch - 1}
            if not self._pairs:
                self._epochs[epoch] = torch.randperm(self.frames, generator=generator)
            else:
                firsts = self._first_frames(epoch % 2)
                firsts = firsts[torch.randperm(len(firsts), generator=generator)]
                self._epochs[epoch] = torch.stack([firsts, firsts + 1], dim=1).flatten()
        return self._epochs[epoch]

    def _first_frames(self, offset: int) -> torch.Tensor:
        firsts, begin = [], 0
        for frames in self._lengths:
            places = torch.arange(frames // 2) * 2 + offset
            firsts.append(begin + places.clamp(max=max(frames - 2, 0)))
            begin += frames
        return torch.cat(firsts)


def mixed_seed(*numbers: int) -> int:
    """A 63-bit seed from several numbers, far apart for neighbours."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
