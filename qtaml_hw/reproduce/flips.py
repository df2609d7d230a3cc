"""Codes as read at stated flip probabilities, without the timeline: ideal protection undoes flips by a mask.

Equal, bit for bit, to the simulated memory under the fixed law (the tests hold both against each other); here one
fault map is drawn once and serves every plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qtaml_hw.arrays import Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.weights import Codes, StoredImage


def protected_mask(plan: ProtectionPlan) -> Uint8:
    """Per weight the planes that never flip, as a bit mask, uint8 [weights].

    Raises ValueError when the plan holds anything but "none" and "ideal": their words need the simulated memory.
    """
    other = [e.name for e in plan.entries if e.kind != "none" and not e.never_flips]
    if other:
        raise ValueError(f"only ideal protection is a mask; the plan's menu also has {', '.join(other)}")
    rows = ((plan.choice != 0) << np.arange(plan.planes)).sum(axis=1).astype(np.uint8)
    return np.repeat(rows, np.diff(plan.starts))


@dataclass(eq=False)
class FixedFlips:
    """The fault maps of one image under one channel, each drawn once and kept."""

    image: StoredImage
    channel: FlipChannel
    seed: int
    _patterns: dict[int, Uint8] = field(default_factory=dict, repr=False)

    def pattern(self, map_index: int) -> Uint8:
        """Which bits of which weight have flipped, uint8 [weights]."""
        if map_index not in self._patterns:
            parts = [
                flip(t.codes, self.channel.p01, self.channel.p10, MapKey(self.seed, map_index, i)) ^ t.codes
                for i, t in enumerate(self.image.tensors)
            ]
            self._patterns[map_index] = np.concatenate(parts)
        return self._patterns[map_index]

    def read(self, plan: ProtectionPlan, map_index: int) -> list[Codes]:
        """Codes as read under an ideal plan, tensor by tensor."""
        left = self.pattern(map_index) & ~protected_mask(plan)
        starts = self.image.tensor_starts
        return [t.codes ^ left[a:b] for t, a, b in zip(self.image.tensors, starts[:-1], starts[1:], strict=True)]
