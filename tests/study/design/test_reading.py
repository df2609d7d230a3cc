"""A fault map read on the device is the one of the simulated memory, bit for bit; devices are told apart by records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from qtaml_hw.accelerator.place import place
from qtaml_hw.config import parse_study
from qtaml_hw.config.reading.problems import StudyError
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.design import Begun, DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.reading import Reading, differing
from qtaml_hw.study.run.evaluate import prepare_point
from qtaml_hw.tac.decoding.placed import PlacedTensor
from qtaml_hw.weights import ScaleLayout, StoredTensor, number_format
from tests import studies

CPU = torch.device("cpu")
WHOLE = {
    "fixed, a curve of p": {"flips": "{law: fixed, p: 0.02}", "refresh": "off"},
    "rare": {"flips": "{law: fixed, p: 1e-4, direction: 1to0}", "refresh": "off"},
    "retention, twice read": {
        "evaluate": "{at: [0.5 ms, 1 ms], images: 100, maps: {min: 2, max: 2}}",
        "refresh": "off",
    },
    "wide codes": {"weights": "{format: float16}", "flips": "{law: fixed, p: 1e-3}", "refresh": "off"},
    "top planes ideal": {
        "flips": "{law: fixed, p: 0.02}",
        "refresh": "off",
        "protection": "{policy: uniform, planes: 2, menu: [ideal], correction: none}",
    },
}


@pytest.mark.parametrize("sections", WHOLE.values(), ids=WHOLE)
def test_flips_drawn_on_the_device_make_the_record_of_the_simulated_memory(sections: dict[str, str]) -> None:
    point = studies.design(**sections)
    there = Reading(point.chip, point.cell, CPU, flips_there=True)
    seed = point.study.evaluate.seed
    timeline = point.cell.live(point.chip, seed, 3)
    read = there.read(seed, 3)
    for codes, expected in zip(read.codes, timeline.read_out, strict=True):
        for mine, theirs in zip(codes, expected, strict=True):
            assert isinstance(mine, torch.Tensor)
            np.testing.assert_array_equal(mine.numpy(), theirs)
    assert timeline.flips_data.min() > 0
    twin = replace(point)
    twin.__dict__["reading"] = there
    assert dict(twin.record(3)) == dict(point.record(3))


@pytest.mark.parametrize(
    "sections",
    [
        {"protection": "{policy: uniform, planes: 1, menu: [secded-72-64], correction: none}"},
        {"flips": "{law: fixed, p: 0.01, structure: {kind: row_burst, length: 3}}", "refresh": "off"},
    ],
)
def test_words_and_neighbours_are_simulated(sections: dict[str, str]) -> None:
    point = studies.design(**sections)
    read = Reading(point.chip, point.cell, CPU, flips_there=True).read(1, 0)
    assert all(isinstance(codes, np.ndarray) for codes in read.codes[0])


@pytest.mark.parametrize(
    ("form", "scale"),
    [("int8", "per_tensor"), ("int4", "per_channel"), ("e4m3", "per_channel"), ("float16", "per_tensor")],
)
def test_decoded_there_to_the_same_bits(form: str, scale: str) -> None:
    point = studies.design(
        weights=f"{{format: {form}, scale: {scale}, transforms: [invert_planes]}}",
        flips="{law: fixed, p: 0.05, direction: 1to0}",
        refresh="off",
        protection="{policy: tac, group: channel, budget: {bits: 10 %}, menu: [ideal], correction: unbias}"
        if form.startswith("int")
        else "{policy: none, correction: none}",
    )
    codes = point.cell.live(point.chip, 5, 0).read_out[-1]
    decoder = point.protection.decoder
    here, there = decoder.decode(codes), decoder.tensors(codes, CPU)
    assert here.keys() == there.keys()
    for name, weights in here.items():
        assert there[name].dtype == torch.float32
        np.testing.assert_array_equal(there[name].numpy(), weights)
    assert any(not np.array_equal(c, t.codes) for c, t in zip(codes, point.image.tensors, strict=True))


@pytest.mark.parametrize("inverted", [0, 5])
@pytest.mark.parametrize("zero", [None, 3.0])
@pytest.mark.parametrize("minimum", [None, -0.7])
def test_zero_points_minima_and_patterns_are_decoded_alike(
    inverted: int, zero: float | None, minimum: float | None
) -> None:
    rng, form, layout = np.random.default_rng(2), number_format("int4"), ScaleLayout.of("per_channel")
    codes = rng.integers(0, 16, 60, dtype=np.uint8)
    scale = rng.uniform(0.1, 1.0, 6).astype(np.float32)
    zeros, minima = (None if v is None else scale * np.float32(v) for v in (zero, minimum))
    tensor = StoredTensor("w", (6, 10), codes, form, scale, layout, inverted=inverted, zero=zeros, minimum=minima)
    pattern = rng.integers(0, 2, 60).astype(np.uint16)
    tables = np.stack([form.decode_table, 0.3 * form.decode_table])
    found = PlacedTensor.of(tensor, tables, pattern, CPU).decode(torch.from_numpy(codes.copy()))
    np.testing.assert_array_equal(found.numpy(), tensor.decode(codes, tables, pattern))


def test_keys_tell_apart_what_decodes_otherwise() -> None:
    rng, form, layout = np.random.default_rng(2), number_format("int4"), ScaleLayout.of("per_channel")
    codes, scale = rng.integers(0, 16, 60, dtype=np.uint8), rng.uniform(0.1, 1.0, 6).astype(np.float32)
    tensor = StoredTensor("w", (6, 10), codes, form, scale, layout)
    tables, pattern = np.stack([form.decode_table, 0.3 * form.decode_table]), rng.integers(0, 2, 60).astype(np.uint16)
    other, swapped, louder = codes.copy(), pattern.copy(), scale.copy()
    other[7] ^= 1
    swapped[3] ^= 1
    louder[-1] *= 2.0
    cases = [
        (tensor, tables, pattern),
        (tensor, tables, swapped),
        (tensor, tables[::-1], pattern),
        (tensor, tables[:1], None),
        (replace(tensor, inverted=5), tables, pattern),
        (replace(tensor, scale=louder), tables, pattern),
        (replace(tensor, zero=scale), tables, pattern),
        (replace(tensor, minimum=scale), tables, pattern),
        (replace(tensor, shape=(6, 5, 2)), tables, pattern),
    ]
    keys = [PlacedTensor.of(*case, CPU).key(read) for case in cases for read in (codes, other)]
    assert len(set(keys)) == 2 * len(cases)
    assert PlacedTensor.of(tensor, tables.copy(), pattern.copy(), CPU).key(torch.from_numpy(codes.copy())) == keys[0]


def test_bits_in_which_codes_differ() -> None:
    rng = np.random.default_rng(1)
    for dtype in (np.uint8, np.uint16):
        a, b = (rng.integers(0, np.iinfo(dtype).max, 999, dtype=dtype) for _ in range(2))
        expected = int(np.unpackbits((a ^ b).view(np.uint8)).sum())
        assert int(differing(torch.from_numpy(a), torch.from_numpy(b))) == expected


def test_maps_begun_ahead_are_the_records_of_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    (point,) = studies.study(evaluate="{at: [1 ms], images: 100, maps: {min: 3, max: 4}}").points()
    plain = prepare_point(point, 0, studies.NETWORKS)
    begun: list[int] = []
    begin = DesignPoint.begin

    def counted(design: DesignPoint, index: int) -> Begun:
        begun.append(index)
        return begin(design, index)

    monkeypatch.setattr(DesignPoint, "begin", counted)
    expected = [dict(plain.record(i)) for i in range(4)]
    assert begun == [0, 1, 2, 3]
    begun.clear()
    ahead = replace(plain, ahead=True)
    assert dict(ahead.record(0)) == expected[0]
    assert begun == [0, 1, 2]
    assert [dict(ahead.record(i)) for i in (1, 2, 3)] == expected[1:]
    assert begun == [0, 1, 2, 3]


def test_a_device_that_is_not_there_is_said_before_anything_is_loaded() -> None:
    with pytest.raises(InputError, match=r"device 'cuda:99' cannot be used on this machine, cpu.* can: "):
        Networks().load(studies.study({"evaluate.device": "cuda:99"}))
    with pytest.raises(StudyError, match=r"unknown device 'gpu'; allowed: auto, cpu, cuda, mps"):
        parse_study(studies.text(evaluate="{device: gpu}"))
    assert place("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_where_a_network_computes_is_in_the_record_and_not_in_the_identity() -> None:
    plain, named = studies.study(), studies.study({"evaluate.device": "cpu"})
    assert plain.identity() == named.identity()
    record = prepare(named, studies.NETWORKS).record(0)
    assert record["device"] == "cpu"
    assert {k: v for k, v in record.items() if k != "device"} == {
        k: v for k, v in prepare(plain, studies.NETWORKS).record(0).items() if k != "device"
    }
