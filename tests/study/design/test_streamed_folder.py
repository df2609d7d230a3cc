"""Folders of packed weights streamed as their own codes: flipped, decoded, written back, against the whole folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.study.design.streamed import folder as streamed_folder
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.weights import StoredImage, StoredTensor
from qtaml_hw.weights.given import given_floats
from qtaml_hw.workloads.packed import read_quantised_folder
from tests.workloads.test_packed import AWQ, IN, OUT, gptq, packed, parts

TEXT = "cell: {preset: gain-cell-65nm}\nflips: {law: fixed, p: 0.02}\nrefresh: off\nweights: {format: file}\n"
SCALES = {"network": {"name": "digits-lenet", "store": {"scales": True}}}


def study(**changes: object) -> Study:
    base = parse_study(TEXT)
    return base.with_({key.replace("__", "."): value for key, value in changes.items()}) if changes else base


def _gptq(exact: bool = False, ordered: bool = True) -> dict[str, torch.Tensor]:
    found = gptq(*parts())
    if exact:
        found["a.scales"] = found["a.scales"].float() * 1.0001
    if not ordered:
        found["a.g_idx"] = found["a.g_idx"][torch.randperm(IN, generator=torch.Generator().manual_seed(2))]
    return found


def _awq() -> dict[str, torch.Tensor]:
    levels, zeros, scales = parts()
    words = {"b.qweight": packed(levels.T, AWQ), "b.qzeros": packed(zeros.T, AWQ)}
    return {**words, "b.scales": torch.from_numpy(scales.T.copy())}


def _compressed(asymmetric: bool) -> dict[str, torch.Tensor]:
    levels, zeros, scales = parts()
    found = {
        "c.weight_packed": packed(levels),
        "c.weight_scale": torch.from_numpy(scales).bfloat16(),
        "c.weight_shape": torch.tensor([OUT, IN]),
    }
    return {**found, "c.weight_zero_point": packed(zeros.T).T} if asymmetric else found


KINDS = {
    "gptq": ("gptq", _gptq()),
    "float32 scales": ("gptq", _gptq(exact=True)),
    "activation order": ("gptq", _gptq(ordered=False)),
    "awq": ("awq", _awq()),
    "compressed": ("compressed-tensors", _compressed(asymmetric=False)),
    "compressed with zero points": ("compressed-tensors", _compressed(asymmetric=True)),
}


def written(place: Path, kind: str) -> Path:
    """A folder with packed weights, halves, a table, and what has no codes."""
    method, tensors = KINDS[kind]
    place.mkdir()
    draw = torch.Generator().manual_seed(1)
    more = {
        "embed_tokens.weight": torch.randn(7, 8, generator=draw).half(),
        "head.weight": torch.randn(7, 8, generator=draw).bfloat16(),
        "exact.weight": torch.randn(3, 8, generator=draw),
    }
    save_file({name: t.contiguous() for name, t in (tensors | more).items()}, place / "model.safetensors")
    (place / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": method}}))
    return place


def own(place: Path, names: list[str]) -> tuple[list[StoredTensor], dict[str, Any]]:
    """Tensors of a folder as their own codes, and the orders of inputs."""
    read = read_quantised_folder(place)
    found = []
    for name in names:
        t = read.tensors[name]
        if isinstance(t, torch.Tensor):
            t = given_floats(name, t.view(torch.int16).numpy().view(np.uint16), "bfloat16")
        found.append(t)
    return found, read.orders


@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_streamed_as_its_own_codes_and_written_back(tmp_path: Path, kind: str, scales: bool) -> None:
    place, given, seen = written(tmp_path / "own", kind), study(**(SCALES if scales else {})), dict[str, Any]()
    stream(given.with_({"flips.p": 0.0}), place, out=tmp_path / "still")
    whole = "model.safetensors"
    assert (tmp_path / "still" / whole).read_bytes() == (place / whole).read_bytes()
    found = stream(given, place, out=tmp_path / "out", each=seen.__setitem__, map_index=2)
    names = [t.name for t in found.image.weights]
    assert len(names) == 2
    assert "head.weight" in names
    tensors, orders = own(place, names)
    image = StoredImage(tuple(tensors))
    image = image.with_stored_scales() if scales else image
    assert [t.name for t in found.image.tensors] == list(image.names)
    assert found.image.stored_bits == image.stored_bits
    assert found.image.metadata_bits == image.metadata_bits
    key, narrow, read = MapKey(given.evaluate.seed, 2), [t.codes() for t in found.image.tensors], []
    for i, (t, codes) in enumerate(zip(image.tensors, narrow, strict=True)):
        np.testing.assert_array_equal(codes, t.codes)
        cells = np.array([0.02] * t.format.bits + [0.0] * (8 * codes.itemsize - t.format.bits))
        read.append(flip(codes, cells, cells, key.of(i)))
    assert found.flips == sum(
        int(np.unpackbits((a ^ b).view(np.uint8)).sum()) for a, b in zip(narrow, read, strict=True)
    )
    after, _ = own(tmp_path / "out", names)
    for t, back in zip(tensors, after, strict=True):
        i = image.names.index(t.name)
        mine = [codes for codes, p in zip(read, image.tensors, strict=True) if p.part_of and p.part_of[0] == t.name]
        expected = (t.reading(mine) if mine else t).decode(read[i])
        np.testing.assert_array_equal(back.decode(back.codes), expected)  # patterns that are no numbers as they read
        if t.name in orders:
            turned = np.empty_like(expected)
            turned[:, orders[t.name]] = expected
            expected = turned
        np.testing.assert_array_equal(seen[t.name], expected)
    before, changed = (load_file(folder / whole) for folder in (place, tmp_path / "out"))
    kept = {"exact.weight", "embed_tokens.weight", "norm.weight", "a.g_idx", "c.weight_shape"}
    kept |= set() if scales else {name for name in before if name.endswith(("scales", "scale", "zeros", "zero_point"))}
    for name in kept & before.keys():
        assert torch.equal(before[name], changed[name])
    assert set(found.passed_through) & {"exact.weight", "embed_tokens.weight"} == {
        "exact.weight",
        "embed_tokens.weight",
    }


def test_blocks_of_rows_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = written(tmp_path / "own", "activation order")
    once = stream(study(**SCALES), place, out=tmp_path / "once")
    monkeypatch.setattr(streamed_folder, "BLOCK_VALUES", 3 * IN)
    few = stream(study(**SCALES), place, out=tmp_path / "few")
    whole = "model.safetensors"
    assert (tmp_path / "once" / whole).read_bytes() == (tmp_path / "few" / whole).read_bytes()
    assert few.as_dict()["relative_error"] == pytest.approx(once.as_dict()["relative_error"], rel=1e-9)
    for a, b in zip(few.image.changes(), once.image.changes(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_pack_in_two_shards_is_written_in_both(tmp_path: Path) -> None:
    place, tensors = tmp_path / "own", _gptq()
    place.mkdir()
    for number, names in enumerate((("a.qweight", "a.g_idx"), ("a.qzeros", "a.scales", "norm.weight"))):
        save_file({name: tensors[name].contiguous() for name in names}, place / f"model-{number}.safetensors")
    stream(study(**SCALES), place, out=tmp_path / "out")
    save_file({name: t.contiguous() for name, t in tensors.items()}, tmp_path / "model.safetensors")
    stream(study(**SCALES), tmp_path / "model.safetensors", out=tmp_path / "one")
    whole = load_file(tmp_path / "one" / "model.safetensors")
    halves = [load_file(file) for file in sorted((tmp_path / "out").glob("*.safetensors"))]
    assert all(torch.equal(whole[name], t) for half in halves for name, t in half.items())
    assert not torch.equal(whole["a.qzeros"], tensors["a.qzeros"])


@pytest.mark.parametrize(
    ("settings", "tensors", "said"),
    [
        ({"quant_method": "bitsandbytes"}, {}, "it is quantised by bitsandbytes; read are gptq"),
        ({"quant_method": "gptq"}, {"x.qweight": torch.zeros(4, 8, dtype=torch.int32)}, "x. lacks qzeros, scales"),
        ({}, {"exact.weight": torch.ones(3, 8)}, "no tensor is stored"),
    ],
)
def test_what_is_not_streamed_is_one_line(
    tmp_path: Path, settings: dict[str, str], tensors: dict[str, torch.Tensor], said: str
) -> None:
    save_file({**tensors, "norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": settings} if settings else {}))
    with pytest.raises(InputError, match=said) as told:
        stream(study(), tmp_path)
    assert "\n" not in str(told.value)
