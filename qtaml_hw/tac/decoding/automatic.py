"""The correction ``auto``: for every layer the kind that leaves the outputs closest.

Closest means least noise plus drift.  Noise is a sum over codes.  Drift is a form in what is left of every code, to
first order (``worth.drift``); where that is more than a small part of what outputs differ by from input to input, it is
a forward pass with the layer shifted.  No pass is taken where all layers together leave several times more error than
outputs differ by: no choice saves such a network.  A large network takes one kind in all its layers, so that a handful
of passes tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import numpy as np

from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.names import CorrectionKind
from qtaml_hw.tac.decoding.correction import FOLDING_KINDS
from qtaml_hw.tac.decoding.decoder import ImageDecoder, LayerFlips, Left, ProtectedImage
from qtaml_hw.tac.worth.alone import Forward, OneLayer, mean_square
from qtaml_hw.tac.worth.by_code import WorthByCode
from qtaml_hw.tac.worth.drift import drift
from qtaml_hw.weights import StoredImage

KEPT: Final = 1 << 14  # layers judged, about a kilobyte each
SMALL: Final = 3e-3  # of what outputs differ by: up to there drift is taken to first order (errors in docs/tac.md)
LOST: Final = 3.0  # times what outputs differ by: with so much error all measured networks are at chance (docs/tac.md)
SURE: Final = 0.5  # of a drift to first order: a pass finds no less, unless the outputs are lost (docs/tac.md)


@dataclass(frozen=True, eq=False)
class Judged:
    """A layer's kinds under some flips: noise and drift to first order of each (infinite where it is not known).

    ``passed``: drift of those that a pass was taken for, by place.
    """

    kinds: tuple[CorrectionKind, ...]
    noises: tuple[float, ...]
    drifts: tuple[float, ...]
    passed: dict[int, float] = field(default_factory=dict)

    @property
    def first(self) -> float:
        """The least distortion to first order; the least noise where that is not known."""
        known = [n + d for n, d in zip(self.noises, self.drifts, strict=True) if d < np.inf]
        return min(known, default=min(self.noises))

    def best(self, small: float, measured: Callable[[CorrectionKind], float]) -> CorrectionKind:
        """The first kind of least distortion, its drift to first order where that is known and small, else measured.

        The most promising goes first; one whose noise and ``SURE`` part of the drift are more than the least so far is
        not measured.
        """
        first = [0.0 if drift == np.inf else drift for drift in self.drifts]
        best = np.inf, len(self.kinds)
        for _, place in sorted((noise + first[i], i) for i, noise in enumerate(self.noises)):
            if (self.noises[place] + SURE * first[place], place) < best:
                known = first[place] == self.drifts[place] <= small
                drift = first[place] if known else self._passed(place, measured)
                best = min(best, (self.noises[place] + drift, place))
        return self.kinds[best[1]]

    def _passed(self, place: int, measured: Callable[[CorrectionKind], float]) -> float:
        if place not in self.passed:
            self.passed[place] = measured(self.kinds[place])
        return self.passed[place]


@dataclass(frozen=True, eq=False)
class Automatic:
    """What chooses the corrections of an image's layers under any plan and channel.

    ``importance`` : Jacobian energies [weights].  ``forward`` maps weights by name to outputs [N, ..., C] on unlabelled
    calibration inputs.  ``drifts`` : ``drift_tables`` of the image; layers that have none take passes.
    """

    image: StoredImage
    importance: Float64
    forward: Forward
    drifts: Mapping[int, Float64] = field(default_factory=dict)
    _known: dict[tuple[int, bytes], Judged] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _alone(self) -> OneLayer:
        return OneLayer(self.image, self.forward)

    @cached_property
    def _spread(self) -> float:
        """Mean squared distance of outputs from their mean over inputs; NaN of one input, which tells nothing."""
        outputs = self._alone.reference
        return mean_square(outputs - outputs.mean(axis=0)) if len(outputs) > 1 else np.nan

    def decoder(self, protected: ProtectedImage) -> ImageDecoder:
        """Per layer, the correction with the least predicted output distortion (``ProtectedImage.distortion``)."""
        if any(form.for_channel for form in self.image.formats):
            return protected.decoder("none")
        flips = {i: protected.flips(i) for i, t in enumerate(self.image.tensors) if t.part_of is None}
        judged = {i: self._judged(protected, i, flips[i]) for i in flips}
        lost = sum(one.first for one in judged.values()) > LOST * self._spread
        small = np.inf if lost else SMALL * self._spread
        kinds: dict[int, CorrectionKind] = {
            i: one.best(small, partial(self._drift, protected, i, flips[i])) for i, one in judged.items()
        }
        every = range(len(self.image.tensors))
        return ImageDecoder(self.image, tuple(protected.layer(i, kinds.get(i, "none"), flips.get(i)) for i in every))

    def _judged(self, protected: ProtectedImage, tensor: int, flips: LayerFlips) -> Judged:
        key = tensor, flips.key
        if key not in self._known:
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = self._at_first(protected, tensor, flips)
        return self._known[key]

    def _at_first(self, protected: ProtectedImage, tensor: int, flips: LayerFlips) -> Judged:
        kinds = [kind for kind in FOLDING_KINDS if kind != "unbias" or flips.stored.format.linear]
        found = flips.left([protected.layer(tensor, kind, flips) for kind in kinds])
        worth = flips.by_code(protected.worth(tensor, self.importance))
        table = self.drifts.get(tensor) if len(flips.p01) == 1 else None
        noises = tuple(_or_infinite(np.sum(worth * left.variance)) for left in found)
        drifts = tuple(_first_order(left, table) for left in found)
        return Judged(tuple(kinds), noises, drifts)

    def _drift(self, protected: ProtectedImage, tensor: int, flips: LayerFlips, kind: CorrectionKind) -> float:
        left = flips.left([protected.layer(tensor, kind, flips)])[0]
        return _or_infinite(protected.drift(tensor, flips, left, self._alone))


def _first_order(left: Left, table: Float64 | None) -> float:
    """Drift of what is left of each code; infinite where no table tells."""
    if not np.any(left.bias):
        return 0.0
    return np.inf if table is None else _or_infinite(drift(table, left.bias[0]))


def _or_infinite(value: float) -> float:
    return float(value) if np.isfinite(value) else np.inf


@dataclass(frozen=True, eq=False)
class OneKind:
    """What chooses one correction for all layers of an image, by the same prediction.

    ``worth`` gives the Jacobian energies by code in groups that cover those asked for; ``forward`` is as in
    ``Automatic``.
    """

    image: StoredImage
    worth: Callable[[Int64], WorthByCode]
    forward: Forward

    @cached_property
    def _reference(self) -> Float64:
        return self.forward(self.image.decoded())

    def decoder(self, protected: ProtectedImage) -> ImageDecoder:
        """The correction with the least predicted output distortion: noise of all layers, drift of all together."""
        linear = all(form.linear for form in self.image.formats)
        if any(form.for_channel for form in self.image.formats):
            return protected.decoder("none")
        kinds = [kind for kind in FOLDING_KINDS if kind != "unbias" or linear]
        return protected.decoder(min(kinds, key=lambda kind: self._distortion(protected, kind)))

    def _distortion(self, protected: ProtectedImage, kind: CorrectionKind) -> float:
        worth, places = self.worth(protected.plan.starts), range(len(self.image.tensors))
        flips = {i: protected.flips(i) for i in places if self.image.tensors[i].part_of is None}
        left = {i: one.left([protected.layer(i, kind, one)])[0] for i, one in flips.items()}
        total = sum(worth.expected(i, left[i].variance, one.of_group) for i, one in flips.items())
        if any(np.any(one.bias) for one in left.values()):
            means = self.image.each(lambda i: self._mean(i, left.get(i), flips.get(i)))
            change = self.forward(means) - self._reference
            total += mean_square(change)
        return total if np.isfinite(total) else np.inf

    def _mean(self, place: int, left: Left | None, flips: LayerFlips | None) -> Float32:
        """The weights of a tensor as they are read in the mean over chips; scales as they are."""
        t = self.image.tensors[place]
        if left is None or flips is None:
            return t.decode(t.codes)
        table = t.format.decode_table + left.bias
        return t.decode(t.codes, table if flips.of_weight is not None else table[0], flips.of_weight)
