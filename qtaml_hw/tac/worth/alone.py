"""One layer at a time: what the outputs on unlabelled inputs do when a single tensor is changed, all others clean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MAPS, MapKey, flip
from qtaml_hw.protection import Menu, ProtectionPlan
from qtaml_hw.weights import Codes, StoredImage

Weights = dict[str, Float32]
Forward = Callable[[Mapping[str, Float32]], Float64]
MEASURED_MAPS = 4


def mean_square(change: Float64) -> float:
    """Squares of a change of outputs [N, ...] summed over them, mean over the N inputs."""
    return float(np.mean(np.sum((change**2).reshape(len(change), -1), axis=-1)))


@dataclass(frozen=True, eq=False)
class OneLayer:
    """An image and ``forward``, which maps weights by name to outputs [N, ...]; clean weights and outputs are kept."""

    image: StoredImage
    forward: Forward

    @cached_property
    def clean(self) -> Weights:
        """The weights without a flip, by name."""
        return self.image.decode()

    @cached_property
    def reference(self) -> Float64:
        """The outputs with clean weights, [N, ...]."""
        return self.forward(self.clean)

    def outputs(self, name: str, weights: Float32) -> Float64:
        """The outputs with one tensor replaced, [N, ...]."""
        return self.forward({**self.clean, name: weights})

    def distortion(self, name: str, weights: Float32) -> float:
        """Mean squared change of the outputs when one tensor is replaced; may be no finite number."""
        return mean_square(self.outputs(name, weights) - self.reference)


def flipped(codes: Codes, channel: FlipChannel, *, seed: int, draw: int, tensor: int) -> Codes:
    """The codes of a tensor under the channel in one of the fault maps that no evaluation uses."""
    cells = channel.padded(8 * codes.itemsize)
    return flip(codes, cells.p01, cells.p10, MapKey(seed, MAPS["planning"].number(draw), tensor))


@dataclass(frozen=True, eq=False)
class DrawnFlips:
    """An image as read under any plan, in fault maps that no evaluation uses; a cell draws the same in all plans."""

    image: StoredImage
    channel: FlipChannel
    seed: int
    _patterns: dict[tuple[str, int], list[Codes]] = field(default_factory=dict, init=False, repr=False)

    def _pattern(self, plan: ProtectionPlan, option: int, draw: int) -> list[Codes]:
        """Bits that differ from what was written where everything is protected by one entry of the plan's menu."""
        key = plan.menu[option], draw
        if key not in self._patterns:
            p01, p10 = (residual[:, option] for residual in Menu.of(plan.menu[1:]).residuals(self.channel))
            left = replace(self.channel, p01=p01, p10=p10, dies=(), kept=None)
            codes = self.image.codes()
            read = [flipped(c, left, seed=self.seed, draw=draw, tensor=i) for i, c in enumerate(codes)]
            self._patterns[key] = [a ^ b for a, b in zip(read, codes, strict=True)]
        return self._patterns[key]

    def read(self, plan: ProtectionPlan, draw: int) -> list[Codes]:
        """Codes as read in one draw, tensor by tensor."""
        codes = [c.copy() for c in self.image.codes()]
        bits = 1 << np.arange(plan.planes)
        for option in np.unique(plan.choice).tolist():
            of_groups = ((plan.choice == option) * bits).sum(axis=1).astype(codes[0].dtype)
            taken = np.split(np.repeat(of_groups, np.diff(plan.starts)), self.image.tensor_starts[1:-1])
            for code, flips, mask in zip(codes, self._pattern(plan, option, draw), taken, strict=True):
                code ^= flips & mask
        return codes


def measured_importance(image: StoredImage, forward: Forward, channel: FlipChannel, seed: int) -> Float64:
    """The oracle baseline, [weights]: a layer's measured output distortion per unit of its own value noise.

    Each layer is corrupted alone at the channel's probabilities over ``MEASURED_MAPS`` maps; the mean squared change
    of the outputs is divided by the sum of squared weight changes that caused it.
    """
    alone, importance = OneLayer(image, forward), np.zeros(image.weights)
    for i, t in enumerate(image.tensors):
        distortion = energy = 0.0
        for draw in range(MEASURED_MAPS):
            codes = flipped(t.codes, channel, seed=seed, draw=draw, tensor=i)
            name, faulty = image.decode_changed(i, codes)
            change = alone.outputs(name, faulty) - alone.reference
            distortion += mean_square(np.nan_to_num(change))
            table = t.format.decode_table if t.part_of is not None else None
            moved = faulty - alone.clean[name] if table is None else (table[codes] - table[t.codes]) * t.weight_scale()
            energy += float(np.sum(moved.astype(np.float64) ** 2))
        start, end = image.tensor_starts[i : i + 2]
        importance[start:end] = distortion / energy if energy > 0.0 else 0.0
    return importance
