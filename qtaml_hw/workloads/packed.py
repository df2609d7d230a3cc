"""Folders of weights that are packed into 32-bit words: GPTQ, AWQ and compressed-tensors, read as data.

Layouts: GPTQ packs neighbours along the inputs and its zero points along the outputs, one less than they are (AutoGPTQ,
``checkpoint_format: gptq``; ``gptq_v2`` as they are); AWQ packs eight outputs in the order 0 2 4 6 1 3 5 7
(mit-han-lab/llm-awq); compressed-tensors' ``pack-quantized`` packs neighbours along the inputs, levels counted from the
lowest.  Lowest bits first in all of them; scale x (level - zero).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from qtaml_hw.arrays import Int64
from qtaml_hw.weights.floats import FloatFormat
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.weights.parts import ScalePart, float32_parts
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.shards import files_of

Array = NDArray[Any]
Tensors = Mapping[str, torch.Tensor]
WORD: Final = 32  # bits
BITS: Final = (2, 4, 8)  # of a level: those that fill a word
AWQ_ORDER: Final = (0, 2, 4, 6, 1, 3, 5, 7)
"""Output that each nibble of a word holds, lowest bits first."""
HALVES: Final = {torch.float16: "float16", torch.bfloat16: "bfloat16"}
SETTINGS: Final = {
    "config.json": ("quantization_config", ""),
    "quantize_config.json": ("", "gptq"),
    "quant_config.json": ("", "awq"),
}
"""Where a folder says how it is quantised: under which key, and the method where it names none."""
READ: Final = {
    "gptq": ("checkpoint_format", ("gptq", "gptq_v2")),
    "awq": ("version", ("gemm",)),
    "compressed-tensors": ("format", ("pack-quantized",)),
}
"""Methods that are read -> the setting that names a layout, and the layouts that are read, the usual one first."""
LONGEST_SETTINGS: Final = 1 << 20  # bytes


@dataclass(frozen=True)
class CountedFromOne(UnsignedFormat):
    """Levels that are written one less than they are, as GPTQ writes zero points."""

    @property
    def name(self) -> str:
        """``uint4+1`` and the like."""
        return f"uint{self.bits}+1"

    def _values(self) -> NDArray[np.float64]:
        return np.arange(1 << self.bits, dtype=np.float64) + 1.0


@dataclass(frozen=True, eq=False)
class QuantisedFolder:
    """The tensors of a folder by the names of a network's parameters.

    ``tensors``: packed weights [out, in] as their own codes, scales and zero points, all others as they are;
    ``orders``: of a weight whose groups are of inputs that lie apart (activation order), which input each of its
    columns is of, int64 [in]: the columns of a group lie together, as kernels keep them.
    """

    tensors: dict[str, StoredTensor | torch.Tensor]
    orders: dict[str, Int64]


@dataclass(frozen=True)
class Pack:
    """A packed weight: its name, its kind, and its tensors by what they hold (``qweight``, ``scales`` and so on)."""

    name: str
    kind: str
    held: Mapping[str, str]

    def read(self, tensors: Tensors, shift: bool) -> Read:
        """The weight from the folder's tensors by name; ``shift``: see ``shifted``."""
        return KINDS[self.kind][1](self.name, self.own(tensors), shift)

    def own(self, tensors: Tensors) -> dict[str, torch.Tensor]:
        """Its tensors by what they hold."""
        return {part: tensors[name] for part, name in self.held.items()}


def packs_of(names: Collection[str]) -> list[Pack]:
    """The packed weights among the tensors of a folder.  Raises ValueError for one that lacks a part."""
    found = []
    for kind, (ending, _) in KINDS.items():
        for stem in (name.removesuffix(ending) for name in names if name.endswith(ending)):
            missing = [part for part in _NEEDED[kind] if stem + part not in names]
            if missing:
                raise ValueError(f"{stem} lacks {', '.join(missing)}")
            found.append(
                Pack(f"{stem}weight", kind, {part: stem + part for part in _PARTS[kind] if stem + part in names})
            )
    return found


def shifted(told: Mapping[str, Any]) -> bool:
    """Whether a folder that says this of itself writes zero points one less than they are.

    Raises ValueError for what is not read.
    """
    _check_settings(told)
    return bool(told.get("checkpoint_format", "gptq") != "gptq_v2")


def read_quantised_folder(path: str | Path) -> QuantisedFolder:
    """The tensors of a folder (or file).

    Raises InputError, one line: files that cannot be read, weights whose parts are missing or do not fit, bits other
    than 2, 4 and 8, and groups of several sizes.
    """
    place = Path(path)
    with readable(place, "folder of packed weights"):
        shift = shifted(quantisation_of(place))
        tensors: dict[str, torch.Tensor] = {}
        for file in files_of(place)[0]:
            with safe_open(file, "pt") as opened:
                tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        found: dict[str, StoredTensor | torch.Tensor] = {}
        orders: dict[str, Int64] = {}
        used: set[str] = set()
        for pack in packs_of(tensors):
            found[pack.name], order = pack.read(tensors, shift)
            orders |= {} if order is None else {pack.name: order}
            used |= set(pack.held.values())
        plain = {name: tensor for name, tensor in tensors.items() if name not in used}
        return QuantisedFolder({**found, **plain}, orders)


def quantisation_of(place: Path) -> dict[str, Any]:
    """What a folder (or the folder of a file) says of its quantisation; empty where it says nothing.

    Raises InputError for settings that cannot be read.
    """
    folder = place if place.is_dir() else place.parent
    for name, (inside, method) in SETTINGS.items():
        file = folder / name
        if file.is_file() and file.stat().st_size <= LONGEST_SETTINGS:
            with readable(file, "JSON file"):
                told = json.loads(file.read_text(encoding="utf-8"))
            found = told.get(inside) if inside and isinstance(told, dict) else told
            if isinstance(found, dict):
                return {"quant_method": method, **found}
    return {}


def _check_settings(told: Mapping[str, Any]) -> None:
    """Raises ValueError for what the folder says of itself and is not read."""
    method = told.get("quant_method", "gptq")
    if method not in READ:
        raise ValueError(f"it is quantised by {str(method)[:40]}; read are {', '.join(READ)}")
    key, usual = READ[method]
    layout = str(told.get(key, usual[0])).lower()
    if layout not in usual:
        raise ValueError(f"its {key} is {layout[:40]}; read of {method} is {' or '.join(usual)}")


def unpacked(words: Array, bits: int, axis: int) -> Array:
    """Levels uint8 of words int32, lowest bits first, along an axis.  Raises ValueError for bits that fill no word."""
    if bits not in BITS:
        raise ValueError(f"{bits} bits a weight are not read; {', '.join(map(str, BITS))} are")
    turned = np.moveaxis(words.astype(np.int32).view(np.uint32), axis, -1)
    parts = (turned[..., None] >> np.arange(0, WORD, bits, dtype=np.uint32)) & np.uint32((1 << bits) - 1)
    return np.moveaxis(parts.reshape(*turned.shape[:-1], -1), -1, axis).astype(np.uint8)


def packed(levels: Array, bits: int, axis: int) -> Array:
    """Words uint32 of levels, lowest bits first, along an axis; the last word is filled with zeros."""
    turned = np.moveaxis(levels.astype(np.uint32), axis, -1)
    room = [(0, 0)] * (turned.ndim - 1) + [(0, -turned.shape[-1] % (WORD // bits))]
    runs = np.pad(turned, room).reshape(*turned.shape[:-1], -1, WORD // bits)
    words: Array = np.bitwise_or.reduce(runs << np.arange(0, WORD, bits, dtype=np.uint32), axis=-1)
    return np.moveaxis(words, -1, axis)


def _bits(words: int, levels: int, name: str) -> int:
    """Bits of a level when so many words hold so many of them."""
    if not levels or words * WORD % levels:
        raise ValueError(f"{name}: {words} words of {WORD} bits do not hold {levels} levels")
    return words * WORD // levels


def _gptq_or_awq(name: str, own: Tensors, shift: bool) -> Read:
    """Both call their words ``qweight``; AWQ's are narrower than its scales."""
    words, zeros, scales = (own[part] for part in ("qweight", "qzeros", "scales"))
    if words.ndim != 2 or zeros.ndim != 2 or scales.ndim != 2:
        raise ValueError(f"{name}: qweight, qzeros and scales have two axes")
    if words.shape[1] == scales.shape[1]:
        bits = _bits(zeros.shape[1], scales.shape[1], name)
        level, zero = unpacked(words.numpy(), bits, 0), unpacked(zeros.numpy(), bits, 1)
        form: NumberFormat = CountedFromOne(bits) if shift else UnsignedFormat(bits)
    else:
        bits, form = _bits(words.shape[1], scales.shape[1], name), UnsignedFormat(4)
        if bits != 4:
            raise ValueError(f"{name}: AWQ has 4 bits a weight, not {bits}")
        level, zero = (_in_order(unpacked(part.numpy(), 4, 1)) for part in (words, zeros))
    order = _order(name, own.get("g_idx"), level.shape[0], len(scales))
    return _stored(name, _in_groups(level.T, order), UnsignedFormat(bits), scales.T, (zero.T, form)), order


def _in_order(level: Array) -> Array:
    back = np.argsort(AWQ_ORDER)
    return level.reshape(len(level), -1, len(back))[..., back].reshape(len(level), -1)


def _compressed(name: str, own: Tensors, shift: bool) -> Read:
    words, scales = own["weight_packed"], own["weight_scale"]
    outputs, inputs = (int(v) for v in own["weight_shape"].tolist())
    bits = next((b for b in BITS if words.shape == (outputs, -(-inputs // (WORD // b)))), 0)
    if not bits or scales.ndim != 2 or len(scales) != outputs:
        raise ValueError(f"{name}: words {tuple(words.shape)} do not hold {outputs} x {inputs} weights")
    order = _order(name, own.get("weight_g_idx"), inputs, scales.shape[1])
    level = _in_groups(unpacked(words.numpy(), bits, 1)[:, :inputs], order)
    zero = own.get("weight_zero_point")
    if zero is None:
        return _stored(name, level, WeightFormat(bits, "offset_binary"), scales, None), order
    levels = unpacked(zero.numpy(), bits, 0)[:outputs]
    return _stored(name, level, UnsignedFormat(bits), scales, (levels, UnsignedFormat(bits))), order


def _order(name: str, index: torch.Tensor | None, inputs: int, groups: int) -> Int64 | None:
    """Inputs in the order of their groups; None where that is their own.  Raises ValueError for unlike groups."""
    if index is None:
        return None
    runs, own = np.arange(inputs) // -(-inputs // groups), index.numpy().reshape(-1)
    if np.array_equal(own, runs):
        return None
    order = np.argsort(own, kind="stable").astype(np.int64)
    if own.size != inputs or not np.array_equal(own[order], runs):
        raise ValueError(f"{name}: its {inputs} inputs do not fall into {groups} groups of one size")
    return order


def _in_groups(level: Array, order: Int64 | None) -> Array:
    return level if order is None else level[:, order]


def _stored(
    name: str, level: Array, form: NumberFormat, scales: torch.Tensor, zero: tuple[Array, NumberFormat] | None
) -> StoredTensor:
    """level [out, in]; scales and zero points [out, groups]."""
    outputs, inputs = level.shape
    if scales.shape[0] != outputs or (zero is not None and zero[0].shape != tuple(scales.shape)):
        raise ValueError(
            f"{name}: scales {tuple(scales.shape)} and zero points do not fit {outputs} x {inputs} weights"
        )
    groups = scales.shape[1]
    layout = ScaleLayout("per_channel") if groups == 1 else ScaleLayout("per_group", -(-inputs // groups))
    if layout.count((outputs, inputs)) != outputs * groups:
        raise ValueError(f"{name}: {inputs} inputs do not fall into {groups} groups of one size")
    parts = [*_scale_parts(name, scales)]
    if zero is not None:
        parts.append(ScalePart("zero", np.ascontiguousarray(zero[0]).reshape(-1), zero[1]))
    codes = np.ascontiguousarray(level).reshape(-1)
    return StoredTensor.made_of(name, (outputs, inputs), codes, form, layout, tuple(parts))


def _scale_parts(name: str, scales: torch.Tensor) -> tuple[ScalePart, ...]:
    """Scales in the type that the folder has them in."""
    if scales.dtype == torch.float32:
        return float32_parts("scale", scales.contiguous().numpy().reshape(-1))
    if scales.dtype not in HALVES:
        told = ", ".join(HALVES.values())
        raise ValueError(f"{name}: scales are {str(scales.dtype).removeprefix('torch.')}; {told} and float32 are read")
    form = FloatFormat(HALVES[scales.dtype])
    patterns = scales.contiguous().view(torch.int16).numpy().view(np.uint16).reshape(-1).copy()
    if np.any(form.special_codes[patterns]):
        raise ValueError(f"{name}: its scales are no finite numbers")
    return (ScalePart("scale", patterns, form),)


Read = tuple[StoredTensor, Int64 | None]
"""A weight, and the order of its inputs where it is not their own."""
KINDS: Final[dict[str, tuple[str, Callable[[str, Tensors, bool], Read]]]] = {
    "gptq": ("qweight", _gptq_or_awq),
    "compressed": ("weight_packed", _compressed),
}
CODES: Final = tuple(ending for ending, _ in KINDS.values())
"""How the names of packed weights end."""
_NEEDED: Final = {
    "gptq": ("qweight", "qzeros", "scales"),
    "compressed": ("weight_packed", "weight_scale", "weight_shape"),
}
_PARTS: Final = {
    "gptq": (*_NEEDED["gptq"], "g_idx"),
    "compressed": (*_NEEDED["compressed"], "weight_zero_point", "weight_g_idx"),
}
