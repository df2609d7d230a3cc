"""A network's weights as they lie in the memory: packed codes, scales, and the way back to tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Bool, Codes, Float32, Int64
from qtaml_hw.names import GroupKind
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.one_by_one import Made, OneByOne
from qtaml_hw.weights.parts import ROLES, ScalePart, given_parts, lower_steps, product
from qtaml_hw.weights.scales import PER_TENSOR, ScaleLayout
from qtaml_hw.weights.sizes import planes_by_damage

WORD_WEIGHTS = 32  # weights per "word" group: one 256-bit row segment of int8 codes


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """One weight tensor in the memory: weight = scale x (level - zero) + minimum, in float32 in this order.

    ``codes`` is flat in C order [weights], in ``format``; ``scale`` float32 [scales] is the step of one level of the
    weights that ``layout`` gives it, ``zero`` and ``minimum`` float32 [scales] belong to the same weights (None: 0).
    ``parts``: the codes that these consist of where they have some, as ``made_of`` reads them.  Planes in the bit mask
    ``inverted`` are stored inverted: a code means what the format says of ``code ^ inverted``.  ``part_of``: this is
    no weight but that part, by number, of the scales of the tensor named.
    """

    name: str
    shape: tuple[int, ...]
    codes: Codes
    format: NumberFormat
    scale: Float32
    layout: ScaleLayout = PER_TENSOR
    inverted: int = 0
    zero: Float32 | None = None
    minimum: Float32 | None = None
    parts: tuple[ScalePart, ...] = ()
    part_of: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if self.codes.shape != (int(np.prod(self.shape)),):
            raise ValueError(f"{self.name}: {self.codes.shape} codes do not fill a tensor of shape {self.shape}")
        expected = self.layout.count(self.shape)
        for what in ("scale", "zero", "minimum"):
            array = getattr(self, what)
            if array is not None and array.shape != (expected,):
                raise ValueError(f"{self.name}: {what} has shape {array.shape}, {self.layout.kind} needs ({expected},)")
        for array in (self.codes, self.scale, self.zero, self.minimum):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def made_of(
        cls,
        name: str,
        shape: tuple[int, ...],
        codes: Codes,
        format: NumberFormat,
        layout: ScaleLayout,
        parts: tuple[ScalePart, ...],
    ) -> StoredTensor:
        """A tensor whose scales, zero points and minima are the products of stored parts.

        Raises ValueError for parts that do not fit, or none of a scale.
        """
        count = layout.count(shape)
        scale = product(parts, "scale", count)
        if scale is None:
            raise ValueError(f"{name}: no part is a scale")
        zero, minimum = product(parts, "zero", count), product(parts, "minimum", count)
        return cls(name, shape, codes, format, scale, layout, zero=zero, minimum=minimum, parts=parts)

    def scale_of_weight(self) -> Int64:
        """Index of the scale of every weight, int64 [weights]."""
        spread = self.layout.spread(np.arange(self.scale.size), self.shape)
        return np.ascontiguousarray(np.broadcast_to(spread, self.shape)).reshape(-1)

    def with_parts(self) -> StoredTensor:
        """The tensor with codes for its scales, zero points and minima, where it has such and they have none."""
        if self.parts or self.format.scaling == "none" or self.layout.step:
            return self
        return replace(self, parts=given_parts(self.scale, self.zero, self.minimum, self.format.bits))

    def part_tensors(self) -> tuple[StoredTensor, ...]:
        """The parts of its scales as tensors of the memory, flat and without a scale of their own; a step of the lower
        half of a float32 is worth what the exponent of its upper half says."""
        one, each = np.ones(1, dtype=np.float32), ScaleLayout("per_channel")
        found = []
        for i, part in enumerate(self.parts):
            own, layout = (lower_steps(self.parts[i - 1].codes), each) if part.lower else (one, PER_TENSOR)
            name, flat = f"{self.name}:{part.role}{i}", part.codes.shape
            found.append(StoredTensor(name, flat, part.codes, part.format, own, layout, part_of=(self.name, i)))
        return tuple(found)

    def reading(self, parts: Sequence[Codes]) -> StoredTensor:
        """The tensor with scales, zero points and minima as the codes of its parts are read."""
        count = self.scale.size
        with np.errstate(over="ignore", invalid="ignore"):
            scale, zero, minimum = (product(self.parts, role, count, parts) for role in ROLES)
        assert scale is not None  # ``made_of`` refuses others
        return replace(self, scale=scale, zero=zero, minimum=minimum)

    @property
    def zero_code(self) -> int | None:
        """The code that stands for zero; None where every scale has its own zero point or minimum."""
        return self.format.zero_code if self.zero is None and self.minimum is None else None

    @property
    def scale_bits(self) -> int:
        """Bits of scales, zero points and minima; none where the format has its own range."""
        if self.parts:
            return sum(part.bits for part in self.parts)
        if self.format.scaling == "none":
            return 0
        own, count = self.layout.bits(self.shape), self.scale.size
        zeros = 0 if self.zero is None else count * self.format.bits
        return own + zeros + (0 if self.minimum is None else own)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(self.codes.size)

    @property
    def meant_codes(self) -> Codes:
        """The codes in the format's own planes, inversion taken back."""
        return self.codes ^ self.codes.dtype.type(self.inverted) if self.inverted else self.codes

    def meant_flips(self, p01: NDArray[np.float64], p10: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """P(flip to 1) and P(flip to 0) of the format's own planes [..., B] where cells flip with p01 and p10."""
        swapped = (self.inverted >> np.arange(p01.shape[-1])) & 1 == 1
        return [np.where(swapped, p10, p01), np.where(swapped, p01, p10)]

    @property
    def channel_weights(self) -> int:
        """Weights per output channel (the first axis)."""
        return self.weights // self.shape[0] if self.shape else 1

    def weight_scale(self) -> NDArray[np.float32]:
        """The scale of every weight, broadcastable against flat codes: [1] or [weights]."""
        if self.scale.size == 1:
            return self.scale
        spread: NDArray[np.float32] = np.broadcast_to(self.layout.spread(self.scale, self.shape), self.shape)
        return spread.reshape(-1)

    def decode(
        self, codes: Codes, tables: NDArray[np.float64] | None = None, pattern: NDArray[np.uint16] | None = None
    ) -> NDArray[np.float32]:
        """Weights in float32, of the tensor's shape, from codes [weights] and decode tables in LSB.

        ``tables`` is [2^B] (default: the format's own), or [P, 2^B] with the table of every weight in ``pattern``
        [weights].
        """
        table = (self.format.decode_table if tables is None else tables).astype(np.float32)
        meant = codes ^ codes.dtype.type(self.inverted) if self.inverted else codes
        levels = (table[meant] if pattern is None else table[pattern, meant]).reshape(self.shape)
        with np.errstate(over="ignore", invalid="ignore"):  # a scale that is read wrong may be too large for any weight
            if self.zero is not None:
                levels = levels - self.layout.spread(self.zero, self.shape)
            weights: NDArray[np.float32] = levels * self.layout.spread(self.scale, self.shape)
            return weights if self.minimum is None else weights + self.layout.spread(self.minimum, self.shape)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """All stored tensors of a network, in network order; weights have one global index, tensor after tensor.

    Tensors may differ in their formats; their codes then are all of the widest one's type, a narrow code in the low
    planes of it.
    """

    tensors: tuple[StoredTensor, ...]

    def __post_init__(self) -> None:
        if not self.tensors:
            raise ValueError("the network stores no weights: nothing that it multiplies with was found")
        wide = np.result_type(*(t.codes.dtype for t in self.tensors))
        if any(t.codes.dtype != wide for t in self.tensors):
            object.__setattr__(self, "tensors", tuple(replace(t, codes=t.codes.astype(wide)) for t in self.tensors))

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors' names."""
        return tuple(t.name for t in self.tensors)

    @cached_property
    def formats(self) -> tuple[NumberFormat, ...]:
        """The number formats of the tensors, each once, that of most weights first."""
        held: dict[NumberFormat, int] = {}
        for t in self.tensors:
            held[t.format] = held.get(t.format, 0) + t.weights
        return tuple(sorted(held, key=lambda form: -held[form]))

    @property
    def format_name(self) -> str:
        """The name of the format, or of all that occur, that of most weights first."""
        return " + ".join(form.name for form in self.formats)

    @property
    def format(self) -> NumberFormat:
        """The one format of all tensors.

        Raises ValueError where they differ.
        """
        if len(self.formats) > 1:
            raise ValueError(f"the stored tensors have several number formats: {self.format_name}")
        return self.formats[0]

    @property
    def decode_ge(self) -> float:
        """Gates that decode a code of any tensor: those of the format that takes most."""
        return max(form.decode_ge for form in self.formats)

    @property
    def zero_code(self) -> int:
        """The code that stands for zero in all tensors.

        Raises ValueError where they differ in it.
        """
        found = {t.zero_code for t in self.tensors}
        if len(found) != 1 or None in found:
            raise ValueError("no one code is zero in all stored tensors: their formats or zero points differ")
        return int(next(iter(found)) or 0)

    @cached_property
    def planes(self) -> int:
        """Bit planes of the widest weights."""
        return max(t.format.bits for t in self.tensors)

    @cached_property
    def tensor_planes(self) -> Int64:
        """Bit planes of the weights of every tensor, int64 [tensors]."""
        return np.array([t.format.bits for t in self.tensors], dtype=np.int64)

    @property
    def absent(self) -> Bool:
        """Planes that a tensor does not have, bool [tensors, planes]."""
        return np.asarray(np.arange(self.planes) >= self.tensor_planes[:, None])

    @cached_property
    def tensor_starts(self) -> NDArray[np.int64]:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""
        return np.concatenate([[0], np.cumsum([t.weights for t in self.tensors])]).astype(np.int64)

    @property
    def weights(self) -> int:
        """Number of stored weights."""
        return int(self.tensor_starts[-1])

    @property
    def stored_bits(self) -> int:
        """Data bits in the memory, parity not counted."""
        return int(np.diff(self.tensor_starts) @ self.tensor_planes)

    @property
    def metadata_bits(self) -> int:
        """Bits of all scales, which are kept beside the memory; none where the format has its own range."""
        stored = {t.part_of[0] for t in self.tensors if t.part_of is not None}
        return sum(t.scale_bits for t in self.tensors if t.part_of is None and t.name not in stored)

    @cached_property
    def weight_tensors(self) -> tuple[StoredTensor, ...]:
        """The tensors that are weights, without those that are parts of scales."""
        return tuple(t for t in self.tensors if t.part_of is None)

    @property
    def network_weights(self) -> int:
        """Number of weights, parts of scales not counted."""
        return sum(t.weights for t in self.weight_tensors)

    @cached_property
    def _parts(self) -> dict[str, list[int]]:
        """Places of the parts of every tensor whose scales are stored."""
        found: dict[str, list[int]] = {}
        for i, t in enumerate(self.tensors):
            if t.part_of is not None:
                found.setdefault(t.part_of[0], []).append(i)
        return found

    @property
    def read_with(self) -> Int64:
        """The tensor that each one is read with, itself or the weights whose scales it holds: int64 [tensors]."""
        place = {t.name: i for i, t in enumerate(self.tensors)}
        return np.array([place[t.part_of[0] if t.part_of else t.name] for t in self.tensors], dtype=np.int64)

    def as_read(self, place: int, codes: Sequence[Codes]) -> StoredTensor:
        """The weight tensor at a place, its scales as these codes give them."""
        t = self.tensors[place]
        parts = self._parts.get(t.name)
        return t if parts is None else t.reading([codes[j] for j in parts])

    def each(self, make: Callable[[int], Made], key: Callable[[int], bytes] | None = None) -> OneByOne[Made]:
        """What ``make`` gives of the place of every weight tensor, by name; ``key`` as of ``OneByOne``."""
        return OneByOne({t.name: i for i, t in enumerate(self.tensors) if t.part_of is None}, make, key)

    def with_stored_scales(self) -> StoredImage:
        """The image with the parts of all scales as tensors of their own, each behind its weights.

        Numbers that a file brings without a code are float32.  Raises ValueError for those that are not finite.
        """
        coded = (t.with_parts() for t in self.tensors)
        return StoredImage(tuple(one for t in coded for one in (t, *t.part_tensors())))

    @property
    def storage_bits_per_weight(self) -> float:
        """Planes and each weight's share of the scales; parity not counted."""
        return (self.stored_bits + self.metadata_bits) / self.weights

    @cached_property
    def plane_orders(self) -> Int64:
        """Planes of every tensor from the most to the least significant, int64 [tensors, planes]; absent ones last."""
        if len(self.formats) == 1:
            return np.tile(self.plane_order, (len(self.tensors), 1))
        damage = np.full((len(self.tensors), self.planes), -1.0)
        for i, t in enumerate(self.tensors):
            worth = np.broadcast_to(t.weight_scale().astype(np.float64) ** 2, t.weights)
            counts = np.bincount(t.meant_codes, weights=worth, minlength=1 << t.format.bits)
            damage[i, : t.format.bits] = counts @ t.format.flip_damage
        return np.stack([planes_by_damage(row) for row in damage])

    @cached_property
    def plane_order(self) -> NDArray[np.int64]:
        """Planes from the most to the least significant, int64 [planes].

        By the mean squared change of a stored weight when that plane alone flips (docs/formats.md): positions from the
        top where significance is constant, the exponent from its top bit down in floating-point codes.  Ties go to the
        higher plane.
        """
        if len(self.formats) == 1 and self.format.linear:
            return planes_by_damage(self.format.significance**2)
        damage = np.zeros(self.planes)
        for t in self.tensors:
            worth = np.broadcast_to(t.weight_scale().astype(np.float64) ** 2, t.weights)
            counts = np.bincount(t.meant_codes, weights=worth, minlength=1 << t.format.bits)
            damage[: t.format.bits] += counts @ t.format.flip_damage
        return planes_by_damage(damage)

    @cached_property
    def digest(self) -> str:
        """sha256 over format, names, shapes, codes and scales."""
        h = hashlib.sha256(self.format_name.encode())
        for t in self.tensors:
            h.update(f"{t.name}{t.shape}{f'~{t.inverted}' if t.inverted else ''}".encode())
            h.update(np.ascontiguousarray(t.codes).data)
            for array in (t.scale, t.zero, t.minimum):
                h.update(b"" if array is None else np.ascontiguousarray(array).data)
        return h.hexdigest()

    def codes(self) -> list[Codes]:
        """The stored codes, tensor by tensor (read-only)."""
        return [t.codes for t in self.tensors]

    def decode(self, codes: Sequence[Codes] | None = None) -> dict[str, NDArray[np.float32]]:
        """Tensors by name from codes, tensor by tensor (default: the stored ones)."""
        return dict(self.decoded(codes))

    def decoded(self, codes: Sequence[Codes] | None = None) -> OneByOne[Float32]:
        """The same, each decoded when it is asked for."""
        read = self.codes() if codes is None else codes
        return self.each(lambda i: self.as_read(i, read).decode(read[i]))

    def decode_changed(self, tensor: int, codes: Codes) -> tuple[str, Float32]:
        """A weight tensor by name as it is with other codes of it, or of a part of its scales, at place ``tensor``."""
        name = (self.tensors[tensor].part_of or (self.tensors[tensor].name,))[0]
        read = [*self.codes()]
        read[tensor] = codes
        return name, self.decoded(read)[name]

    def group_starts(self, kind: GroupKind, word_weights: int = WORD_WEIGHTS) -> NDArray[np.int64]:
        """First global weight index of every group, and the total: int64 [groups + 1].

        Groups are contiguous and never straddle tensors: whole layers, output channels (first axis), or runs of
        ``word_weights`` neighbouring weights ("row": as many as a row of the memory holds).
        """
        parts = []
        for start, t in zip(self.tensor_starts, self.tensors, strict=False):
            step = {"layer": t.weights, "channel": t.channel_weights}.get(kind, word_weights)
            parts.append(np.arange(start, start + t.weights, step, dtype=np.int64))
        return np.concatenate([*parts, self.tensor_starts[-1:]])
