"""Scales in the memory of a streamed model: the flips, weights and damage of the whole image with its scales stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qtaml_hw.config import Study, parse_study
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.study.design.streamed import gguf as streamed_gguf
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.weights import StoredImage, number_format, quantise
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.gguf_blocks import BLOCKS
from qtaml_hw.workloads.gguf_file import read_gguf
from tests.workloads.test_gguf_file import COLUMNS, blocks

gguf = pytest.importorskip("gguf", reason="the peer of the GGUF reader: pip install gguf")
TEXT = """cell: {preset: gain-cell-65nm}
flips: {law: fixed, p: 0.02}
refresh: off
network: {name: digits-lenet, store: {scales: true}}
"""


def study(**changes: object) -> Study:
    base = parse_study(TEXT)
    return base.with_({key.replace("__", "."): value for key, value in changes.items()}) if changes else base


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matrices of every type."""
    place, rng = tmp_path_factory.mktemp("gguf") / "all.gguf", np.random.default_rng(0)
    writer = gguf.GGUFWriter(place, "llama")
    writer.add_tensor("output.weight", rng.normal(size=(4, 64)).astype(np.float16))
    for kind, row in BLOCKS.items():
        writer.add_tensor(f"blk.{kind}.weight", blocks(kind, rng), raw_dtype=gguf.GGMLQuantizationType[row.name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


def whole(path: Path) -> StoredImage:
    file = read_gguf(path)
    return StoredImage(tuple(file.stored(name) for name in file.tensors)).with_stored_scales()


def flipped(given: Study, image: StoredImage, narrow: list[Any]) -> list[Any]:
    """Every tensor's codes with its own bits flipped, as the engine flips a chip of independent cells."""
    key, read = MapKey(given.evaluate.seed, 2), []
    for i, (t, codes) in enumerate(zip(image.tensors, narrow, strict=True)):
        cells = np.array([0.02] * t.format.bits + [0.0] * (8 * codes.itemsize - t.format.bits))
        read.append(flip(codes, cells, cells, key.of(i)))
    return read


def test_a_files_scales_flip_with_its_codes_and_are_written_as_read(path: Path, tmp_path: Path) -> None:
    given, seen = study(weights__format="file"), dict[str, Any]()
    still = stream(given.with_({"flips.p": 0.0}), path, out=tmp_path / "still")
    assert (tmp_path / "still" / path.name).read_bytes() == path.read_bytes()
    assert still.as_dict()["relative_error"] == 0.0
    found, image = stream(given, path, out=tmp_path / "out", each=seen.__setitem__, map_index=2), whole(path)
    told = found.as_dict()
    assert [row["name"] for row in told["stored"]] == list(image.names)
    assert (told["stored_bits"], found.image.metadata_bits) == (image.stored_bits, 0)
    assert told["stored_weights"] == image.network_weights
    own = [t.codes for name in read_gguf(path).tensors for t in _with_parts(path, name)]
    read = flipped(given, image, own)
    assert found.flips == sum(int(np.unpackbits((a ^ b).view(np.uint8)).sum()) for a, b in zip(own, read, strict=True))
    after = read_gguf(found.files[0])
    for i, t in enumerate(image.tensors):
        if t.part_of is not None:
            continue
        parts = [codes for codes, p in zip(read, image.tensors, strict=True) if p.part_of and p.part_of[0] == t.name]
        expected = (t.reading(parts) if parts else t).decode(read[i])
        np.testing.assert_array_equal(seen[t.name], expected)
        np.testing.assert_array_equal(after.values(t.name), expected)  # patterns that are no numbers as they read


def _with_parts(path: Path, name: str) -> list[Any]:
    stored = read_gguf(path).stored(name)
    return [stored, *stored.part_tensors()]


def test_blocks_of_rows_change_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = study(weights__format="file")
    once = stream(given, path)
    monkeypatch.setattr(streamed_gguf, "BLOCK_VALUES", 2 * COLUMNS)
    few = stream(given, path)
    assert few.flips == once.flips
    assert few.as_dict()["relative_error"] == pytest.approx(once.as_dict()["relative_error"], rel=1e-9)
    for a, b in zip(few.image.changes(), once.image.changes(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("form", ["int8", "uint4"])
@pytest.mark.parametrize("scale", ["per_tensor", "per_channel", "group-32", "per_channel_log8", "group-16-e4m3"])
def test_own_scales_are_those_of_the_whole_image(tmp_path: Path, form: str, scale: str) -> None:
    torch.manual_seed(3)
    arrays = {"a.weight": 3.0 * torch.randn(40, 16), "b.weight": torch.randn(8, 40)}
    save_file(arrays, tmp_path / "model.safetensors")
    given, seen = study(weights__format=form, weights__scale=scale), dict[str, Any]()
    found = stream(given, tmp_path, each=seen.__setitem__, map_index=2)
    layout = replace(ScaleLayout.of(scale), stored=True)
    image = quantise({name: w.numpy() for name, w in arrays.items()}, number_format(form), layout).with_stored_scales()
    assert [t.name for t in found.image.tensors] == list(image.names)
    assert found.image.stored_bits == image.stored_bits
    narrow = [t.codes() for t in found.image.tensors]
    for a, b in zip(narrow, image.tensors, strict=True):
        np.testing.assert_array_equal(a, b.codes)
    decoded = image.decoded(flipped(given, image, narrow))
    assert list(seen) == [t.name for t in image.weight_tensors]
    for name, weights in seen.items():
        np.testing.assert_array_equal(weights, decoded[name])


@pytest.mark.parametrize("kind", ["Q4_1", "Q4_K", "Q6_K", "NVFP4"])
def test_the_damage_of_a_flipped_scale_is_what_it_does_to_its_weights(tmp_path: Path, kind: str) -> None:
    """Every plane of every number of a tensor flipped alone and decoded: summed squared changes."""
    number = next(n for n, row in BLOCKS.items() if row.name == kind)
    place, rng = tmp_path / "one.gguf", np.random.default_rng(1)
    writer = gguf.GGUFWriter(place, "llama")
    raw = blocks(number, rng)[:1, : 2 * BLOCKS[number].bytes]
    writer.add_tensor("a.weight", raw, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = stream(study(weights__format="file"), place)
    zeros, ones = found.image.changes()
    tensor = read_gguf(place).stored("a.weight")
    own = [part.codes for part in tensor.parts]
    clean = tensor.decode(tensor.codes).astype(np.float64)
    for row, part in enumerate(tensor.parts, start=1):
        for plane in range(part.format.bits):
            change = 0.0
            for at in range(part.codes.size):
                codes = [codes.copy() for codes in own]
                codes[row - 1][at] ^= codes[row - 1].dtype.type(1 << plane)
                read = tensor.reading(codes).decode(tensor.codes).astype(np.float64)
                change += float(((read - clean) ** 2).sum())
            assert zeros[row, plane] + ones[row, plane] == pytest.approx(change, rel=1e-4, abs=1e-20)


def test_a_weight_outweighs_its_scales_by_size_alone(path: Path) -> None:
    """Plans by magnitude hold a scale to be worth what its layer's weights are."""
    found = stream(study(weights__format="file"), path)
    image = found.image
    zeros, ones = image.changes()
    damage = image.damage()
    for i, t in enumerate(image.tensors):
        mean = t.squares / image.tensors[int(image.read_with[i])].values
        np.testing.assert_allclose(damage.ones[i], mean * ones[i], rtol=1e-12)
        np.testing.assert_allclose(damage.zeros[i], mean * zeros[i], rtol=1e-12)
    assert {row["what"] for row in found.as_dict()["stored"]} >= {"scales, zero points or minima of the tensor before"}
