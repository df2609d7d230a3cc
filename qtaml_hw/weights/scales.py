"""Which weights share a scale, and what those scales cost to store.

Scales lie beside the weights in registers or a guarded memory and are taken to be error-free; their bits are counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.errors import unknown
from qtaml_hw.names import SCALES, Scale, grouped, stated_step
from qtaml_hw.weights.grids import GRIDS

Kind = Literal["per_tensor", "per_channel", "per_input_channel", "per_group"]
KINDS: tuple[Kind, ...] = ("per_tensor", "per_channel", "per_input_channel", "per_group")
Granularity = Scale
GRANULARITIES = SCALES
FLOAT32_BITS, BFLOAT16_BITS = 32, 16

Shape = tuple[int, ...]
Axes = tuple[Shape, Shape]
"""Axes along which every index is an output channel (of one expert), and those of input channels."""


@dataclass(frozen=True)
class ScaleLayout:
    """Scales of a tensor whose first axis is the output channel and whose second is the input channel.

    ``per_group``: runs of ``group`` neighbouring weights of one output channel, the last run of a channel shorter
    where it must be.  Vectors (biases, norms) have one scale.  ``axes``: the channels of a tensor that lies otherwise,
    such as [in, out], or [expert, out, in] with the channels of every expert.  ``grid``: of scales in 8 bits each, by
    its name in ``grids.GRIDS``; empty for numbers of two or four bytes.  ``step``: one for all tensors, which is part
    of the design and stored nowhere; 0 where every scale follows its weights.  ``stored``: scales lie in the memory
    with the weights, where none has 32 bits.

    Raises ValueError for an unknown kind or grid, or a group without the kind or the other way round.
    """

    kind: Kind = "per_tensor"
    group: int = 0
    axes: tuple[int, ...] = ()
    grid: str = ""
    step: float = 0.0
    stored: bool = False

    def __post_init__(self) -> None:
        if self.step < 0.0 or (self.step > 0.0 and (self.kind != "per_tensor" or self.grid)):
            raise ValueError(f"a stated step is positive and one for all weights; got {self.step:g}, {self.kind}")
        if self.kind not in KINDS:
            raise ValueError(unknown("scale", self.kind, KINDS))
        if self.grid and self.grid not in GRIDS:
            raise ValueError(unknown("grid of scales", self.grid, GRIDS))
        if (self.kind == "per_group") != (self.group > 0):
            raise ValueError(f"a group size goes with per_group and with nothing else; got {self.kind}, {self.group}")

    @classmethod
    def of(cls, name: str) -> ScaleLayout:
        """The layout of a name: ``per_channel``, ``group-64``, ``group-32-e8m0``, ``q1.6``, ``step-2^-6``.

        Raises ValueError for one that is not there.
        """
        if (step := stated_step(name)) is not None:
            return cls(step=step)
        if (runs := grouped(name)) is not None:
            return cls("per_group", group=runs[0], grid=runs[1])
        if name not in GRANULARITIES:
            raise ValueError(unknown("scale", name, GRANULARITIES))
        if name == "per_channel_log8":
            return cls("per_channel", grid="log8")
        return cls(cast(Kind, name))

    @property
    def scale_bits(self) -> int:
        """Bits of one scale: float32, or where their number counts bfloat16 in groups, or a place on a grid."""
        if self.grid:
            return GRIDS[self.grid].bits
        return BFLOAT16_BITS if self.stored or self.kind == "per_group" else FLOAT32_BITS

    def bits(self, shape: Shape) -> int:
        """Bits of all scales of a tensor."""
        if self.step:
            return 0
        return self.count(shape) * self.scale_bits + (GRIDS[self.grid].tensor_bits if self.grid else 0)

    def turned(self, axes: Axes | None) -> ScaleLayout:
        """The same for a tensor whose output and input channels lie along other axes than the first and second."""
        own = {"per_channel": 0, "per_input_channel": 1}.get(self.kind)
        return self if axes is None or own is None else replace(self, axes=axes[own])

    def _kept(self, shape: Shape) -> Shape:
        """Axes along which every index has a scale of its own."""
        usual = {"per_tensor": (), "per_channel": (0,), "per_input_channel": (min(1, len(shape) - 1),)}
        return self.axes or usual[self.kind]

    def count(self, shape: Shape) -> int:
        """How many scales a tensor has; a scalar has one."""
        if not shape or self.kind == "per_tensor":
            return 1
        if self.kind == "per_group":
            return shape[0] * -(-int(np.prod(shape[1:])) // self.group)
        return math.prod(shape[axis] for axis in self._kept(shape))

    def reduce(self, ufunc: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """A reduction such as ``np.maximum`` over the weights of every scale: [scales] from a tensor of any shape."""
        if self.kind == "per_group":
            flat = values.reshape(-1)
            result: NDArray[Any] = ufunc.reduceat(flat, self._starts(values.shape))
            return result
        kept = self._kept(values.shape)
        axes = tuple(axis for axis in range(values.ndim) if axis not in kept)
        reduced: NDArray[Any] = np.asarray(ufunc.reduce(values, axis=axes))
        return reduced.reshape(-1)

    def spread(self, scale: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """Scales [scales] in a shape that broadcasts against the tensor."""
        if self.kind == "per_group":
            return np.repeat(scale, self._lengths(shape)).reshape(shape)
        kept = self._kept(shape)
        return scale.reshape([size if axis in kept else 1 for axis, size in enumerate(shape)])

    def rounded(self, scale: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scales [scales] of one tensor as they are stored, rounded up so that no weight leaves the range.

        On the grid of a tensor, in bfloat16, or float32 as they are.
        """
        if self.grid:
            return GRIDS[self.grid].rounded(scale)
        if self.scale_bits == FLOAT32_BITS:
            return scale
        raised = scale.view(np.uint32).astype(np.uint64) + 0xFFFF
        return (raised & 0xFFFF0000).astype(np.uint32).view(np.float32)

    def _lengths(self, shape: Shape) -> NDArray[np.int64]:
        columns = int(np.prod(shape[1:]))
        edges = np.append(np.arange(0, columns, self.group), columns)
        return np.tile(np.diff(edges), shape[0])

    def _starts(self, shape: Shape) -> NDArray[np.int64]:
        lengths = self._lengths(shape)
        return np.cumsum(lengths) - lengths


PER_TENSOR = ScaleLayout()
