"""Convolution: a stack of convolutions, each with its ReLU, as one operation with a gradient of its own.

Autograd's own way writes each layer's output three times (product, bias, ReLU) and each gradient twice. In
the first layers that is what a GPU waits for: their pictures are large and their products small.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

LARGE_PICTURE = (
    2400  # pixels from which another layout is worth its making: docs/LOG.md, 2026-11-23
)
IMAGES_AT_ONCE = 4
CHANNELS_AT_ONCE = 8  # the matrix units of a GPU take bfloat16 channels in multiples of this


def convolved(
    layers: nn.Sequential, images: torch.Tensor, *, multiple: int | None = None
) -> torch.Tensor:
    """What `layers`, a sequence of convolution, ReLU, convolution, ReLU, ..., put out for [image, 1, y, x].

    The same numbers as `layers(images)`, which it is where no gradient is wanted. In the type of autocast.

    Args:
        multiple: channels are filled up to a multiple of this with zeros, which change no result; None:
            as the device is fastest.
    """
    if not torch.is_grad_enabled():
        return layers(images)
    parts = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    kind = images.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
    if multiple is None:
        multiple = CHANNELS_AT_ONCE if (kind, dtype) == ("cuda", torch.bfloat16) else 1
    shapes = tuple((part.stride, part.padding) for part in parts)
    parameters = [p for part in parts for p in (part.weight, part.bias)]
    with torch.autocast(kind, enabled=False):
        output: torch.Tensor = _Stack.apply(shapes, multiple, images.to(dtype), *parameters)
    return output


class _Stack(torch.autograd.Function):
    """Layers from `shapes` ((stride, padding) of each) and `parameters` (weight, bias, weight, ...)."""

    @staticmethod
    def forward(ctx: Any, shapes: Any, multiple: int, images: Any, *parameters: Any) -> Any:
        saved = [_filled(images, 1, multiple)]
        for (stride, padding), weight, bias in zip(
            shapes, parameters[::2], parameters[1::2], strict=True
        ):
            weight, bias = weight.to(images.dtype), bias.to(images.dtype)
            weight = _filled(_filled(weight, 1, multiple), 0, multiple)
            bias = _filled(bias, 0, multiple)
            saved += [weight, _convolution_relu(saved[-1], weight, bias, stride, padding)]
        ctx.save_for_backward(*saved)
        ctx.shapes, ctx.parameters = shapes, [p.shape for p in parameters]
        return saved[-1][:, : parameters[-1].shape[0]]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        saved, found = ctx.saved_tensors, []
        spare = saved[-1].shape[1] - gradient.shape[1]
        gradient = nn.functional.pad(gradient, (0, 0, 0, 0, 0, spare)) if spare else gradient
        gradient = torch.ops.aten.threshold_backward(gradient, saved[-1], 0)
        for place in reversed(range(len(ctx.shapes))):
            source, weight, _ = saved[2 * place : 2 * place + 3]
            stride, padding = ctx.shapes[place]
            of_weight, of_bias = _weight_gradient(gradient, source, weight, stride, padding)
            rows, columns = ctx.parameters[2 * place][:2]
            found += [of_bias[:rows].float(), of_weight[:rows, :columns].float()]
            if place:
                gradient = _backward(gradient, source, weight, stride, padding, (True, False))[0]
                # In place, since nobody else holds this gradient.
                torch.ops.aten.threshold_backward.grad_input(
                    gradient, source, 0, grad_input=gradient
                )
        return (None, None, None, *reversed(found))


def _backward(
    gradient: torch.Tensor, source: torch.Tensor, weight: torch.Tensor, *shape: Any
) -> Any:
    """Gradients of source, weight and bias; of the last two or of the first."""
    stride, padding, (of_source, of_weights) = shape
    return torch.ops.aten.convolution_backward(
        gradient,
        source,
        weight,
        [weight.shape[0]],
        stride,
        padding,
        (1, 1),
        False,
        (0, 0),
        1,
        (of_source, of_weights, of_weights),
    )


def _weight_gradient(
    gradient: torch.Tensor, source: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of weight and bias."""
    if not (
        gradient[0, 0].numel() >= LARGE_PICTURE
        and source.shape[1] > 1
        and _slow_when_large(gradient.device.type)
    ):
        return tuple(_backward(gradient, source, weight, stride, padding, (False, True))[1:])
    weight = weight.contiguous()  # one tensor with channels last makes all of them so
    parts = zip(gradient.split(IMAGES_AT_ONCE), source.split(IMAGES_AT_ONCE), strict=True)
    found = [
        _backward(g.contiguous(), s.contiguous(), weight, stride, padding, (False, True))[1:]
        for g, s in parts
    ]
    return sum(w for w, _ in found), sum(b for _, b in found)


@functools.cache
def _slow_when_large(kind: str) -> bool:
    """Whether oneDNN's gradient of weights is slow on large pictures with channels last, as with AVX2."""
    return kind == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"


def _filled(tensor: torch.Tensor, axis: int, multiple: int) -> torch.Tensor:
    """With zeros after the last index of an axis, up to a multiple."""
    spare = -tensor.shape[axis] % multiple
    if not spare:
        return tensor
    padding = (0, 0) * (tensor.ndim - 1 - axis) + (0, spare)
    filled = nn.functional.pad(tensor, padding)
    return filled.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else filled


def _convolution_relu(
    source: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: Any, padding: Any
) -> torch.Tensor:
    if cudnn_fuses(source.device, source.dtype):
        return torch.cudnn_convolution_relu(source, weight, bias, stride, padding, (1, 1), 1)
    return torch.conv2d(source, weight, bias, stride, padding).relu_()


@functools.cache
def cudnn_fuses(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether cuDNN's convolution with bias and ReLU in one is there and right for this type: tried once."""
    if device.type != "cuda" or not torch.backends.cudnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    source, weight = (
        torch.randn(shape, generator=generator)
        .to(device, dtype)
        .contiguous(memory_format=torch.channels_last)
        for shape in ((2, 16, 12, 12), (24, 16, 3, 3))
    )
    bias = torch.ones(24, device=device, dtype=dtype)
    usual = torch.conv2d(source, weight, bias, 2, 1).relu()
    try:
        fused = torch.cudnn_convolution_relu(source, weight, bias, (2, 2), (1, 1), (1, 1), 1)
    except RuntimeError:
        return False
    return torch.allclose(fused.float(), usual.float(), rtol=0.02, atol=0.02)
