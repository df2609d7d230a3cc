"""Calibration without labels or gradients: every layer's channels under faults matched to those of the clean network.

The mean and deviation of a stored layer's output channels over unlabelled inputs are measured without faults; under
faults a gain and a shift per channel bring them back, layer after layer in one forward pass (ours; batch statistics
re-estimated after a perturbation, as in Schneider et al., arXiv:2006.16971).  Gains fold into the scales of the layer's
weights, shifts into its bias; a layer without a bias gets gains only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Float32
from qtaml_hw.tac.decoding.decoder import ImageDecoder
from qtaml_hw.tac.decoding.placed import fetched
from qtaml_hw.tac.decoding.side import NUMBER_BITS
from qtaml_hw.tac.worth.alone import Weights
from qtaml_hw.weights import Codes
from qtaml_hw.weights.effective import evaluating
from qtaml_hw.weights.network import call_with

MATCHED_DRAWS: Final = 4  # chips whose gains and shifts are averaged
_MOST_GAIN: Final = 4.0  # assumed: beyond it, and below its inverse, a channel is not the one that was measured
Moments = tuple[torch.Tensor, torch.Tensor]
Affine = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class ChannelMatch:
    """A network, the names of its stored weights, and unlabelled inputs [N, ...]."""

    module: nn.Module
    names: tuple[str, ...]
    inputs: torch.Tensor

    @cached_property
    def layers(self) -> dict[str, nn.Module]:
        """Linear layers and convolutions by the name of their stored weight; weights with two owners are left out."""
        owners: dict[int, list[tuple[str, nn.Module]]] = {}
        for path, layer in self.module.named_modules():
            name = f"{path}.weight".lstrip(".")
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and name in self.names:
                owners.setdefault(id(layer.weight), []).append((name, layer))
        return dict(owner for (owner, *others) in owners.values() if not others)

    @property
    def side_bits(self) -> int:
        """Bits of the gains and of the shifts of layers that have a bias."""
        return sum(NUMBER_BITS * (1 + _biased(layer)) * _channels(layer) for layer in self.layers.values())

    @cached_property
    def clean(self) -> dict[str, Moments]:
        """Mean and deviation of every channel with the weights as trained."""
        found: dict[str, Moments] = {}

        def see(name: str, layer: nn.Module, output: torch.Tensor) -> None:
            found[name] = _moments(layer, output)

        self._pass({}, see)
        return found

    def affine(self, weights: Mapping[str, Float32]) -> dict[str, Affine]:
        """Gains and shifts that match the channels with these weights, later layers after earlier ones are matched."""
        clean, found = self.clean, dict[str, Affine]()

        def match(name: str, layer: nn.Module, output: torch.Tensor) -> torch.Tensor:
            mean, deviation = _moments(layer, output)
            wanted, spread = clean[name]
            alive = deviation > 1e-12
            gain = torch.where(alive, spread / deviation.clamp_min(1e-12), 1.0).clamp(1.0 / _MOST_GAIN, _MOST_GAIN)
            shift = wanted - gain * mean if _biased(layer) else torch.zeros_like(mean)
            if not bool(torch.isfinite(gain).all() and torch.isfinite(shift).all()):
                gain, shift = torch.ones_like(gain), torch.zeros_like(shift)
            found[name] = gain, shift
            return output * _along(layer, gain, output) + _along(layer, shift, output)

        self._pass(weights, match)
        return found

    def folded(self, weights: Mapping[str, Float32], affine: Mapping[str, Affine]) -> Weights:
        """The weights with gains in them, and the biases that the shifts make."""
        new = dict(weights)
        for name, (gain, shift) in affine.items():
            w = new[name]
            new[name] = (w * gain.cpu().numpy().reshape(-1, *[1] * (w.ndim - 1))).astype(np.float32)
            layer = self.layers[name]
            if _biased(layer):
                bias = gain * layer.bias.detach() + shift  # type: ignore[operator]
                new[name.removesuffix("weight") + "bias"] = bias.cpu().numpy().astype(np.float32)
        return new

    def _pass(self, weights: Mapping[str, Float32], see: Any) -> None:
        to = self.inputs.device
        parameters = {name: torch.from_numpy(np.ascontiguousarray(w)).to(to) for name, w in weights.items()}
        with self._watched(see), evaluating(self.module), torch.no_grad():
            call_with(self.module, parameters, self.inputs)

    @contextmanager
    def _watched(self, see: Any) -> Iterator[None]:
        def hook(name: str) -> Any:
            return lambda layer, inputs, output: see(name, layer, output)

        handles = [layer.register_forward_hook(hook(name)) for name, layer in self.layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _channels(layer: nn.Module) -> int:
    assert isinstance(layer.weight, torch.Tensor)
    return int(layer.weight.shape[0])


def _biased(layer: nn.Module) -> bool:
    return layer.bias is not None


def _axis(layer: nn.Module, output: torch.Tensor) -> int:
    return output.dim() - 1 if isinstance(layer, nn.Linear) else 1


def _moments(layer: nn.Module, output: torch.Tensor) -> Moments:
    by_channel = output.detach().movedim(_axis(layer, output), 0).flatten(1).double()
    return by_channel.mean(1).float(), by_channel.std(1, correction=0).float()


def _along(layer: nn.Module, values: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    shape = [1] * output.dim()
    shape[_axis(layer, output)] = -1
    return values.reshape(shape)


@dataclass(frozen=True, eq=False)
class CalibratedDecoder(ImageDecoder):
    """A decoder whose layers are matched: with the same numbers on every chip, or by a pass of each chip's own."""

    match: ChannelMatch
    static: Mapping[str, Affine] | None

    @classmethod
    def of(cls, base: ImageDecoder, match: ChannelMatch, read: Sequence[Sequence[Codes]] | None) -> CalibratedDecoder:
        """Static over drawn chips whose codes were ``read``; per chip without."""
        if read is None:
            return cls(base.image, base.layers, match, None)
        drawn = [match.affine(base.decode(codes)) for codes in read]
        static = {
            name: (torch.stack([d[name][0] for d in drawn]).mean(0), torch.stack([d[name][1] for d in drawn]).mean(0))
            for name in drawn[0]
        }
        return cls(base.image, base.layers, match, static)

    @property
    def side_bits(self) -> float:
        """Bits of the gains and shifts."""
        return float(self.match.side_bits)

    def decode(self, codes: Sequence[Codes]) -> Weights:
        """Matched weights and biases by name, float32."""
        weights = super().decode(codes)
        return self.match.folded(weights, self.match.affine(weights) if self.static is None else self.static)

    def tensors(self, codes: Sequence[Codes | torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
        """The same on a device; gains and shifts are worked out on the processor."""
        weights = self.decode([fetched(c) for c in codes])
        return {name: torch.from_numpy(w).to(device) for name, w in weights.items()}
