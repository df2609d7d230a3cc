"""What a network sees of its weights in a training step, and the gradient straight through it.

Every method replaces the stored weights w by w + (seen - w) with the bracket held constant, so that the loss is that of
the disturbed network and the gradient reaches the undisturbed weights (straight-through estimator).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MAPS, MapKey, flip
from qtaml_hw.hardening.method import Hardening, Store
from qtaml_hw.names import Method
from qtaml_hw.weights.network import call_with, stored_names
from qtaml_hw.workloads.training import PLAIN, Practice

Seen = dict[str, torch.Tensor]
LEARNT_LOSS = 1.75  # cross entropy below which RandBET starts to flip bits (Stutz et al. 2021, appendix)


@dataclass(eq=False)
class Disturbance:
    """The stored weights of one training as its steps see them; counts the steps.

    ``p``: flip probability of the epoch.
    """

    hardening: Hardening
    store: Store
    noise: torch.Generator = field(init=False)
    step: int = 0
    p: float = field(init=False)

    def __post_init__(self) -> None:
        self.p = float(self.hardening.p or 0.0)
        self.noise = torch.Generator().manual_seed(self.hardening.seed)

    def noisy(self, weights: Seen) -> Seen:
        """Gaussian noise of a fixed standard deviation."""
        return {name: self._gaussian(w, float(self.hardening.amplitude or 0.0)) for name, w in weights.items()}

    def relatively_noisy(self, weights: Seen) -> Seen:
        """Gaussian noise whose standard deviation follows the tensor's largest magnitude."""
        share = float(self.hardening.amplitude or 0.0)
        return {name: self._gaussian(w, share * float(w.abs().max())) for name, w in weights.items()}

    def stored(self, weights: Seen) -> Seen:
        """Weights as decoded from their codes."""
        return _tensors(self.store(_arrays(weights)).decode(), weights)

    def flipped(self, weights: Seen) -> Seen:
        """Weights as decoded from codes with the flips of this step, or of the one fault map that is stated."""
        image = self.store(_arrays(weights))
        channel = FlipChannel.uniform(self.p, image.planes, direction=self.hardening.direction)
        chip = self.hardening.map_index
        number = MAPS["training"].number(self.step) if chip is None else MAPS["chips"].number(chip)
        key = MapKey(self.hardening.seed, number)
        read = [flip(t.codes, channel.p01, channel.p10, key.of(i)) for i, t in enumerate(image.tensors)]
        return _tensors(image.decode(read), weights)

    def begin(self, epoch: int, epochs: int) -> None:
        """The flip probability of an epoch: a straight line from ``p_from`` in the first to ``p`` in the last."""
        last, first = float(self.hardening.p or 0.0), self.hardening.p_from
        if first is not None:
            self.p = first + (last - first) * (epoch / (epochs - 1) if epochs > 1 else 1.0)

    def _gaussian(self, weight: torch.Tensor, deviation: float) -> torch.Tensor:
        return weight + deviation * torch.randn(weight.shape, generator=self.noise, dtype=weight.dtype)


def _arrays(weights: Seen) -> dict[str, NDArray[np.float32]]:
    return {name: w.numpy() for name, w in weights.items()}


def _tensors(arrays: dict[str, NDArray[np.float32]], like: Seen) -> Seen:
    return {name: torch.from_numpy(arrays[name]).to(w.dtype) for name, w in like.items()}


def practice(hardening: Hardening, store: Store) -> Practice:
    """The training steps of a method, with a noise stream of their own; ``store`` writes weights into the memory."""
    if hardening.method == "none":
        return PLAIN
    disturbance = Disturbance(hardening, store)
    views: dict[Method, tuple[Callable[[Seen], Seen], ...]] = {
        "qat": (disturbance.stored,),
        "noise": (disturbance.noisy,),
        "relative_noise": (disturbance.relatively_noisy,),
        "bit_error": (disturbance.stored, disturbance.flipped),
    }

    def loss(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        first, *later = views[hardening.method]
        total = _loss_of(module, first, images, labels)
        if later and total.item() < LEARNT_LOSS:
            total = 0.5 * (total + _loss_of(module, later[0], images, labels))
        disturbance.step += 1
        return total

    def clip(module: nn.Module) -> None:
        if hardening.clip is not None:
            parameters = dict(module.named_parameters(remove_duplicate=False))
            with torch.no_grad():
                for name in stored_names(module):
                    parameters[name].clamp_(-hardening.clip, hardening.clip)

    return Practice(loss, clip, disturbance.begin)


def _loss_of(
    module: nn.Module, view: Callable[[Seen], Seen], images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Cross entropy of the network with its stored weights as the view shows them."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    own = {name: parameters[name] for name in stored_names(module)}
    seen = view({name: w.detach() for name, w in own.items()})
    replaced = {name: w + (seen[name] - w).detach() for name, w in own.items()}
    return functional.cross_entropy(call_with(module, replaced, images), labels)
