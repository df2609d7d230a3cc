"""A PyTorch network whose weights are served from the memory: its outputs for any set of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call

from qtaml_hw.weights.network import load_arrays, parameter_arrays

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ServedNetwork:
    """A module in eval mode and how it is fed; the module's own parameters are never written."""

    module: nn.Module
    batch: int = 512

    def outputs(self, weights: Weights, inputs: torch.Tensor) -> NDArray[np.float64]:
        """Outputs [N, C] for inputs [N, ...] when the named parameters are replaced by ``weights``."""
        parameters = {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()}
        with torch.inference_mode():
            parts = [functional_call(self.module, parameters, (chunk,)) for chunk in torch.split(inputs, self.batch)]
        return torch.cat(parts).to(torch.float64).numpy()


@contextmanager
def serving(module: nn.Module, weights: Weights) -> Iterator[nn.Module]:
    """The module with ``weights`` written into it; its own are back on exit, whatever happens inside."""
    kept = parameter_arrays(module, weights)
    try:
        load_arrays(module, weights)
        yield module
    finally:
        load_arrays(module, kept)
