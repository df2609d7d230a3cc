"""A PyTorch network whose weights are served from the memory: its outputs for any set of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.weights.effective import effective
from qtaml_hw.weights.network import call_with

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ServedNetwork:
    """A module in eval mode and how it is fed; the module's own parameters are never written."""

    module: nn.Module
    batch: int = 512

    def outputs(self, weights: Weights, inputs: torch.Tensor) -> NDArray[np.float64]:
        """Outputs [N, C] for inputs [N, ...] when the named parameters are replaced by ``weights``."""
        own = dict(self.module.named_parameters(remove_duplicate=False))
        parameters = {
            name: torch.from_numpy(np.ascontiguousarray(w)).to(own[name].dtype) for name, w in weights.items()
        }
        with torch.inference_mode():
            parts = [call_with(self.module, parameters, chunk) for chunk in torch.split(inputs, self.batch)]
        return torch.cat(parts).to(torch.float64).numpy()


@contextmanager
def serving(module: nn.Module, weights: Weights) -> Iterator[nn.Module]:
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
