"""Image basis: the PCA of the training images, from which the fully connected network starts (Appendix B)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from facecap_core.learning.subspace import find_subspace
from facecap_core.learning.whitening import Whitening


@dataclass(frozen=True)
class ImageBasis:
    """Mean and principal components of whitened images.

    `mean` [pixel]; `components` [component, pixel], orthonormal rows, fewer than asked where the images
    have no further dimension; `deviation` [component], of the coefficients; `captured`, the part of the
    images' variance that the components hold, 0 to 1 (the paper's 3000 hold about 0.999).
    """

    mean: torch.Tensor
    components: torch.Tensor
    deviation: torch.Tensor
    captured: float


def compute_image_basis(luma: torch.Tensor, whitening: Whitening, components: int) -> ImageBasis:
    """PCA of uint8 images [frame, y, x], whitened, on their device; the same images give the same basis."""
    found = find_subspace(luma, components, lambda block: whitening(block).flatten(1))
    return ImageBasis(
        found.mean.float(),
        found.directions.float(),
        found.deviation.float(),
        found.captured,
    )
