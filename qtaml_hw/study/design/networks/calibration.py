"""Unlabelled inputs, and what they tell of a network's stored weights: the worth of each, and the damage of flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch

from qtaml_hw import tac
from qtaml_hw.accelerator.passes import Passes
from qtaml_hw.accelerator.served import ServedNetwork, on_host
from qtaml_hw.arrays import Bool, Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.weights import GroupKind, StoredImage
from qtaml_hw.weights.moments import input_moments
from qtaml_hw.weights.network import parameter_arrays

CALIBRATION_INPUTS = 128  # the relative error of the Jacobian energies is reported with the result
LARGE = 1 << 24  # weights from which on energies are summed by code as they come: eight bytes each are 128 MiB


@dataclass(frozen=True, eq=False)
class Calibration:
    """A network, its stored tensors by name in the image's order, and unlabelled inputs [N, ...] to it, if any."""

    served: ServedNetwork
    names: tuple[str, ...]
    inputs: torch.Tensor | None
    _damage: WeakKeyDictionary[StoredImage, dict[tuple[str, bytes], tac.DamageModel]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _worth: WeakKeyDictionary[StoredImage, dict[str, Float64]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _summed: WeakKeyDictionary[StoredImage, dict[str, tac.WorthByCode]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _uncoded: WeakKeyDictionary[StoredImage, tuple[tac.Uncoded, Float64]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    _drifts: WeakKeyDictionary[StoredImage, dict[int, Float64]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _automatic: list[tac.Automatic | tac.OneKind] = field(default_factory=list, init=False, repr=False)  # the latest

    @cached_property
    def sensitivity(self) -> tac.Sensitivity | None:
        """Jacobian energies of the logits on the inputs; None without inputs.

        Raises ValueError where the network's gradients are no numbers.
        """
        if self.inputs is None:
            return None
        return self._energy("logits")

    def _energy(
        self, output: tac.OutputName, along: Sequence[tac.Direction] = (), into: tac.Into | None = None
    ) -> tac.Sensitivity:
        """Jacobian energies of an output on the inputs.

        Raises ValueError without inputs, and where the network's gradients are no numbers.
        """
        if self.inputs is None:
            raise ValueError("Jacobian energies need unlabelled calibration inputs")
        names = list(self.names)
        if into is None:
            found = tac.jacobian_energy(self.served.module, names, self.inputs, output=output, along=along)
        else:
            how = tac.Estimate(output=output)
            found = tac.energies_into(into, self.served.module, names, self.inputs, how, along)
        _refuse_infinite(found.values, *found.along)
        return found

    @property
    def importance(self) -> Float64:
        """The Jacobian energies as an array [weights].

        Raises ValueError without inputs.
        """
        if self.sensitivity is None:
            raise ValueError("Jacobian energies need unlabelled calibration inputs")
        return self.sensitivity.values

    def worth(self, image: StoredImage, output: tac.OutputName = "logits") -> Float64:
        """The Jacobian energy of every value that an image of the network stores, scales included, [values].

        Raises ValueError without inputs.
        """
        along = tac.directions(image)
        if not along and output == "logits":
            return self.importance
        known = self._worth.setdefault(image, {})
        if output not in known:
            found = self._energy(output, along)
            known[output] = tac.with_scales(image, found.values, found.along)
        return known[output]

    def by_code(self, image: StoredImage, starts: Int64, output: tac.OutputName = "logits") -> tac.WorthByCode:
        """The same summed by the codes that weights hold, in groups that cover those from ``starts`` [G + 1].

        Raises ValueError without inputs.
        """
        known = self._summed.setdefault(image, {})
        if output not in known or not known[output].covers(starts):
            finer = starts if output not in known else np.union1d(starts, known[output].starts)
            found = tac.WorthByCode.of(image, finer, lambda along, into: self._energy(output, along, into))
            _refuse_infinite(*found.tables.values())
            known[output] = found
        return known[output]

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
        return np.where(self._ruled_out, 0.0, on_host(self._passes.outputs(weights)))

    @cached_property
    def _passes(self) -> Passes:
        """One tensor after another is changed, so that passes begin behind the layers before it."""
        assert self.inputs is not None
        return Passes(self.served, self.inputs)

    def automatic(self, image: StoredImage) -> tac.Automatic | tac.OneKind:
        """What chooses the corrections of an image's layers, of a large one on one input; kept until another image's
        is asked for.

        Raises ValueError without inputs.
        """
        if self._automatic and self._automatic[0].image is image:
            return self._automatic[0]
        if image.weights > LARGE and self.inputs is not None:
            one = replace(self, inputs=self.inputs[:1])
            self._automatic[:] = [tac.OneKind(image, lambda starts: self.by_code(image, starts), one.outputs)]
        else:
            worth, drifts = self.worth(image), self._drifts_of(image)
            self._automatic[:] = [tac.Automatic(image, worth, self.outputs, drifts)]
        return self._automatic[0]

    def _drifts_of(self, image: StoredImage) -> dict[int, Float64]:
        if image not in self._drifts:
            assert self.inputs is not None
            self._drifts[image] = tac.drift_tables(image, self.served.module, self.inputs)
        return self._drifts[image]

    def damage(self, image: StoredImage, kind: GroupKind) -> tac.DamageModel:
        """The first-order damage model of an image of the network, by groups of a kind."""
        return self.damage_at(image, image.group_starts(kind))

    def damage_at(self, image: StoredImage, starts: Int64, output: tac.OutputName = "logits") -> tac.DamageModel:
        """The first-order damage model of an image by groups that begin at ``starts`` [G + 1], summed once.

        Raises ValueError without inputs.
        """
        known, key = self._damage.setdefault(image, {}), (output, starts.tobytes())
        if key not in known and image.weights > LARGE:
            known[key] = self.by_code(image, starts, output).damage(starts)
        elif key not in known:
            known[key] = tac.damage_model(image, self.worth(image, output), starts)
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


def _refuse_infinite(*energies: Float64) -> None:
    """Raises ValueError where energies are no numbers."""
    if not all(np.isfinite(part).all() for part in energies):
        raise ValueError(
            "gradients of its outputs are not finite on the calibration inputs, as those of the logarithm of 0 "
            "are; let it return logits, or log_softmax instead of the logarithm of a softmax"
        )
