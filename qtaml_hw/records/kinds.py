"""What a value of a record may be: one check per kind, with the words that say so in an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

LAYER_COLUMNS: Final = (
    *("name", "kind", "size", "cycles", "macs", "weight_reads", "compute_s", "read_s", "stall_s", "energy_j"),
)  # of a record's layer_table
BUFFER_NUMBERS: Final = (
    *("area_m2", "energy_j", "read_j", "write_j", "codec_j", "refresh_j", "leakage_j", "backing_j"),
    *("refresh_always_j", "refresh_saved"),
)
SPLIT_NUMBERS: Final = (
    *("spent", "protected_bits_fraction", "parity_bits_fraction", "area_m2", "energy_j", "predicted_distortion"),
)  # of a memory in a record's budget_split
BUFFER_LISTS: Final = ("p01", "p10", "numbers", "tokens", "lifetimes_least_s", "lifetimes_s")
STEP_NUMBERS: Final = (
    *("predicted_distortion_before", "predicted_distortion_after"),
    *("quantised_accuracy_before", "quantised_accuracy_after"),
)  # of an entry of a record's transform_effects


_NUMBERS: Final = (int, float)  # a union would be made anew at each of the millions of looks that a store takes
_LARGEST: Final = sys.float_info.max  # beyond it are infinities, and whole numbers that no float holds


@dataclass(frozen=True)
class Kind:
    """``fits`` : whether a value is of this kind; ``words`` : what is expected, to follow "expected"."""

    words: str
    fits: Callable[[Any], bool]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a record's value is a finite number (a bool is not)."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def or_null(kind: Kind) -> Kind:
    """The same, or None: the field has nothing to say."""
    return Kind(f"{kind.words} or null", lambda value: value is None or kind.fits(value))


def between(low: float, high: float) -> Kind:
    """Numbers of a range, both ends included."""
    return Kind(f"a number from {low:g} to {high:g}", lambda value: is_number(value) and low <= value <= high)


def list_of(kind: Kind, words: str) -> Kind:
    """Lists whose every entry is of a kind."""
    return Kind(words, lambda value: isinstance(value, list) and all(map(kind.fits, value)))


def mapping_of(kind: Kind, words: str) -> Kind:
    """Mappings whose every value is of a kind."""
    return Kind(words, lambda value: isinstance(value, Mapping) and all(map(kind.fits, value.values())))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_series(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and is_number(pair[0]) and SHARE.fits(pair[1]) for pair in value
    )


def _is_layers(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and isinstance(v.get("name"), str)
        and is_number(v.get("weights"))
        and is_number(v.get("protected_planes"))
        for v in value
    )


def _is_phases(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict) and is_number(v.get("start_s")) and is_number(v.get("end_s")) for v in value
    )


def _is_classes(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and isinstance(v.get("cell_kind"), str)
        and isinstance(v.get("planes"), list)
        and all(map(_is_whole, v["planes"]))
        and all(is_number(v.get(name)) for name in ("p01", "p10"))
        for v in value
    )


def _is_buffers(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and isinstance(v.get("name"), str)
        and all(is_number(v.get(name)) and v[name] >= 0.0 for name in BUFFER_NUMBERS)
        and all(isinstance(v.get(name), list) and all(map(is_number, v[name])) for name in BUFFER_LISTS)
        and len({len(v[name]) for name in BUFFER_LISTS}) == 1
        and len(v["numbers"]) > 0
        and TEXTS.fits(v.get("values", []))
        and all(number > 0 for name in BUFFER_LISTS[2:] for number in v[name])
        and (v.get("retention_quantiles_s") is None or _is_quantiles(v["retention_quantiles_s"]))
        for v in value
    )


def _is_split(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(part, dict) and all(is_number(part.get(name)) for name in SPLIT_NUMBERS) for part in value.values()
    )


def _is_buffer_flips(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(tally, dict) and all(map(_is_whole, tally.values())) and {"raw", "parity", "left"} <= set(tally)
        for tally in value.values()
    )


def _is_buffer_wrong(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(values, list)
        and all(isinstance(planes, list) and all(map(_is_whole, planes)) for planes in values)
        and len({len(planes) for planes in values}) == 1
        for values in value.values()
    )


def _is_layer_table(value: object) -> bool:
    if not (isinstance(value, dict) and set(value) >= set(LAYER_COLUMNS)):
        return False
    columns = [value[key] for key in LAYER_COLUMNS]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return False
    sizes = all(isinstance(v, list) and len(v) == 4 and all(map(_is_whole, v)) for v in value["size"])
    return sizes and all(is_number(v) for key in LAYER_COLUMNS[3:] for v in value[key])


def _is_energies(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, list) and all(is_number(joules) and joules >= 0.0 for joules in v) for v in value.values()
    )


def _is_quantiles(value: object) -> bool:
    return isinstance(value, dict) and all(_is_decimal(k) and is_number(v) and v > 0 for k, v in value.items())


def _is_decimal(text: str) -> bool:
    try:
        return 0.0 < float(text) < 1.0
    except ValueError:
        return False


def _is_effects(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(effect, dict)
        and isinstance(effect.get("step"), str)
        and all(is_number(effect.get(name)) for name in STEP_NUMBERS)
        for effect in value
    )


NUMBER: Final = Kind("a number", is_number)
TALLY: Final = Kind("a number", is_number)  # of a fault map: its mean over the maps says something
SHARE: Final = Kind("a share from 0 to 1", lambda value: is_number(value) and 0.0 <= value <= 1.0)
INDEX: Final = Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))
WHOLE: Final = Kind("a whole number", _is_whole)
TEXT: Final = Kind("a text", lambda value: isinstance(value, str))
FLAG: Final = Kind("true or false", lambda value: isinstance(value, bool))
PLAIN: Final = Kind("a number or a text", lambda value: value is None or isinstance(value, str | int | float | bool))
TEXTS: Final = list_of(TEXT, "a list of texts")
INTERVALS: Final = list_of(or_null(NUMBER), "a list of numbers, null where nothing is refreshed")
NUMBERS: Final = list_of(NUMBER, "a list of numbers")
COUNTS: Final = list_of(Kind("", _is_whole), "whole numbers, one per time")
TIMED: Final = list_of(NUMBER, "numbers, one per time")
MAPPING: Final = Kind("a mapping", lambda value: isinstance(value, dict))
SPLIT: Final = Kind("a mapping of numbers by memory", _is_split)
AXIS_VALUES: Final = mapping_of(PLAIN, "a mapping of numbers and texts")
SERIES: Final = Kind("pairs of time in s and score", _is_series)
LAYERS: Final = Kind("layers with name, weights and protected_planes", _is_layers)
PHASES: Final = Kind("phases with label, start_s and end_s", _is_phases)
CLASSES: Final = Kind("classes with planes, cell_kind, p01 and p10", _is_classes)
BUFFERS: Final = Kind("buffers with names, costs, and numbers, lifetimes and rates by value", _is_buffers)
BUFFER_FLIPS: Final = Kind("counts of bits raw, parity and left, by buffer", _is_buffer_flips)
BUFFER_WRONG: Final = Kind("whole numbers by buffer, value and plane", _is_buffer_wrong)
LAYER_TABLE: Final = Kind("lists of one length, by column", _is_layer_table)
ENERGIES: Final = Kind("lists of joules as long as score_series, by part", _is_energies)
QUANTILES: Final = Kind("a mapping of shares to seconds", _is_quantiles)
EFFECTS: Final = Kind("steps with step, distortions and accuracies before and after", _is_effects)
