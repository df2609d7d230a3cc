"""Unlabelled inputs, and what they tell of a network's stored weights: the worth of each, and the damage of flips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import torch

from qtaml_hw import tac
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.weights import GroupKind, StoredImage

CALIBRATION_INPUTS = 128  # the relative error of the Jacobian energies is reported with the result
PROBES = 16


@dataclass(frozen=True, eq=False)
class Calibration:
    """A network, its stored tensors by name in the image's order, and unlabelled inputs [N, ...] to it, if any."""

    served: ServedNetwork
    names: tuple[str, ...]
    inputs: torch.Tensor | None
    _damage: WeakKeyDictionary[StoredImage, dict[bytes, tac.DamageModel]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    @cached_property
    def sensitivity(self) -> tac.Sensitivity | None:
        """Jacobian energies of the logits on the inputs; None without inputs."""
        if self.inputs is None:
            return None
        return tac.jacobian_energy(self.served.module, list(self.names), self.inputs, probes=PROBES)

    @property
    def importance(self) -> Float64:
        """The Jacobian energies as an array [weights].

        Raises ValueError without inputs.
        """
        if self.sensitivity is None:
            raise ValueError("Jacobian energies need unlabelled calibration inputs")
        return self.sensitivity.values

    def outputs(self, weights: Mapping[str, Float32]) -> Float64:
        """Outputs of the network with these weights on the inputs.

        Raises ValueError without inputs.
        """
        if self.inputs is None:
            raise ValueError("outputs are compared on unlabelled calibration inputs, and there are none")
        return self.served.outputs(weights, self.inputs)

    def damage(self, image: StoredImage, kind: GroupKind) -> tac.DamageModel:
        """The first-order damage model of an image of the network, by groups of a kind."""
        return self.damage_at(image, image.group_starts(kind))

    def damage_at(self, image: StoredImage, starts: Int64) -> tac.DamageModel:
        """The first-order damage model of an image by groups that begin at ``starts`` [G + 1], summed once.

        Raises ValueError without inputs.
        """
        known, key = self._damage.setdefault(image, {}), starts.tobytes()
        if key not in known:
            known[key] = tac.damage_model(image, self.importance, starts)
        return known[key]
