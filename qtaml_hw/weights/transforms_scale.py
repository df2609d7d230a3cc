"""Moving scale from a layer to the next one: the outputs stay, the weights that are stored change.

A channel divided by s where it is made and multiplied by s where it is used leaves the network as it was when all
between scales with its input.  ``equalise`` chooses s so that both layers fill their ranges alike (Nagel et al. 2019,
arXiv:1906.04721, eq. 11); ``activation_scale`` so that channels with large activations get large weights, which errors
of a fixed size then hurt less (after AWQ, Lin et al. 2023, arXiv:2306.00978).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Final

import torch
from torch import nn

from qtaml_hw.weights.transforms_graph import BATCH_NORMS, LAYERS, Chain, chains, taken_weights

SWEEPS: Final = 30  # over all chains; the ranges of a chain of chains settle in a few
SETTLED: Final = 1e-3  # largest relative change of a factor in a sweep
EXPONENTS: Final = tuple(i / 20.0 for i in range(21))
MOST: Final = 1e4  # largest factor: beyond it float32 activations lose more than the memory does


def equalise(module: nn.Module) -> nn.Module:
    """A copy whose chained layers have equal ranges, channel by channel.

    Raises ValueError when there is no chain of two layers: batch norm between them must be folded first.
    """
    changed = copy.deepcopy(module).eval()
    found = [chain for chain in chains(changed) if chain.scales and _is_layer(changed, chain.maker)]
    if not found:
        norms = any(isinstance(part, BATCH_NORMS) for part in changed.modules())
        hint = "; batch norm lies between them, set fold_batch_norm: true" if norms else ""
        raise ValueError(f"equalise finds no two layers with only ReLU or pooling between them{hint}")
    with torch.no_grad():
        for _ in range(SWEEPS):
            largest = 0.0
            for chain in found:
                made, taken = _ranges(changed, chain)
                factor = _bounded(torch.sqrt(made / taken))
                _move(changed, chain, factor)
                largest = max(largest, float((factor - 1.0).abs().max()))
            if largest < SETTLED:
                break
    return changed


def activation_scale(module: nn.Module, inputs: torch.Tensor) -> nn.Module:
    """A copy in which channels are multiplied by (root mean square activation)^a where they are used.

    The factor is taken back where the channel is made: in the layer, or in the scale and shift of a norm.  Per chain, a
    in 0, 0.05 .. 1 is the one of least predicted error of the users' outputs under weight errors in proportion to the
    largest weight of each tensor; a = 0 leaves the chain alone.  ``inputs`` are unlabelled, [N, ...].

    Raises ValueError when no factor can be taken back anywhere, or without inputs.
    """
    if inputs.shape[0] == 0:
        raise ValueError("activation_scale needs unlabelled calibration inputs")
    changed = copy.deepcopy(module).eval()
    found = [chain for chain in chains(changed) if chain.scales]
    if not found:
        raise ValueError("activation_scale finds no layer whose input channels can be scaled where they are made")
    with torch.no_grad():
        for chain in found:  # one after the other: a chain changes what the next one finds in the layer they share
            energy = _input_energy(changed, (*chain.users, chain.maker), inputs)
            _move(changed, chain, _best_factor(changed, chain, energy))
    return changed


def _best_factor(module: nn.Module, chain: Chain, energy: dict[str, torch.Tensor]) -> torch.Tensor:
    """The factor [channels] of least predicted error; all ones where nothing is better."""
    arriving = energy[chain.users[0]].reshape(-1, chain.block).mean(1)
    base = torch.sqrt(arriving).clamp_min(1e-12)
    base = base / torch.exp(torch.log(base).mean())
    candidates = [_bounded(base**exponent) for exponent in EXPONENTS]
    errors = [_predicted_error(module, chain, energy, factor) for factor in candidates]
    return candidates[min(range(len(candidates)), key=errors.__getitem__)]


def _predicted_error(module: nn.Module, chain: Chain, energy: dict[str, torch.Tensor], factor: torch.Tensor) -> float:
    """Squared error of the users' outputs when weights are off in proportion to their tensor's largest magnitude."""
    total, spread = 0.0, torch.zeros_like(factor)
    for path in chain.users:
        taken = taken_weights(module.get_submodule(path), chain.block)
        flat = taken.reshape(taken.shape[0], -1)
        peak = float((flat.abs().amax(1) * factor).max())
        arriving = energy[path].reshape(-1, chain.block).mean(1)
        total += peak**2 * float((arriving / factor**2).sum()) * flat.shape[1]
        spread += (flat**2).sum(1) * factor**2
    maker = module.get_submodule(chain.maker)
    if isinstance(maker, LAYERS):
        rows = maker.weight.reshape(maker.weight.shape[0], -1)
        peak = float((rows.abs().amax(1) / factor).max())
        total += peak**2 * float(energy[chain.maker].mean()) * rows.shape[1] * float(spread.sum())
    return total


def _input_energy(module: nn.Module, paths: Iterable[str], inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean squared input of layers by input channel (linear: by feature), float64."""
    found: dict[str, torch.Tensor] = {}

    def keep(path: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            x = arguments[0].to(torch.float64)
            axis = x.ndim - 1 if isinstance(layer, (nn.Linear, nn.LayerNorm)) else 1
            found[path] = (x**2).mean(dim=[i for i in range(x.ndim) if i != axis])

        return layer.register_forward_pre_hook(hook)

    handles = [keep(path, module.get_submodule(path)) for path in paths]
    try:
        module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _ranges(module: nn.Module, chain: Chain) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest magnitude by channel where it is made and where it is used; ones where either is zero."""
    maker = module.get_submodule(chain.maker)
    weight: torch.Tensor = maker.weight  # type: ignore[assignment]
    made = weight.reshape(weight.shape[0], -1).abs().amax(1)
    views = [taken_weights(module.get_submodule(path), chain.block) for path in chain.users]
    taken = torch.stack([view.reshape(view.shape[0], -1).abs().amax(1) for view in views]).amax(0)
    dead = (made == 0.0) | (taken == 0.0)
    ones = torch.ones_like(made)
    return torch.where(dead, ones, made), torch.where(dead, ones, taken)


def _bounded(factor: torch.Tensor) -> torch.Tensor:
    return factor.clamp(1.0 / MOST, MOST)


def _move(module: nn.Module, chain: Chain, factor: torch.Tensor) -> None:
    """Divide the channels by the factor where they are made, multiply where they are used."""
    maker = module.get_submodule(chain.maker)
    for parameter in (maker.weight, maker.bias):
        if isinstance(parameter, nn.Parameter):
            parameter.data /= _columns(factor, parameter).to(parameter.dtype)
    for path in chain.users:
        taken = taken_weights(module.get_submodule(path), chain.block)
        taken *= _columns(factor, taken).to(taken.dtype)


def _columns(factor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return factor.reshape(-1, *([1] * (like.ndim - 1)))


def _is_layer(module: nn.Module, path: str) -> bool:
    return isinstance(module.get_submodule(path), LAYERS)
