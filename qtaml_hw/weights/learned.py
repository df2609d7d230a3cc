"""Rounding that keeps a layer's outputs rather than its weights.

The objective of AdaRound (Nagel et al., arXiv:2004.10568), (W^ - W) H (W^ - W)^T with H the second moment of the
layer's inputs, minimised over all codes by cyclic coordinate descent as in QuantEase (Behdin et al., arXiv:2309.01885):
deterministic, never worse for a layer than the codes it starts from on the inputs it sees, and without a step size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.weights.effective import evaluating
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.image import StoredImage, StoredTensor

SWEEPS: Final = 4
RIDGE: Final = 0.01  # of the mean diagonal: inputs that calibration does not show are not free
CHUNK_INPUTS: Final = 16
CHUNK_PATCHES: Final = 512


def learned_rounding(
    image: StoredImage, weights: Mapping[str, Float32], module: nn.Module, inputs: torch.Tensor
) -> StoredImage:
    """The image with the codes of linear and convolutional layers chosen on unlabelled inputs [N, ...].

    Scales stay.  Tensors whose layer is of another kind, or does not run, keep their nearest codes.  Raises ValueError
    without inputs.
    """
    if len(inputs) == 0:
        raise ValueError("learned rounding needs unlabelled calibration inputs, and there are none")
    moments = input_moments(module, {t.name for t in image.tensors}, inputs)
    tensors = [
        _rounded(t, weights[t.name], image.format, moments[t.name]) if t.name in moments else t for t in image.tensors
    ]
    return replace(image, tensors=tuple(tensors))


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


def _rounded(tensor: StoredTensor, weight: Float32, form: NumberFormat, moment: Float64) -> StoredTensor:
    """The tensor with better codes; ``moment`` [groups, columns, columns], rows of a group lie together."""
    rows, groups = tensor.shape[0], moment.shape[0]
    spread = np.broadcast_to(tensor.layout.spread(tensor.scale, tensor.shape), tensor.shape)
    ridge = RIDGE * np.trace(moment, axis1=1, axis2=2) / moment.shape[1]
    problem = _Rounding(
        form=form,
        target=weight.reshape(rows, -1).astype(np.float64),
        step=spread.reshape(rows, -1).astype(np.float64),
        moment=moment + ridge[:, None, None] * np.eye(moment.shape[1]),
        group=np.repeat(np.arange(groups), rows // groups),
    )
    return replace(tensor, codes=problem.descend(tensor.codes.reshape(rows, -1)).reshape(-1))


@dataclass(frozen=True, eq=False)
class _Rounding:
    """One layer: weights wanted and step of each [rows, columns], moments [groups, columns, columns], rows' groups."""

    form: NumberFormat
    target: Float64
    step: Float64
    moment: Float64
    group: Int64

    def descend(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Better codes [rows, columns]: every column in turn to the code nearest to its conditional optimum."""
        codes, table, top = codes.copy(), self.form.decode_table, self.form.largest
        value = table[codes] * self.step
        error = (value - self.target).reshape(len(self.moment), -1, value.shape[1])
        slope = (error @ self.moment).reshape(value.shape)
        curvature = np.maximum(np.diagonal(self.moment, axis1=1, axis2=2), np.finfo(np.float64).tiny)[self.group]
        for _ in range(SWEEPS):
            moved = 0
            for j in range(value.shape[1]):
                wish = (value[:, j] - slope[:, j] / curvature[:, j]) / self.step[:, j]
                best = self.form.encode(np.clip(wish, -top, top))
                change = table[best] * self.step[:, j] - value[:, j]
                rows = np.nonzero(change)[0]
                codes[rows, j] = best[rows]
                value[rows, j] += change[rows]
                slope[rows] += change[rows, None] * self.moment[self.group[rows], j]
                moved += rows.size
            if moved == 0:
                break
        return codes
