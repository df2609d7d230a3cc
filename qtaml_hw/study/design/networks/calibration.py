"""Unlabelled inputs, and what they tell of a network's stored weights: the worth of each, and the damage of flips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch

from qtaml_hw import tac
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.arrays import Bool, Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.moments import input_moments
from qtaml_hw.weights.network import parameter_arrays

CALIBRATION_INPUTS = 128  # the relative error of the Jacobian energies is reported with the result


@dataclass(frozen=True, eq=False)
class Calibration:
    """A network, its stored tensors by name in the image's order, and unlabelled inputs [N, ...] to it, if any."""

    served: ServedNetwork
    names: tuple[str, ...]
    inputs: torch.Tensor | None
    _damage: WeakKeyDictionary[StoredImage, dict[bytes, tac.DamageModel]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _worth: WeakKeyDictionary[StoredImage, Float64] = field(default_factory=WeakKeyDictionary, init=False, repr=False)
    _uncoded: WeakKeyDictionary[StoredImage, tuple[tac.Uncoded, Float64]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    _automatic: list[tac.Automatic] = field(default_factory=list, init=False, repr=False)  # of the latest image

    @cached_property
    def sensitivity(self) -> tac.Sensitivity | None:
        """Jacobian energies of the logits on the inputs; None without inputs.

        Raises ValueError where the network's gradients are no numbers.
        """
        if self.inputs is None:
            return None
        found = tac.jacobian_energy(self.served.module, list(self.names), self.inputs)
        if not np.isfinite(found.values).all():
            raise ValueError(
                "gradients of its outputs are not finite on the calibration inputs, as those of the logarithm of 0 "
                "are; let it return logits, or log_softmax instead of the logarithm of a softmax"
            )
        return found

    @property
    def importance(self) -> Float64:
        """The Jacobian energies as an array [weights].

        Raises ValueError without inputs.
        """
        if self.sensitivity is None:
            raise ValueError("Jacobian energies need unlabelled calibration inputs")
        return self.sensitivity.values

    def worth(self, image: StoredImage) -> Float64:
        """The Jacobian energy of every value that an image of the network stores, scales included, [values].

        Raises ValueError without inputs.
        """
        along = tac.directions(image)
        if not along:
            return self.importance
        if image not in self._worth:
            assert self.inputs is not None or self.importance is not None  # ``importance`` raises without inputs
            found = tac.jacobian_energy(self.served.module, list(self.names), self.inputs, along=along)  # type: ignore[arg-type]
            self._worth[image] = tac.with_scales(image, found.values, found.along)
        return self._worth[image]

    @cached_property
    def _ruled_out(self) -> Bool:
        """Where the network as loaded puts minus infinity, [N, ...]."""
        assert self.inputs is not None
        return np.asarray(np.isneginf(self.served.outputs({}, self.inputs)))

    def outputs(self, weights: Mapping[str, Float32]) -> Float64:
        """Outputs of the network with these weights on the inputs; 0 where the network as loaded rules a class out.

        Raises ValueError without inputs.
        """
        if self.inputs is None:
            raise ValueError("outputs are compared on unlabelled calibration inputs, and there are none")
        return np.where(self._ruled_out, 0.0, self.served.outputs(weights, self.inputs))

    def automatic(self, image: StoredImage) -> tac.Automatic:
        """What chooses the corrections of an image's layers; kept until another image's is asked for.

        Raises ValueError without inputs.
        """
        if not self._automatic or self._automatic[0].image is not image:
            self._automatic[:] = [tac.Automatic(image, self.worth(image), self.outputs)]
        return self._automatic[0]

    def damage(self, image: StoredImage, kind: GroupKind) -> tac.DamageModel:
        """The first-order damage model of an image of the network, by groups of a kind."""
        return self.damage_at(image, image.group_starts(kind))

    def damage_at(self, image: StoredImage, starts: Int64) -> tac.DamageModel:
        """The first-order damage model of an image by groups that begin at ``starts`` [G + 1], summed once.

        Raises ValueError without inputs.
        """
        known, key = self._damage.setdefault(image, {}), starts.tobytes()
        if key not in known:
            known[key] = tac.damage_model(image, self.worth(image), starts)
        return known[key]

    def uncoded(self, image: StoredImage) -> tuple[tac.Uncoded, Float64]:
        """What codes of other widths are rounded from, and what compensated rounding saves in each; worked out once.

        Raises ValueError without inputs, or for a number format whose planes cannot be chosen.
        """
        if self.inputs is None:
            raise ValueError("codes of fewer planes are rounded on unlabelled calibration inputs, and there are none")
        if image not in self._uncoded:
            weights = parameter_arrays(self.served.module, self.names)
            source = tac.Uncoded(image, weights, input_moments(self.served.module, set(self.names), self.inputs))
            still = FlipChannel.uniform(0.0, image.planes)
            table = tac.WidthTable(image, weights, self.importance, still, tac.Menu.of(["ideal"]))
            self._uncoded[image] = source, tac.compensation(table, source)
        return self._uncoded[image]
