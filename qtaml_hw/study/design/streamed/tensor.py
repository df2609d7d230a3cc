"""One tensor of safetensors shards: its scales and what planning needs, its codes and its weights, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from qtaml_hw.arrays import Codes, Float32, Float64
from qtaml_hw.study.design.streamed.parts import FoundPart, found_parts
from qtaml_hw.study.design.streamed.slots import rows_of
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.parts import Role, ScalePart, product
from qtaml_hw.weights.quantise import in_steps, peak_step, scale_parts, zero_points
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.shards import Slot

BLOCK_VALUES: Final = 1 << 20  # weights in float32 at a time
TOGETHER: Final[tuple[Role, Role]] = ("scale", "zero")


@dataclass(frozen=True, eq=False)
class StreamedTensor:
    """One stored tensor as ``Surveyed``: where it lies, its scales and zero points."""

    slot: Slot
    form: NumberFormat
    layout: ScaleLayout
    scale: Float32
    zero: Float32 | None
    weighted: Float64
    squares: float
    parts: tuple[FoundPart, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.slot.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape in the file."""
        return self.slot.shape

    @property
    def values(self) -> int:
        """Number of weights."""
        return self.slot.values

    @property
    def scale_bits(self) -> int:
        """Bits of scales and zero points, where they are kept beside the memory."""
        if self.parts:
            return 0
        rows = rows_of(self.slot)
        return self.layout.bits((rows, self.slot.values // rows)) + (
            0 if self.zero is None else self.form.bits * self.zero.size
        )

    def codes(self) -> Codes:
        """Its codes, flat, of weights read a block at a time."""
        found, done = np.empty(self.slot.values, dtype=self.form.code_dtype), 0
        for _, block in _coded(self.slot, self._scales):
            found[done : done + block.size] = block.reshape(-1)
            done += block.size
        return found

    def part_codes(self, place: int) -> Codes:
        """The codes of a part of its scales, flat."""
        return self._parts[place].codes

    @property
    def _parts(self) -> tuple[ScalePart, ...]:
        return scale_parts(self.scale, self.zero, self.form, self.layout)

    def blocks(self, parts: Sequence[Codes] = ()) -> Iterator[Rows]:
        """All of it, in order, a block at a time; ``parts``: codes of its scales as they are read."""
        scales = self._scales
        if parts:
            scale, zero = (product(self._parts, role, self.scale.size, parts) for role in TOGETHER)
            assert scale is not None  # every tensor has scales
            scales = _Scales(self.form, self.layout, scale, zero)
        for first, shape in _row_blocks(self.slot):
            yield Rows(scales.of_rows(first, shape), shape)

    @property
    def _scales(self) -> _Scales:
        return _Scales(self.form, self.layout, self.scale, self.zero)


@dataclass(frozen=True, eq=False)
class _Scales:
    """Scales and zero points of a tensor [rows, columns], or of a block of its rows."""

    form: NumberFormat
    layout: ScaleLayout
    scale: Float32
    zero: Float32 | None

    def of_rows(self, first: int, shape: tuple[int, ...]) -> _Scales:
        """Those of a block of rows that begins at row ``first``."""
        if self.layout.kind == "per_tensor":
            return self
        each = self.layout.count((1, *shape[1:]))
        own = slice(first * each, (first + shape[0]) * each)
        return _Scales(self.form, self.layout, self.scale[own], None if self.zero is None else self.zero[own])

    def coded(self, weights: Float32) -> Codes:
        """The nearest codes."""
        return self.form.encode(in_steps(weights, self.scale, self.form, self.layout, self.zero))

    def read(self, codes: Codes) -> Float32:
        """scale x (level - zero), as a whole image reads them."""
        with np.errstate(over="ignore", invalid="ignore"):  # a scale that is read wrong may be too large for any weight
            found: Float32 = self.levels(codes) * self.layout.spread(self.scale, codes.shape)
        return found

    def levels(self, codes: Codes) -> Float32:
        """Levels from the zero point."""
        found = self.form.decode_table.astype(np.float32)[codes]
        return found if self.zero is None else found - self.layout.spread(self.zero, codes.shape)


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a tensor, by their scales."""

    scales: _Scales
    shape: tuple[int, int]

    @property
    def values(self) -> int:
        """Weights of it."""
        return self.shape[0] * self.shape[1]

    def weights(self, codes: Codes) -> Float32:
        """What codes, flat, stand for: flat."""
        return self.scales.read(codes.reshape(self.shape)).reshape(-1)


def _row_blocks(slot: Slot) -> Iterator[tuple[int, tuple[int, int]]]:
    """Whole rows of a tensor, a block at a time: (first row, (rows, columns))."""
    count = rows_of(slot)
    columns = slot.values // count
    step = max(1, BLOCK_VALUES // columns)
    for first in range(0, count, step):
        yield first, (min(step, count - first), columns)


def _blocks(slot: Slot) -> Iterator[tuple[int, Float32]]:
    """The weights of every block: (first row, weights [rows, columns])."""
    for first, (rows, columns) in _row_blocks(slot):
        block = slot.read(first * columns, rows * columns).reshape(rows, columns)
        if not np.isfinite(block).all():
            raise ValueError(f"{slot.name}: weights must be finite")
        yield first, block


def _coded(slot: Slot, scales: _Scales) -> Iterator[tuple[_Scales, Codes]]:
    """(scales of the rows, codes [rows, columns]) of every block."""
    for first, block in _blocks(slot):
        own = scales.of_rows(first, block.shape)
        yield own, own.coded(block)


def _extremes(slot: Slot, layout: ScaleLayout) -> tuple[Float32, Float32]:
    """The least and the largest weight of every scale, zero among them [scales]."""
    found = [(layout.reduce(np.minimum, b), layout.reduce(np.maximum, b)) for _, b in _blocks(slot)]
    least, most = (np.concatenate(side) for side in zip(*found, strict=True))
    if layout.kind == "per_tensor":
        least, most = least.min(keepdims=True), most.max(keepdims=True)
    return np.minimum(least, np.float32(0.0)), np.maximum(most, np.float32(0.0))


def _by_scale(sums: list[Float64], layout: ScaleLayout) -> Float64:
    """Sums of every scale [scales] from those of the blocks of rows."""
    return np.asarray(np.sum(sums, axis=0) if layout.kind == "per_tensor" else np.concatenate(sums))


def survey(slot: Slot, form: NumberFormat, layout: ScaleLayout) -> StreamedTensor:
    """A tensor as it will be stored, from two readings: one for its scales, one for its codes."""
    least, most = _extremes(slot, layout)
    ranged = form.scaling == "range"
    scale = layout.rounded(peak_step(most - least if ranged else np.maximum(most, -least), form))
    zero = zero_points(least, scale, form) if ranged else None
    weighted, squares = np.zeros(1 << form.bits), 0.0
    levels, shared = list[Float64](), list[Float64]()
    for own, codes in _coded(slot, _Scales(form, layout, scale, zero)):
        steps = layout.spread(own.scale, codes.shape).astype(np.float64)
        worth = np.broadcast_to(steps**2, codes.shape).reshape(-1)
        weighted += np.bincount(codes.reshape(-1), weights=worth, minlength=weighted.size)
        if ranged:
            squares += float((own.read(codes).astype(np.float64) ** 2).sum())
        if layout.stored:
            levels.append(layout.reduce(np.add, own.levels(codes).astype(np.float64) ** 2))
            shared.append(layout.reduce(np.add, np.ones(codes.shape)))
    squares = squares if ranged else float(weighted @ form.decode_table**2)
    parts: tuple[FoundPart, ...] = ()
    if layout.stored:
        own_parts = scale_parts(scale, zero, form, layout)
        parts = found_parts(own_parts, scale, *(_by_scale(sums, layout) for sums in (levels, shared)))
    return StreamedTensor(slot, form, layout, scale, zero, weighted, squares, parts)
