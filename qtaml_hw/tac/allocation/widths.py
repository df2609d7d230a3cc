"""How many planes a tensor stores and how many of them are protected: what every such choice leaves and takes.

A tensor stores B planes of its weights, the k top ones under an entry of the menu.  With S_j the energy with which the
outputs answer to weight j and D_c the step of scale c, the distortion is (ours, docs/joint.md)

    sum_c min over D_c of  sum_j S_j (Q(w_j) - w_j)^2  +  sum_j S_j D_c^2 sum_i 4^i v_i

with v_i what is left of the variance of plane i once it is read (``balanced_variance``): p (1 - p) in a plane of
symmetric flips, so that the B - k open planes leave p (1 - p) (4^(B - k) - 1) / 3.  Steps lie on the grid of
``ScaleLayout``; flips make them smaller, because what they cost grows with the step.  Rounding that makes up for errors
leaves less than the nearest codes do: ``credit`` says how much, by tensor and B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Final

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import Bool, Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import Menu, MenuEntry
from qtaml_hw.tac.decoding.correction import balanced_variance
from qtaml_hw.weights import StoredImage, StoredTensor
from qtaml_hw.weights.grids import LOG_STEPS, grid_step

FEWEST: Final = 2  # planes of a weight: with one there is a sign and no zero
OCTAVES: Final = 4  # below the step that clips nothing, in which the best one is looked for


@dataclass(frozen=True)
class Width:
    """``stored`` planes of every weight of a tensor, the ``protected`` top ones of them under an entry of the menu."""

    stored: int
    protected: int
    entry: int

    @property
    def open(self) -> int:
        """Stored planes that nothing protects."""
        return self.stored - self.protected


def widths(planes: int, menu: Menu) -> tuple[Width, ...]:
    """Every choice for a tensor whose weights have at most so many planes."""
    return tuple(
        Width(stored, protected, entry)
        for stored in range(min(FEWEST, planes), planes + 1)
        for protected in range(stored + 1)
        for entry in ((0,) if protected == 0 else range(1, len(menu.entries)))
    )


def check_bits(item: MenuEntry, data_bits: int) -> int:
    """Check bits of so many data bits of one tensor under an entry, whole words counted."""
    if item.code is not None:
        return -(-data_bits // item.code.k) * item.code.parity
    return ceil(item.parity_per_bit * data_bits)


@dataclass(frozen=True, eq=False)
class WidthTable:
    """All choices for all tensors of an image.

    ``image`` : as many planes as a weight may have, and the scales that the steps are chosen for; ``weights`` as
    trained, by name; ``importance`` [weights] in the image's order.  ``credit`` [T, planes + 1]: factor on what
    rounding to so many planes leaves (None: 1).

    Raises ValueError for a number format whose planes have no constant significance.
    """

    image: StoredImage
    weights: Mapping[str, Float32]
    importance: Float64
    channel: FlipChannel
    menu: Menu
    credit: Float64 | None = None

    def __post_init__(self) -> None:
        form = self.image.format
        if not (form.linear and np.array_equal(np.abs(form.significance), 2.0 ** np.arange(form.bits))):
            raise ValueError(
                f"planes are chosen for integers in two's complement or offset binary; the weights are {form.name}"
            )

    @cached_property
    def choices(self) -> tuple[Width, ...]:
        """Every choice, in the order of the columns."""
        return widths(self.image.planes, self.menu)

    @cached_property
    def bits(self) -> Int64:
        """Data and check bits of every tensor under every choice, int64 [T, choices]."""
        entries = self.menu.entries
        sizes = [t.weights for t in self.image.tensors]
        return np.array(
            [
                [n * one.stored + check_bits(entries[one.entry], n * one.protected) for one in self.choices]
                for n in sizes
            ],
            dtype=np.int64,
        )

    @cached_property
    def noise(self) -> Float64:
        """Mean squared error of a weight that flips leave under every choice, in squares of its step, [choices]."""
        p01, p10 = self.menu.residuals(self.channel)  # [planes, entries]
        left, planes = balanced_variance(p01, p10), self.image.planes
        found = np.empty(len(self.choices))
        for i, one in enumerate(self.choices):
            kept = np.where(np.arange(one.stored) >= one.open, one.entry, 0)
            mine = left[np.arange(planes - one.stored, planes), kept]
            found[i] = float(mine @ 4.0 ** np.arange(one.stored))
        return found

    @cached_property
    def damage(self) -> Float64:
        """Predicted distortion of every tensor under every choice, at its best steps, float64 [T, choices]."""
        stored = np.array([one.stored for one in self.choices])
        found = np.empty((len(self.image.tensors), len(self.choices)))
        for t in range(len(self.image.tensors)):
            for planes in np.unique(stored).tolist():
                mine = stored == planes
                total = self._left(t, planes)[:, None, :] + self._per_noise(t, planes)[:, None, :] * self._of(mine)
                found[t, mine] = total.min(axis=0).sum(axis=1)
        return found

    def steps(self, tensor: int, planes: int, noise: float) -> Float32:
        """The best step of every scale of a tensor of so many planes, float32 [scales]; ``noise`` in squares of it."""
        total = self._left(tensor, planes) + self._per_noise(tensor, planes) * noise
        candidates = self._candidates(tensor, planes)
        best: Float32 = np.take_along_axis(candidates, np.argmin(total, axis=0)[None, :], axis=0)[0]
        layout = self.image.tensors[tensor].layout
        return layout.rounded(best)

    def _of(self, mine: Bool) -> Float64:
        return self.noise[mine][None, :, None]

    def _candidates(self, tensor: int, planes: int) -> Float32:
        """Steps that are tried for every scale, from the one that clips nothing down: float32 [candidates, scales]."""
        stored = self.image.tensors[tensor]
        peak = stored.layout.reduce(np.maximum, np.abs(self._weights(stored))).astype(np.float64)
        there = peak[peak > 0.0]
        peak = np.where(peak > 0.0, peak, there.min() if there.size else 1.0)
        top = np.ceil(LOG_STEPS * np.log2(peak / ((1 << (planes - 1)) - 0.5)))
        return grid_step(top[None, :] - np.arange(OCTAVES * LOG_STEPS)[:, None])

    def _left(self, tensor: int, planes: int) -> Float64:
        """What rounding to so many planes leaves, at every candidate: float64 [candidates, scales]."""
        key = (tensor, planes)
        if key not in self._known:
            t = self.image.tensors[tensor]
            steps, half = self._candidates(tensor, planes).astype(np.float64), 1 << (planes - 1)
            out = np.zeros(steps.shape)
            flat = self._weights(t).reshape(-1).astype(np.float64)
            _rounding_errors(flat, self._worth(tensor), scale_of_weight(t), steps, (-half, half - 1), out)
            self._known[key] = out * (1.0 if self.credit is None else self.credit[tensor, planes])
        return self._known[key]

    def _per_noise(self, tensor: int, planes: int) -> Float64:
        """What one square of a step of noise costs, at every candidate: float64 [candidates, scales]."""
        t = self.image.tensors[tensor]
        worth = np.bincount(scale_of_weight(t), self._worth(tensor), minlength=t.scale.size)
        squares: Float64 = worth * self._candidates(tensor, planes).astype(np.float64) ** 2
        return squares

    def _weights(self, tensor: StoredTensor) -> Float32:
        return np.asarray(self.weights[tensor.name], dtype=np.float32).reshape(tensor.shape)

    def _worth(self, tensor: int) -> Float64:
        begin, end = self.image.tensor_starts[tensor : tensor + 2]
        return self.importance[begin:end]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Float64]:
        return {}


def scale_of_weight(tensor: StoredTensor) -> Int64:
    """Index of the scale of every weight, int64 [weights]."""
    spread = tensor.layout.spread(np.arange(tensor.scale.size), tensor.shape)
    return np.ascontiguousarray(np.broadcast_to(spread, tensor.shape)).reshape(-1)


@njit()
def _rounding_errors(
    weight: Float64, worth: Float64, owner: Int64, steps: Float64, levels: tuple[int, int], out: Float64
) -> None:
    """Adds worth (Q(w) - w)^2 of every weight to its scale, at every step: out [candidates, scales]."""
    low, high = levels
    for j in range(weight.size):
        scale = owner[j]
        for c in range(steps.shape[0]):
            step = steps[c, scale]
            level = min(max(np.rint(weight[j] / step), low), high)
            out[c, scale] += worth[j] * (level * step - weight[j]) ** 2
