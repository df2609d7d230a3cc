"""GGUF: every type bit for bit as the official package dequantises it; damaged and hostile files are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from qtaml_hw.errors import InputError
from qtaml_hw.workloads.gguf_blocks import BLOCKS
from qtaml_hw.workloads.gguf_file import GgufFile, read_gguf

ROWS, COLUMNS = 3, 512
HALVES = {10: (80, 82), 11: (108,), 12: (0, 2), 13: (0, 2), 14: (208,), 3: (0, 2), 7: (0, 2)}


def blocks(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of random bytes whose scales are finite numbers: every code and every small scale occurs."""
    row = BLOCKS[kind]
    data = rng.integers(0, 256, (ROWS * COLUMNS // row.weights, row.bytes), dtype=np.uint8)
    if kind == 39:
        data[:, 0] = rng.integers(100, 140, len(data))
    elif kind == 40:
        data[:, :4] = rng.integers(0, 127, (len(data), 4))
    else:
        for at in HALVES.get(kind, (0,)):
            half = rng.normal(size=len(data)).astype(np.float16)
            data[:, at : at + 2] = half.view(np.uint8).reshape(-1, 2)
    return data.reshape(ROWS, -1)


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {row.name: blocks(kind, rng) for kind, row in BLOCKS.items()}


@pytest.fixture(scope="module")
def path(tensors: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gguf") / "all.gguf"
    writer = gguf.GGUFWriter(place, "llama")
    writer.add_uint32("a.number", 7)
    writer.add_array("a.list", ["one", "zwei", "três"])
    writer.add_array("some.numbers", [1.5, -2.0])
    for name, data in tensors.items():
        writer.add_tensor(name, data, raw_dtype=Kind[name])
    rng = np.random.default_rng(1)
    writer.add_tensor("F32", rng.normal(size=(4,)).astype(np.float32))
    writer.add_tensor("F16", rng.normal(size=(2, 5)).astype(np.float16))
    brain = rng.normal(size=(2, 5)).astype(np.float32)
    writer.add_tensor("BF16", gguf.quants.quantize(brain, Kind.BF16), raw_dtype=Kind.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


@pytest.fixture(scope="module")
def opened(path: Path) -> GgufFile:
    return read_gguf(path)


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: BLOCKS[kind].name)
def test_every_type_dequantises_bit_for_bit(opened: GgufFile, tensors: dict[str, np.ndarray], kind: int) -> None:
    row = BLOCKS[kind]
    assert (row.weights, row.bytes) == gguf.GGML_QUANT_SIZES[Kind(kind)]
    wanted = gguf.quants.dequantize(tensors[row.name], Kind(kind))
    stored = opened.stored(row.name)
    assert opened.tensors[row.name].shape == stored.shape == wanted.shape == (ROWS, COLUMNS)
    assert stored.decode(stored.codes).dtype == np.float32
    np.testing.assert_array_equal(stored.decode(stored.codes), wanted)
    np.testing.assert_array_equal(opened.values(row.name), wanted)
    assert stored.codes.max() == (1 << stored.format.bits) - 1
    paid = stored.format.bits * stored.weights + stored.scale_bits
    assert paid == 8 * tensors[row.name].size


def test_floats_and_metadata_are_those_of_the_package(opened: GgufFile, path: Path) -> None:
    theirs = {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert list(opened.tensors) == list(theirs)
    assert np.array_equal(opened.values("F32"), theirs["F32"].data)
    assert np.array_equal(opened.values("F16"), theirs["F16"].data.astype(np.float32))
    assert np.array_equal(opened.values("BF16"), gguf.quants.dequantize(theirs["BF16"].data, Kind.BF16))
    assert opened.stored("BF16").format.name == "bfloat16"
    assert opened.metadata["general.architecture"] == "llama"
    assert (opened.metadata["a.number"], opened.metadata["a.list"]) == (7, ["one", "zwei", "três"])
    assert opened.metadata["some.numbers"].tolist() == [1.5, -2.0]
    with pytest.raises(InputError, match="F32 is stored in F32: it has no codes"):
        opened.stored("F32")


def test_cut_and_damaged_files_are_refused_in_one_line(path: Path, tmp_path: Path) -> None:
    whole, place = path.read_bytes(), tmp_path / "bad.gguf"
    header = min(t.first for t in read_gguf(path).tensors.values())
    for length in [*range(0, header, 97), header, len(whole) - 40]:
        place.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"bad.gguf: not a readable GGUF file \(") as refused:
            read_gguf(place)
        assert "\n" not in str(refused.value)


def test_random_damage_to_a_header_gives_values_or_one_line(path: Path, tmp_path: Path) -> None:
    whole, place, rng = path.read_bytes(), tmp_path / "bad.gguf", np.random.default_rng(5)
    header = min(t.first for t in read_gguf(path).tensors.values())
    refused = list[str]()
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, header, rng.integers(1, 5)):
            data[at] = int(rng.choice([0, 255, int(rng.integers(256))]))
        place.write_bytes(data)
        try:
            found = read_gguf(place)
            assert all(t.first + t.size <= len(whole) for t in found.tensors.values())
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert max(map(len, refused)) < 900


def test_scales_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    place, data = tmp_path / "nan.gguf", blocks(2, np.random.default_rng(0))
    data[0, :2] = [0x00, 0x7C]  # infinity
    writer = gguf.GGUFWriter(place, "llama")
    writer.add_tensor("w", data, raw_dtype=Kind.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match="w has scales that are no finite numbers"):
        read_gguf(place).stored("w")


def header_of(*tensors: tuple[bytes, tuple[int, ...], int]) -> bytes:
    """A header of F16 tensors: name, axes (columns first) and first byte of each."""
    whole = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 0)
    for name, axes, offset in tensors:
        whole += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, 1, offset)
    return whole + bytes(-len(whole) % 32)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ([(b"a", (16, 2), 0), (b"b", (16, 2), 32)], "the tensors 'a' and 'b' overlap"),
        ([(b"b", (16, 2), 64), (b"a", (16, 4), 0)], "the tensors 'a' and 'b' overlap"),
        ([(b"a", (0, 4), 0)], "the tensor 'a' has no values"),
        ([(b"a", (1 << 63, 1 << 63, 0), 0)], "the tensor 'a' has no values"),
    ],
)
def test_tensors_have_values_and_bytes_of_their_own(
    tmp_path: Path, tensors: list[tuple[bytes, tuple[int, ...], int]], why: str
) -> None:
    place = tmp_path / "bad.gguf"
    place.write_bytes(header_of(*tensors) + bytes(256))
    with pytest.raises(InputError, match=why):
        read_gguf(place)


def test_tensors_side_by_side_are_read_in_any_order(tmp_path: Path) -> None:
    place = tmp_path / "good.gguf"
    place.write_bytes(header_of((b"b", (16, 2), 64), (b"a", (16, 2), 0)) + bytes(128))
    assert [(t.first - 128, t.size) for t in read_gguf(place).tensors.values()] == [(64, 64), (0, 64)]
