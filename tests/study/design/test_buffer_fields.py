"""Every field of a buffer that is accepted changes what comes out, or is refused: none is read and forgotten."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.config.study import fields_of_study
from qtaml_hw.study.design.buffers.placed import Placed
from tests.study.design.test_placed import LAYERS, MADE

Item = dict[str, Any]
GAIN: Item = {
    "name": "b", "contents": ["kv", "x"], "format": "int8", "tokens_per_second": 1e5, "refreshed": "untouched",
    "cell": {"preset": "gain-cell-65nm", "sigma_t_ox_die": "0 %", "defect_fraction": "1 %", "defect_current": "1 pA"},
    "array": {"banks": 4, "capacity": "32 KB", "backing": {"bandwidth": "10 GB/s"}},
    "refresh": {"interval": "9 us"},
    "tokens": {"score": "attention", "relaxed": [{"share": "50 %", "interval": "20 us"}]},
}  # fmt: skip
EDRAM: Item = GAIN | {
    "cell": {"preset": "edram1t1c-65nm", "sigma_t_ox_die": "0 %"},
    "lifetime": "50 ms",
    "tokens_per_second": None,
}
SRAM: Item = GAIN | {
    "cell": {"preset": "sram6t-65nm", "v_dd": "0.7 V"}, "refresh": "off", "lifetime": "1 s", "tokens_per_second": None
}  # fmt: skip
VOLTAGE: Item = SRAM | {"flips": {"law": "voltage", "preset": "sram-28nm-bram"}}
FIXED: Item = GAIN | {"flips": {"law": "fixed", "p": "1 %", "direction": "1to0"}}
CURVE: Item = GAIN | {"flips": {"law": "curve", "points": [["1 us", "0.1 %"], ["50 us", "10 %"]], "direction": "1to0"}}
PLANES: Item = GAIN | {"array": GAIN["array"] | {"placement": "plane_separated"}}
PARTS: Item = GAIN | {"refreshed": "always", "partitions": [{"holds": ["x"], "interval": "2 us", "banks": 2}]}
"""What a field is changed in, by what it takes."""


def changed(item: Item, path: str, value: Any) -> Item:
    """The item with a value at a dotted path."""
    item = copy.deepcopy(item)
    node = item
    *parents, last = path.split(".")
    for step in parents:
        node[step] = node.get(step) if isinstance(node.get(step), dict) else {}
        node = node[step]
    node[last] = value
    return item


def outcome(item: Item, *, chip: bool = False) -> tuple[str, bytes]:
    """What a record says of the buffer, and how often its bits flip, at the process centre or on a chip."""
    return _outcome(json.dumps({key: value for key, value in item.items() if value is not None}), chip)


@cache
def _outcome(item: str, chip: bool) -> tuple[str, bytes]:
    head = {"study": "a", "cell": {"preset": "gain-cell-65nm"}, "accelerator": {"inferences_per_second": 1000}}
    study = parse_study(json.dumps(head | {"buffers": [json.loads(item)]}))
    buffer = study.beside[0]
    scores = {"k": np.array([9.0, 1, 8, 2, 7, 3, 6, 0])}
    placed = Placed.of(buffer, 0, MADE, LAYERS, study, scores)
    choice = np.zeros((len(MADE), placed.planes), dtype=np.uint8)
    choice[:, -1] = 1
    placed = placed.protected(replace(placed.plan, menu=("none", "secded-72-64"), choice=choice))
    rates = placed.rates(placed.cell.of_chip(0, 1) if chip else None)
    return json.dumps(placed.facts), b"".join(one.at()[state].tobytes() for one in rates for state in (0, 1))


CHANGES: list[tuple[Item, str, Any]] = [
    (GAIN, "format", "int16"),
    (GAIN, "batch", 2),
    (GAIN, "tokens_per_second", 2e5),
    (EDRAM, "lifetime", "60 ms"),
    (GAIN, "refreshed", "banks"),
    (GAIN, "tokens.score", "age"),
    (GAIN, "tokens.relaxed", [{"share": "25 %", "interval": "20 us"}]),
    (GAIN, "tokens.relaxed", [{"share": "50 %", "interval": "30 us"}]),
    (GAIN, "partitions", [{"holds": ["x"], "interval": "2 us"}]),
    (PARTS, "partitions", [{"holds": ["x", "y"], "interval": "2 us", "banks": 2}]),
    (PARTS, "partitions", [{"holds": ["x"], "interval": "3 us", "banks": 2}]),
    (PARTS, "partitions", [{"holds": ["x"], "interval": "2 us", "banks": 1}]),
    (GAIN, "cell.preset", "gain-cell-65nm-chun2012"),
    (EDRAM | {"cell": {"kind": "edram1t1c"}}, "cell.kind", "gain_cell"),
    (GAIN, "cell.t_ox", "1.7 nm"),
    (EDRAM, "cell.v_dd", "1.05 V"),
    (SRAM, "cell.temperature", "60 degC"),
    (SRAM, "cell.sigma_v_th", "44 mV"),
    (EDRAM, "cell.v_ref", "0.45 V"),
    (EDRAM, "cell.storage_capacitance", "1.3 fF"),
    (GAIN, "cell.overlap_area", "2e-16 m2"),
    (GAIN, "cell.i_sub", "0.02 pA"),
    (GAIN, "cell.i_sub_activation", "0.4 eV"),
    (GAIN, "cell.sigma_t_ox", "3 %"),
    (EDRAM, "cell.sigma_c", "4 %"),
    (GAIN, "cell.sigma_v_ref", "11 mV"),
    (GAIN, "cell.subthreshold_n", 1.7),
    (GAIN, "cell.dibl", 0.05),
    (GAIN, "cell.i_junction", "0.01 pA"),
    (changed(GAIN, "cell.i_junction", "0.01 pA"), "cell.i_junction_activation", "0.4 eV"),
    (GAIN, "cell.t_ox_gradient", "1 %"),
    (GAIN, "cell.sigma_t_ox_die", "4 %"),
    (GAIN, "cell.sigma_v_th_die", "12 mV"),
    (GAIN, "cell.defect_fraction", "2 %"),
    (GAIN, "cell.defect_current", "2 pA"),
    (GAIN, "cell.defect_spread", 0.9),
    (changed(changed(GAIN, "cell.stack", "sio2-hfo2"), "cell.t_interface", "0.5 nm"), "cell.t_interface", "0.7 nm"),
    (GAIN, "cell.stack", "sion"),
    (GAIN, "cell.write_device", "pmos"),
    (GAIN, "cell.gate_area", "2e-15 m2"),
    (GAIN, "cell.transistors", 2),
    (SRAM, "cell.v_th_n", "0.3 V"),
    (SRAM, "cell.v_th_p", "0.3 V"),
    (SRAM, "cell.pull_up_ratio", 0.9),
    (SRAM, "cell.gate_length", "60 nm"),
    (SRAM, "cell.overlap_share", 0.2),
    (GAIN, "flips.law", "poisson"),
    (VOLTAGE, "flips.preset", "sram-14nm-finfet"),
    (FIXED, "flips.p", "2 %"),
    (CURVE, "flips.points", [["1 us", "0.2 %"], ["50 us", "10 %"]]),
    (CURVE, "flips.tail", "straight"),
    (VOLTAGE, "flips.v_zero", "0.5 V"),
    (VOLTAGE, "flips.decade", "50 mV"),
    (FIXED, "flips.direction", "symmetric"),
    (GAIN, "array.node", "65 nm"),
    (GAIN, "array.periphery", "hp"),
    (GAIN, "array.v_dd", "0.9 V"),
    (GAIN, "array.banks", 8),
    (GAIN, "array.port", "shared"),
    (GAIN, "array.row_bits", 512),
    (GAIN, "array.word_bits", 128),
    (GAIN, "array.capacity", "64 KB"),
    (GAIN, "array.placement", "plane_separated"),
    (PLANES, "array.plane_class", [0, 0, 0, 0, 1, 1, 1, 1]),
    (GAIN, "array.rows_refreshed_together", 2),
    (GAIN, "array.decoders", 3),
    (GAIN, "array.backing.bandwidth", "5 GB/s"),
    (GAIN, "array.backing.latency", "1 us"),
    (GAIN, "refresh.interval", "12 us"),
]
REFUSED: list[tuple[Item, str, Any, str]] = [
    (GAIN, "flips.structure", {"kind": "row_burst", "length": 4}, "structure"),
    (GAIN, "array.interleave", "word", "one behind the other"),
    (GAIN, "array.on_uncorrectable", "sign", "lies nowhere else"),
    (GAIN, "array.on_uncorrectable", "reload", "lies nowhere else"),
    (GAIN, "refresh.mode", "staggered", "not laid out over time"),
    (GAIN, "refresh.ecc_aware", True, "where they are read"),
    (GAIN, "refresh.retention_aware", {"multiples": [2]}, "not sorted by weak cells"),
    (PLANES, "refresh", [{"planes": [*range(8)], "interval": "9 us", "ecc_aware": True}], r"h\[0\].ecc_aware: words"),
    (GAIN, "lifetime", "1 ms", "keep one"),
    (GAIN, "protection.group", "channel", "by value"),
    (GAIN, "protection.correction", "unbias", "not corrected"),
    (GAIN, "protection.score", "fisher", "jacobian"),
    (GAIN, "protection.output", "softmax", "logits"),
]  # fmt: skip
ELSEWHERE = {
    "name": "a label", "contents": "says which values there are", "scale": "of numbers: tests/activations",
    "cell.node": "said, never used", "cell.accelerated_flip_rate": "of SRAM, law poisson: tests/device",
    "flips.file": "a file of points", "flips.temperature": "with curves of several temperatures: tests/config",
    "flips.measured": "a warning", "array.cacti": "a program", "array.cost": "a file",
}  # fmt: skip
"""Fields that are looked at in other tests, or that say nothing of the result."""


def named(one: object) -> str:
    return one if isinstance(one, str) and "." in one else ""


@pytest.mark.parametrize(("item", "path", "value"), CHANGES, ids=named)
def test_a_field_that_is_accepted_changes_something(item: Item, path: str, value: Any) -> None:
    other = changed(item, path, value)
    assert outcome(other) != outcome(item) or outcome(other, chip=True) != outcome(item, chip=True)


@pytest.mark.parametrize(("item", "path", "value", "words"), REFUSED, ids=named)
def test_a_field_that_would_change_nothing_is_refused(item: Item, path: str, value: Any, words: str) -> None:
    with pytest.raises(StudyError, match=words) as caught:
        outcome(changed(item, path, value))
    assert {problem.message for problem in caught.value.errors} == {caught.value.errors[0].message}


def test_no_buffer_corrects_words_at_refresh_by_default_either() -> None:
    head = "study: a\nflips: {law: poisson}\nbuffers:\n  - {name: b, contents: [x], refresh: REFRESH}\n"
    by_plane = "[{planes: [7], interval: 9 us}, {planes: [0, 1, 2, 3, 4, 5, 6], interval: 5 us}]"
    for refresh in ("20 us", "{interval: 20 us}", by_plane):
        study = parse_study(head.replace("REFRESH", refresh))
        assert study.refresh.ecc_aware
        assert [one.study.refresh.ecc_aware for one in study.beside[0].study.classes] == [False] * (
            1 + ("[" in refresh)
        )


def test_no_field_is_left_out() -> None:
    fields = {path.removeprefix("buffers.") for path, field in fields_of_study().items() if not field.branch}
    seen = {path for _, path, *_ in (*CHANGES, *REFUSED)} | set(ELSEWHERE)
    below = {field for field in fields for path in seen if field == path or field.startswith(f"{path}.")}
    own = {path.removeprefix("buffers.") for path in fields_of_study() if path.startswith("buffers.")}
    left = {field for field in fields & own - below if not field.startswith("protection.")}
    assert not left
