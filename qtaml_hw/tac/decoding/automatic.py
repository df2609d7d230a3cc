"""The correction ``auto``: for every layer the kind that leaves the outputs closest, told once for equal flips.

Drift takes a forward pass for every kind in every layer.  A large network takes one kind in all its layers, so that a
handful of passes tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from qtaml_hw.arrays import Float32, Float64, Int64
from qtaml_hw.names import CorrectionKind
from qtaml_hw.tac.decoding.correction import FOLDING_KINDS
from qtaml_hw.tac.decoding.decoder import ImageDecoder, LayerDecoder, ProtectedImage
from qtaml_hw.tac.worth.alone import Forward, OneLayer
from qtaml_hw.tac.worth.by_code import WorthByCode
from qtaml_hw.weights import StoredImage

KEPT: Final = 1 << 14  # choices, about 200 bytes each


@dataclass(frozen=True, eq=False)
class Automatic:
    """What chooses the corrections of an image's layers under any plan and channel.

    ``importance`` : Jacobian energies [weights].  ``forward`` maps weights by name to outputs [N, C] on unlabelled
    calibration inputs.
    """

    image: StoredImage
    importance: Float64
    forward: Forward
    _known: dict[tuple[int, bytes], CorrectionKind] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _alone(self) -> OneLayer:
        return OneLayer(self.image, self.forward)

    def decoder(self, protected: ProtectedImage) -> ImageDecoder:
        """Per layer, the correction with the least predicted output distortion (``ProtectedImage.distortion``)."""
        if any(form.for_channel for form in self.image.formats):
            return protected.decoder("none")
        return ImageDecoder(self.image, tuple(self._layer(protected, i) for i in range(len(self.image.tensors))))

    def _layer(self, protected: ProtectedImage, tensor: int) -> LayerDecoder:
        stored = self.image.tensors[tensor]
        if stored.part_of is not None:
            return protected.layer(tensor, "none")
        flips = protected.flips(tensor)
        key = tensor, flips.key
        if key in self._known:
            return protected.layer(tensor, self._known[key], flips)
        kinds = [kind for kind in FOLDING_KINDS if kind != "unbias" or stored.format.linear]
        best = self._least(protected, tensor, [protected.layer(tensor, kind, flips) for kind in kinds])
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = best.kind
        return best

    def _least(self, protected: ProtectedImage, tensor: int, candidates: list[LayerDecoder]) -> LayerDecoder:
        """The first of least distortion; one whose noise alone is more than another's whole takes no forward pass."""
        worth = protected.worth(tensor, self.importance)
        noises = np.nan_to_num([protected.noise(tensor, one, worth) for one in candidates], nan=np.inf).tolist()
        best = np.inf, len(candidates)
        for place in np.argsort(noises, kind="stable").tolist():
            if (noises[place], place) < best:
                whole = protected.distorted(tensor, candidates[place], noises[place], self._alone)
                best = min(best, (whole, place))
        return candidates[best[1]]


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
        decoder, worth = protected.decoder(kind), self.worth(protected.plan.starts)
        places = [i for i, t in enumerate(self.image.tensors) if t.part_of is None]
        of_group = {i: protected.flips(i).of_group for i in places}
        total = sum(worth.expected(i, decoder.layers[i].variance, of_group[i]) for i in places)
        if any(np.any(decoder.layers[i].bias) for i in places):
            change = self.forward(self.image.each(lambda i: self._mean(i, decoder.layers[i]))) - self._reference
            total += float(np.mean(np.sum(change**2, axis=-1)))
        return total if np.isfinite(total) else np.inf

    def _mean(self, place: int, layer: LayerDecoder) -> Float32:
        """The weights of a tensor as they are read in the mean over chips."""
        t = self.image.tensors[place]
        table = t.format.decode_table + layer.bias
        return t.decode(t.codes, table if layer.pattern is not None else table[0], layer.pattern)
