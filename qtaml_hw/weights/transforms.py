"""Rewritings of a network that change no output and yet what its memory holds: named steps before storage.

Steps that rewrite the module come first, in the order they are named; ``invert_planes`` rewrites the codes and needs to
know the flips (``transforms_planes``).  Batch norm is folded before, where a study says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.names import Transform
from qtaml_hw.weights.transforms_order import sensitivity_order
from qtaml_hw.weights.transforms_scale import activation_scale, equalise

MODULE_STEPS: Final[tuple[Transform, ...]] = ("equalise", "activation_scale", "sensitivity_order")
Energies = Callable[[nn.Module], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Evidence:
    """What steps look at: unlabelled inputs [N, ...], and what gives every stored weight's worth in a module."""

    inputs: torch.Tensor
    energies: Energies


def rewritten(module: nn.Module, step: Transform, evidence: Evidence) -> nn.Module:
    """A copy of the module after one step; its outputs are the same but for rounding in float32.

    Raises ValueError when the step finds nothing to do, or needs calibration inputs and has none.
    """
    steps: dict[str, Callable[[], nn.Module]] = {
        "equalise": lambda: equalise(module),
        "activation_scale": lambda: activation_scale(module, evidence.inputs),
        "sensitivity_order": lambda: sensitivity_order(module, evidence.energies(module)),
    }
    if step not in steps:
        raise ValueError(f"{step!r} is no step that rewrites a module; those are {', '.join(steps)}")
    return steps[step]()
