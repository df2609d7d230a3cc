"""A PyTorch network whose weights are served from the memory: its outputs for any set of weights, on any device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.accelerator.pieces import MOST, fitting, keep_freed_memory
from qtaml_hw.weights.effective import effective
from qtaml_hw.weights.network import call_with

Weights = Mapping[str, NDArray[np.float32] | torch.Tensor]


@dataclass(frozen=True, eq=False)
class ServedNetwork:
    """A module in eval mode and how it is fed; between passes its own parameters are as they were.

    It computes where its inputs are: in float32 sums without TF32, whose ten bits of mantissa would change answers.
    ``batch`` : inputs at a time, at most; they go through in pieces that are alike to one input.
    ``own``: the parameters that are served, by name, where they can be made again at any time (from the codes of a
    file): on the processor others then take their place while they are ``held``, and no second set lies beside them.
    """

    module: nn.Module
    batch: int = MOST
    own: Weights | None = None

    @classmethod
    def in_caches(cls, module: nn.Module, inputs: torch.Tensor) -> ServedNetwork:
        """With pieces of inputs like these [N, ...] that stay in a processor's caches."""
        keep_freed_memory()
        return cls(module, fitting(module, inputs))

    def outputs(self, weights: Weights, inputs: torch.Tensor) -> NDArray[np.float64]:
        """Outputs [N, C] for inputs [N, ...] when the named parameters are replaced by ``weights``."""
        return on_host(self.begun(weights, inputs))

    def begun(self, weights: Weights, inputs: torch.Tensor) -> torch.Tensor:
        """The same as a tensor where the inputs are; a GPU may still be at it."""
        parameters = self.tensors(weights, inputs)
        with torch.inference_mode(), _exact(inputs.device):
            parts = [call_with(self.module, parameters, piece) for piece in self.pieces(inputs)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def tensors(self, weights: Weights, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weights where the inputs are, in the types that the module has them in."""
        own = dict(self.module.named_parameters(remove_duplicate=False))
        return {name: _tensor(w).to(inputs.device, own[name].dtype) for name, w in weights.items()}

    def pieces(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As few as ``batch`` allows, alike in size: a kernel may sum a lone input in another order."""
        return torch.tensor_split(inputs, max(1, -(-len(inputs) // self.batch)))

    @contextmanager
    def held(self, weights: Weights, device: torch.device) -> Iterator[Weights]:
        """For several passes with the same weights: what to pass on to ``begun``, nothing where the module has them."""
        if self.own is None or device.type != "cpu":
            yield dict(weights)
        elif weights is self.own:
            yield {}
        else:
            try:
                _write(self.module, weights)
                yield {}
            finally:
                _write(self.module, self.own)


def _write(module: nn.Module, weights: Weights) -> None:
    """Puts weights into the memory of a module's own parameters, one tensor after another."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for name, w in weights.items():
        parameters[name].data.copy_(_tensor(w))


def _tensor(w: NDArray[np.float32] | torch.Tensor) -> torch.Tensor:
    return w if isinstance(w, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(w))


def on_host(outputs: torch.Tensor) -> NDArray[np.float64]:
    """Outputs in float64 in the processor's memory."""
    found: NDArray[np.float64] = outputs.cpu().to(torch.float64).numpy()
    return found


def _exact(device: torch.device) -> AbstractContextManager[None]:
    """Convolutions in float32 too (matrix products are so by default), by algorithms that give the same sums again."""
    if device.type != "cuda":
        return nullcontext()
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


@contextmanager
def serving(module: nn.Module, weights: Mapping[str, NDArray[np.float32]]) -> Iterator[nn.Module]:
    """The module with ``weights`` in it, by the names that ``effective`` gives them; as it was on exit, to the bit."""
    with effective(module):
        parameters = dict(module.named_parameters(remove_duplicate=False))
        kept = {name: parameters[name].data for name in weights}
        try:
            for name, own in kept.items():
                parameters[name].data = torch.tensor(weights[name], dtype=own.dtype, device=own.device)
            yield module
        finally:
            for name, own in kept.items():
                parameters[name].data = own
