"""What must hold between the sections of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from qtaml_hw.config.yaml_strict import Path

Finding = tuple[Path, Path, str]
"""The field that is wrong, where that is shown, and what is wrong."""

STATIC_KINDS: Final = ("sram6t",)
"""Cells that hold their state without refresh."""


def _refresh_of_static_cell(sections: Mapping[str, Any]) -> Finding | None:
    cell, refresh = sections["cell"], sections["refresh"]
    if cell.kind not in STATIC_KINDS or not refresh.on:
        return None
    path = ("refresh", "interval")
    return path, path, f"a {cell.kind} cell holds its state and is not refreshed; write 'refresh: off'"


def _decay_without_time(sections: Mapping[str, Any]) -> Finding | None:
    cell, refresh, flips, evaluate = (sections[name] for name in ("cell", "refresh", "flips", "evaluate"))
    if refresh.on or cell.kind in STATIC_KINDS or flips.law == "fixed" or "at_s" in evaluate.model_fields_set:
        return None
    message = (
        f"without refresh a {cell.kind} cell decays from the write on, so the result is set by when it is read; "
        "state the times, such as 'at: [10 us, 100 us]'"
    )
    return ("evaluate", "at"), ("refresh", "interval"), message


def _array_holds_no_row(sections: Mapping[str, Any]) -> Finding | None:
    array = sections["array"]
    if array.capacity_bits is None or array.capacity_bits >= array.banks * array.row_bits:
        return None
    smallest = array.banks * array.row_bits
    path = ("array", "capacity")
    return path, path, f"capacity is less than one row in each bank ({smallest} bit = banks x row_bits)"


def _texts_and_encoders(sections: Mapping[str, Any]) -> Finding | None:
    network, data = sections["network"], sections["data"]
    if data.texts is not None and network.encoder is None:
        path = ("data", "texts")
        return path, path, "texts are for an encoder, whose tokenizer reads them: give network.encoder"
    if network.encoder is not None and data.texts is None and data.factory is None:
        path = ("network", "encoder")
        message = "an encoder reads texts: write 'data: {texts: sentences}', a .txt file, or a factory of token numbers"
        return path, path, message
    return None


CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Finding | None]], ...]] = (
    (("cell", "refresh"), _refresh_of_static_cell),
    (("cell", "refresh", "flips", "evaluate"), _decay_without_time),
    (("array",), _array_holds_no_row),
    (("network", "data"), _texts_and_encoders),
)
"""(sections that must be valid, check)."""
