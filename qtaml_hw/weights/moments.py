"""What rounding knows of a layer: its weights, its steps, and the second moments of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.weights.effective import evaluating
from qtaml_hw.weights.image import StoredImage, StoredTensor

RIDGE: Final = 0.01  # of the mean diagonal: inputs that calibration does not show are not free
CHUNK_INPUTS: Final = 16
CHUNK_PATCHES: Final = 512


def input_moments(module: nn.Module, names: set[str], inputs: torch.Tensor) -> dict[str, Float64]:
    """Mean of x x^T over the inputs of every layer that runs, by weight name: [groups, columns, columns]."""
    sums: dict[str, _Moment] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple[Any, ...]) -> None:
            sums.setdefault(name, _Moment()).add(_patches(layer, given[0].detach()))

        return hook

    wanted = {f"{path}.weight" if path else "weight": layer for path, layer in module.named_modules()}
    handles = [
        layer.register_forward_pre_hook(watch(name))
        for name, layer in wanted.items()
        if name in names and isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d))
    ]
    try:
        with evaluating(module), torch.inference_mode():
            for chunk in torch.split(inputs, CHUNK_INPUTS):
                module(chunk)
    finally:
        for handle in handles:
            handle.remove()
    return {name: moment.mean for name, moment in sums.items()}


RoundOne = Callable[[StoredTensor, Float32, Float64], StoredTensor]
"""A tensor with other codes, from its weights and the second moments [groups, columns, columns] of its inputs."""


def rounded_on_inputs(
    image: StoredImage,
    weights: Mapping[str, Float32],
    module: nn.Module,
    inputs: torch.Tensor,
    rounding: str,
    one: RoundOne,
) -> StoredImage:
    """The image with linear and convolutional layers rounded by ``one``, from unlabelled inputs [N, ...].

    Scales stay.  Tensors whose layer is of another kind, or does not run, keep their codes.  Raises ValueError without
    inputs, with the name of the ``rounding``.
    """
    if len(inputs) == 0:
        raise ValueError(f"{rounding} rounding needs unlabelled calibration inputs, and there are none")
    moments = input_moments(module, {t.name for t in image.tensors}, inputs)
    tensors = [one(t, weights[t.name], moments[t.name]) if t.name in moments else t for t in image.tensors]
    return replace(image, tensors=tuple(tensors))


@dataclass(eq=False)
class _Moment:
    """A running sum of x x^T."""

    total: Float64 | float = 0.0
    count: int = 0

    def add(self, patches: torch.Tensor) -> None:
        """``patches`` [groups, n, columns], thinned evenly."""
        thin = patches[:, :: -(-patches.shape[1] // CHUNK_PATCHES)].to("cpu", torch.float64)
        self.total = self.total + torch.einsum("gni,gnj->gij", thin, thin).numpy()
        self.count += int(thin.shape[1])

    @property
    def mean(self) -> Float64:
        return np.asarray(self.total) / self.count


def _patches(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the rows of a layer's weight are multiplied with: [groups, n, columns]."""
    if isinstance(layer, nn.Linear):
        return x.reshape(1, -1, x.shape[-1])
    assert isinstance(layer, (nn.Conv1d, nn.Conv2d))
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    size, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
    if isinstance(layer, nn.Conv1d):
        x, size, stride, dilation = x.unsqueeze(-2), (1, *size), (1, *stride), (1, *dilation)
    columns = functional.unfold(x, size, dilation=dilation, stride=stride)
    split = columns.reshape(len(x), layer.groups, -1, columns.shape[-1])
    return split.permute(1, 0, 3, 2).reshape(layer.groups, -1, split.shape[2])


@dataclass(frozen=True, eq=False)
class LayerToRound:
    """One layer: weights wanted and step of each [rows, columns], moments [groups, columns, columns], rows' groups.

    Moments have a ridge on their diagonal, so they are positive definite where any input is not zero.
    """

    target: Float64
    step: Float64
    moment: Float64
    group: Int64

    @classmethod
    def of(cls, tensor: StoredTensor, weight: Float32, moment: Float64) -> LayerToRound:
        """Of a stored tensor; ``moment`` [groups, columns, columns], rows of a group lie together."""
        spread = np.broadcast_to(tensor.layout.spread(tensor.scale, tensor.shape), tensor.shape)
        if tensor.zero is not None:
            weight = weight.reshape(tensor.shape) + tensor.layout.spread(tensor.zero, tensor.shape) * spread
        return cls.stepped(weight, spread, moment)

    @classmethod
    def stepped(cls, weight: Float32, step: Float32, moment: Float64) -> LayerToRound:
        """Of weights and a step of each, of one shape."""
        rows, groups = weight.shape[0], moment.shape[0]
        ridge = RIDGE * np.trace(moment, axis1=1, axis2=2) / moment.shape[1]
        return cls(
            target=weight.reshape(rows, -1).astype(np.float64),
            step=step.reshape(rows, -1).astype(np.float64),
            moment=moment + ridge[:, None, None] * np.eye(moment.shape[1]),
            group=np.repeat(np.arange(groups), rows // groups),
        )

    def quadratic_error(self, value: Float64) -> Float64:
        """(value - target) H (value - target)^T of every row, [rows], of values [rows, columns] in units of weights."""
        error = (value - self.target).reshape(len(self.moment), -1, value.shape[1])
        return np.asarray(np.einsum("gri,gri->gr", error @ self.moment, error).reshape(-1))
