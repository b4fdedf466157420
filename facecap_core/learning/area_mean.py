"""Area mean: pictures averaged down to the size that a network takes, fast where it is a quarter."""

from __future__ import annotations

import torch

from facecap_core.learning.network import shrink

BLOCK = 16  # pictures at once: what is between the steps stays in the cache


def area_mean(luma: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """uint8 images [image, y, x] averaged down to `size` (width, height): the same numbers as `shrink`."""
    if luma.shape[-1] != 4 * size[0]:
        return shrink(luma, size)
    blocks = [_quarter(block) for block in luma.contiguous().split(BLOCK)]
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


def _quarter(luma: torch.Tensor) -> torch.Tensor:
    # Four pixels of a row are one word, added two at a time in its halves: a quarter of the numbers
    # that floating point would take, which is a tenth of a small network's time.
    words = luma.view(torch.int32).unflatten(1, (-1, 4))  # [image, y, row of four, x]
    pairs = (words >> 8).bitwise_and_(0x00FF00FF)
    pairs += words & 0x00FF00FF
    pairs = pairs[:, :, 0] + pairs[:, :, 1] + pairs[:, :, 2] + pairs[:, :, 3]
    total = (pairs >> 16).add_(pairs & 0xFFFF)
    half_to_even = (total >> 4).bitwise_and_(1).add_(7)  # as torch.round does
    return total.add_(half_to_even).bitwise_right_shift_(4).to(torch.uint8)
