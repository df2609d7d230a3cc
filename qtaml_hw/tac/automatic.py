"""The correction ``auto``: for every layer the kind that leaves the outputs closest, told once for equal flips."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from qtaml_hw.arrays import Float64
from qtaml_hw.names import CorrectionKind
from qtaml_hw.tac.alone import Forward, OneLayer
from qtaml_hw.tac.correction import FOLDING_KINDS
from qtaml_hw.tac.decoder import ImageDecoder, LayerDecoder, ProtectedImage
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
        candidates = [protected.layer(tensor, kind, flips) for kind in kinds]
        best = min(candidates, key=lambda one: protected.distortion(tensor, one, self.importance, self._alone))
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = best.kind
        return best
