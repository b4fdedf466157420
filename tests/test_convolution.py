"""Convolution: the stack's own gradient is that of its layers one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facecap_core.learning.convolution import convolved


def stack():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 10, 3, 1, 1), nn.ReLU(inplace=True)
    )
    return layers.to(memory_format=torch.channels_last)


def results(put_out, layers, bf16=False, size=(20, 16)):
    """What is put out for some images, and the gradient of each parameter."""
    images = torch.randn(6, 1, *size, generator=torch.Generator().manual_seed(1))
    half = [pixels // 2 for pixels in size]
    wanted = torch.randn(6, 10, *half, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        output = put_out(images)
    gradients = torch.autograd.grad((output.float() * wanted).sum(), list(layers.parameters()))
    return [output.detach(), *gradients]


@pytest.mark.parametrize("size", [(20, 16), (100, 104)], ids=["small", "large"])
@pytest.mark.parametrize("multiple", [None, 8], ids=["as they are", "channels filled up"])
def test_it_puts_out_and_learns_what_its_layers_do_one_by_one(multiple, size):
    layers = stack()
    usual = results(layers, layers, size=size)
    ours = results(lambda images: convolved(layers, images, multiple=multiple), layers, size=size)
    for one, other in zip(usual, ours, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_autocast_is_heeded_and_gradients_stay_float32():
    layers = stack()
    usual = results(layers, layers, bf16=True)
    output, *gradients = results(
        lambda images: convolved(layers, images, multiple=8), layers, bf16=True
    )
    assert output.dtype == torch.bfloat16
    for one, other in zip(usual[1:], gradients, strict=True):
        assert other.dtype == torch.float32
        assert (one - other).norm() < 0.05 * one.norm()


def test_without_gradients_it_is_its_layers():
    layers = stack()
    images = torch.randn(2, 1, 20, 16)
    with torch.no_grad():
        assert torch.equal(convolved(layers, images), layers(images))
