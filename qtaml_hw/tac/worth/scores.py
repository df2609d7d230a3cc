"""Scores behind one face: what a weight is held to be worth per squared error, [weights], by name.

All are label-free.  ``jacobian`` is TAC's; the others are what it is compared with.  Measured refinements, which need
forward passes under noise, are in :mod:`qtaml_hw.tac.worth.response`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.errors import unknown
from qtaml_hw.tac.worth.scales import directions, with_scales
from qtaml_hw.tac.worth.sensitivity import PROBES, Sensitivity, Stopping, jacobian_energy
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.effective import evaluating


@dataclass(frozen=True, eq=False)
class Calibration:
    """What scores may look at: the stored image, the network, unlabelled inputs [N, ...], and how long to estimate."""

    image: StoredImage
    module: nn.Module
    inputs: torch.Tensor
    probes: int = PROBES
    until: Stopping | None = None

    def energy(self, output: str) -> Sensitivity:
        """Jacobian energies of an output."""
        names = [t.name for t in self.image.weight_tensors]
        return jacobian_energy(
            self.module,
            names,
            self.inputs,
            probes=self.probes,
            until=self.until,
            output=output,  # type: ignore[arg-type]
            along=directions(self.image),
        )

    def worth(self, output: str) -> Float64:
        """Those of every stored value, [values]."""
        found = self.energy(output)
        return with_scales(self.image, found.values, found.along)


def magnitude_importance(image: StoredImage) -> Float64:
    """The magnitude baseline: the layer's mean squared weight in place of the Jacobian energy, [weights]."""
    arrays = image.decode()
    own = [
        np.full(t.weights, float(np.mean(np.square(arrays[t.name], dtype=np.float64)))) for t in image.weight_tensors
    ]
    return with_scales(image, np.concatenate(own))


def random_importance(image: StoredImage, groups: GroupKind | Int64, seed: int) -> Float64:
    """The random baseline: groups (of a kind, or from starts [G + 1]) in random worth, [weights]."""
    starts = image.group_starts(groups) if isinstance(groups, str) else groups
    worth = np.random.default_rng([seed, 0x5EED]).permutation(starts.size - 1) + 1.0
    scale = np.concatenate([np.broadcast_to(t.weight_scale(), t.weights) for t in image.tensors]).astype(np.float64)
    return np.repeat(worth, np.diff(starts)) / scale**2


def peak_importance(image: StoredImage) -> Float64:
    """||W||_inf^2 of the layer for all its weights: the other magnitude baseline, [weights]."""
    arrays = image.decode()
    own = [np.full(t.weights, float(np.abs(arrays[t.name]).max()) ** 2) for t in image.weight_tensors]
    return with_scales(image, np.concatenate(own))


def activation_importance(calibration: Calibration) -> Float64:
    """Mean squared input of the weight's input channel [weights], as AWQ weighs them (Lin et al., arXiv:2306.00978).

    Layers that are neither linear nor convolutions count every weight alike, at the mean over the others.
    """
    image, module = calibration.image, calibration.module
    layers = {f"{path}.weight": layer for path, layer in module.named_modules() if hasattr(layer, "weight")}
    seen: dict[str, Float64] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
            x = inputs[0].detach().to(torch.float64).square()
            axes = tuple(i for i in range(x.dim()) if i != (x.dim() - 1 if isinstance(layer, nn.Linear) else 1))
            seen[name] = x.mean(dim=axes).cpu().numpy()

        return hook

    handles = [layers[t.name].register_forward_hook(watch(t.name)) for t in image.tensors if t.name in layers]
    try:
        with evaluating(module), torch.inference_mode():
            module(calibration.inputs)
    finally:
        for handle in handles:
            handle.remove()
    even = float(np.mean(np.concatenate(list(seen.values())))) if seen else 1.0
    own = [_spread(t.shape, seen.get(t.name), even) for t in image.weight_tensors]
    return with_scales(image, np.concatenate(own))


def _spread(shape: tuple[int, ...], energy: Float64 | None, even: float) -> Float64:
    """Input energies [C] to every weight of a tensor [out, in, ...]; grouped convolutions see their own channels."""
    if energy is None:
        return np.full(int(np.prod(shape)), even)
    groups = energy.size // shape[1]
    rows = energy.reshape(groups, 1, shape[1]).repeat(shape[0] // groups, axis=1).reshape(shape[0], shape[1])
    inner = int(np.prod(shape[2:], dtype=np.int64))
    return np.repeat(rows.reshape(-1), inner)


SCORES: dict[str, Callable[[Calibration], Float64]] = {
    "jacobian": lambda c: c.worth("logits"),
    "softmax": lambda c: c.worth("softmax"),
    "fisher": lambda c: c.worth("fisher"),
    "magnitude": lambda c: magnitude_importance(c.image),
    "peak": lambda c: peak_importance(c.image),
    "activation": activation_importance,
}


def importance(score: str, calibration: Calibration) -> Float64:
    """The named score of every stored weight, [weights].

    Raises ValueError for an unknown name.
    """
    if score not in SCORES:
        raise ValueError(unknown("score", score, SCORES))
    return SCORES[score](calibration)
