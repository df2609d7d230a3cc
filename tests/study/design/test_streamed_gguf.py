"""A GGUF file streamed: its own codes of every type flipped, decoded and written back, against the official package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import flip_bits
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.streamed import gguf as streamed_gguf
from qtaml_hw.study.design.streamed.gguf import told_gguf
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.workloads.gguf_blocks import BLOCKS, flipped_bytes
from qtaml_hw.workloads.gguf_file import GgufTensor, read_gguf
from tests.workloads.test_gguf_file import COLUMNS, ROWS, blocks

gguf = pytest.importorskip("gguf", reason="the peer of the GGUF reader: pip install gguf")
TEXT = "cell: {preset: gain-cell-65nm}\nflips: {law: fixed, p: 0.02}\nrefresh: off\nweights: {format: file}\n"


def study(**changes: object) -> Study:
    base = parse_study(TEXT)
    return base.with_({key.replace("__", "."): value for key, value in changes.items()}) if changes else base


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matrices of every type, a table, a vector, and a matrix of float32."""
    place, rng = tmp_path_factory.mktemp("gguf") / "all.gguf", np.random.default_rng(0)
    writer = gguf.GGUFWriter(place, "llama")
    writer.add_tensor("token_embd.weight", blocks(8, rng), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", rng.normal(size=(4, 64)).astype(np.float16))
    for kind, row in BLOCKS.items():
        writer.add_tensor(f"blk.{kind}.weight", blocks(kind, rng), raw_dtype=gguf.GGMLQuantizationType[row.name])
    writer.add_tensor("norm.weight", rng.normal(size=(64,)).astype(np.float32))
    writer.add_tensor("gate.weight", rng.normal(size=(4, 64)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


@pytest.mark.parametrize("kind", BLOCKS)
def test_flipped_bits_of_codes_are_bits_of_the_file_and_nothing_else_is(kind: int) -> None:
    row, rng = BLOCKS[kind], np.random.default_rng(kind)
    raw = blocks(kind, rng).reshape(-1, row.bytes)
    change = rng.integers(0, 1 << row.format.bits, (len(raw), row.weights)).astype(np.uint8)
    codes, parts = row.unpack(raw)
    read, same = row.unpack(flipped_bytes(kind, raw.reshape(-1), change.reshape(-1)).reshape(raw.shape))
    np.testing.assert_array_equal(read.reshape(change.shape), codes.reshape(change.shape) ^ change)
    for one, other in zip(parts, same, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_a_stream_of_a_file_is_its_own_codes_bit_for_bit(path: Path, tmp_path: Path) -> None:
    still = stream(study(flips__p=0.0), path, out=tmp_path / "still")
    assert (tmp_path / "still" / path.name).read_bytes() == path.read_bytes()
    assert still.as_dict()["relative_error"] == 0.0
    seen: dict[str, np.ndarray[Any, Any]] = {}
    given = study()
    found = stream(given, path, out=tmp_path / "out", each=seen.__setitem__, map_index=2)
    before, after = read_gguf(path), read_gguf(found.files[0])
    names = ["output.weight", *(f"blk.{kind}.weight" for kind in BLOCKS)]
    assert list(seen) == names
    assert found.taken_for["token_embd.weight"].kind == "embedding"
    flips, moved, squares = 0, 0.0, 0.0
    for i, name in enumerate(names):
        own, read = before.stored(name), after.stored(name)
        bits = own.format.bits
        cells = [0.02] * bits + [0.0] * (8 * own.codes.itemsize - bits)
        codes = flip_bits(own.codes, cells, cells, seed=given.evaluate.seed, map_index=2, tensor=i)
        odd = own.format.special_codes[codes]  # infinities of float16 are written as they read: the largest number
        np.testing.assert_array_equal(read.codes[~odd], codes[~odd])
        np.testing.assert_array_equal(read.decode(read.codes), own.decode(codes))
        for one, other in zip(own.parts, read.parts, strict=True):
            np.testing.assert_array_equal(one.codes, other.codes)
        np.testing.assert_array_equal(seen[name], own.decode(codes))
        flips += int(np.unpackbits((codes ^ own.codes).view(np.uint8)).sum())
        clean = own.decode(own.codes).astype(np.float64)
        change, size = float(((seen[name] - clean) ** 2).sum()), float((clean**2).sum())
        row = found.as_dict()["stored"][i]
        assert row["relative_error"] == pytest.approx(np.sqrt(change / size), rel=1e-6)
        moved, squares = moved + change, squares + size
    assert found.flips == flips
    assert found.as_dict()["relative_error"] == pytest.approx(np.sqrt(moved / squares), rel=1e-6)
    for name in ("token_embd.weight", "norm.weight", "gate.weight"):
        assert name in found.passed_through
        np.testing.assert_array_equal(before.values(name), after.values(name))
    peers = {t.name: t for t in gguf.GGUFReader(found.files[0]).tensors}  # what llama.cpp's own package reads
    for kind, row in BLOCKS.items():
        dequantised = gguf.quants.dequantize(peers[f"blk.{kind}.weight"].data, gguf.GGMLQuantizationType[row.name])
        np.testing.assert_array_equal(dequantised.reshape(ROWS, COLUMNS), seen[f"blk.{kind}.weight"])


def test_the_expected_error_is_the_mean_over_chips(path: Path) -> None:
    """Flips of 0.1 % of the bits: 12 chips of 20 thousand weights lie within five sigma of the first order."""
    given = study(flips__p=0.001)
    drawn = [stream(given, path, map_index=i) for i in range(12)]
    rows = [[row["relative_error"] ** 2 for row in one.as_dict()["stored"]] for one in drawn]
    expected = [row["expected_relative_error"] ** 2 for row in drawn[0].as_dict()["stored"]]
    mean, sigma = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(len(rows) - 1)
    linear = np.array([t.form.linear for t in drawn[0].image.tensors])  # exponents of floats: few flips do it all
    assert (np.abs(mean - expected) < 5.0 * sigma)[linear].all()


@pytest.mark.parametrize("policy", ["uniform", "magnitude"])
def test_planes_of_several_widths_are_protected_within_the_budget(path: Path, policy: str) -> None:
    given = study(protection={"policy": policy, "budget": {"bits": "20 %"}, "menu": ["ideal"]})
    found = stream(given, path)
    bits = [t.form.bits for t in found.image.tensors]
    assert found.plan.stored_planes.sum(axis=1).tolist() == bits
    assert found.image.stored_bits == sum(b * t.values for b, t in zip(bits, found.image.tensors, strict=True))
    assert 0.1 < found.plan.protected_bits_fraction <= 0.2
    bare = stream(study(), path)
    assert found.as_dict()["relative_error"] < bare.as_dict()["relative_error"]
    assert found.as_dict()["stored_bits_per_weight"] >= bare.as_dict()["stored_bits_per_weight"]


def test_what_ages_the_cells_of_a_run_ages_a_stream(path: Path) -> None:
    given = parse_study(TEXT.replace("flips: {law: fixed, p: 0.02}\nrefresh: off", "refresh: {interval: 20 us}"))
    found = stream(given, path, map_index=3)
    cell, told = view_cell(given, 16), found.as_dict()
    assert (told["p10"], told["direction"]) == (cell.facts["p10"], "1to0")
    assert told["retention_quantiles_s"] == cell.retention_quantiles_s
    of_chip: FlipChannel = cell.channel_of_chip(given.evaluate.seed, 3)
    ones = sum(int(np.unpackbits(t.codes().view(np.uint8)).sum()) for t in found.image.tensors)
    p = float(of_chip.p10[0])
    assert abs(found.flips - p * ones) < 5.0 * np.sqrt(p * ones)
    assert 0.0 < told["refresh_bandwidth_share"] < 1.0
    longer = stream(given.with_({"refresh.interval": "200 us"}), path, map_index=3)
    assert longer.flips > found.flips
    assert told["read_all_s"] > longer.as_dict()["read_all_s"] > 0.0  # refresh takes less of the time
    pass_ns = 20e3 * told["refresh_bandwidth_share"]
    with pytest.raises(InputError, match=r"refresh takes .* of every bank's time"):
        stream(given.with_({"refresh.interval": f"{0.9 * pass_ns:.6g} ns"}), path)
    busy = stream(given.with_({"refresh.interval": f"{pass_ns / 0.7:.6g} ns"}), path).as_dict()
    assert any("refresh takes more than half" in line for line in busy["warnings"])
    array = found.cost.array  # banks hold runs of weights: a tensor is read at the pace of the bank with most of it
    words = array.layout.bank_words.max(axis=1).sum()
    assert told["read_all_s"] == pytest.approx(
        words * array.layout.cycle_s / (1.0 - told["refresh_bandwidth_share"]), rel=1e-9
    )


def test_blocks_of_rows_change_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stream(study(), path)
    monkeypatch.setattr(streamed_gguf, "BLOCK_VALUES", 2 * COLUMNS)
    few = stream(study(), path)
    assert few.flips == whole.flips
    assert few.as_dict()["relative_error"] == pytest.approx(whole.as_dict()["relative_error"], rel=1e-12)
    assert max(b.values for t in few.image.tensors for b in t.blocks()) == 2 * COLUMNS


@pytest.mark.parametrize(
    ("name", "names", "kind"),
    [
        ("token_embd.weight", ("output.weight",), "embedding"),
        ("token_embd.weight", (), "weight"),
        ("position_embd.weight", (), "embedding"),
        ("blk.0.attn_q.weight", (), "weight"),
    ],
)
def test_a_table_is_stored_where_it_is_the_output_layer_too(name: str, names: tuple[str, ...], kind: str) -> None:
    assert told_gguf(GgufTensor(name, (64, 64), 2, 0, 0), names).kind == kind
    assert told_gguf(GgufTensor(name, (64,), 0, 0, 0), names).kind == "bias"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights__format": "int8"}, r"streamed as its own codes: write weights: {format: file}"),
        ({"protection": {"policy": "none", "correction": "unbias"}}, "correction: unbias needs the network"),
        (
            {
                "scrub__interval": "1 ms",
                "protection": {"policy": "uniform", "planes": 1, "menu": ["secded-72-64"]},
            },
            "scrub: a stream ages codes from their write",
        ),
        (
            {
                "array__on_uncorrectable": "zero",
                "protection": {"policy": "uniform", "planes": 1, "menu": ["secded-72-64"]},
            },
            "on_uncorrectable: a stream knows what codes leave",
        ),
        ({"weights__transforms": ["invert_planes"]}, "without invert_planes"),
    ],
)
def test_what_a_stream_would_leave_out_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        stream(study(**changes), path, out=tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two matrices, and a table that is the output layer too, by the names of a Llama."""
    place, rng = tmp_path_factory.mktemp("llama") / "llama.gguf", np.random.default_rng(0)
    writer = gguf.GGUFWriter(place, "llama")
    writer.add_block_count(1)
    for name in ("token_embd", "blk.0.attn_q", "blk.0.ffn_down"):
        writer.add_tensor(f"{name}.weight", rng.normal(size=(4, 64)).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


@pytest.mark.parametrize(
    ("store", "names"),
    [
        ({"exclude": ["*embed_tokens*", "*lm_head*"]}, ["attn_q", "ffn_down"]),  # as a network's study says it
        ({"exclude": ["token_embd*"]}, ["attn_q", "ffn_down"]),
        ({"include": ["model.model.layers.0.self_attn.*"]}, ["attn_q"]),
        ({"include": ["model.layers.*.mlp.down_proj.weight"]}, ["ffn_down"]),
        ({"include": ["*attn_q*"], "exclude": ["lm_head.weight"]}, ["attn_q"]),
    ],
)
def test_patterns_are_the_files_names_or_those_of_the_network(
    llama: Path, store: dict[str, list[str]], names: list[str]
) -> None:
    found = stream(study(network={"name": "digits-lenet", "store": store}), llama)
    assert [t.name for t in found.image.tensors] == [f"blk.0.{name}.weight" for name in names]


def test_a_pattern_of_neither_is_said_with_both_spellings(llama: Path) -> None:
    given = study(network={"name": "digits-lenet", "store": {"exclude": ["*o_proj*", "*embed_tokens*", "*c_attn*"]}})
    with pytest.raises(InputError) as told:
        stream(given, llama)
    assert "store: no tensor matches '*o_proj*'" in str(told.value)
    assert "no tensor matches '*c_attn*'" in str(told.value)
    assert "embed_tokens*'" not in str(told.value)
    assert "the file has token_embd.weight, blk.0.attn_q.weight, blk.0.ffn_down.weight; " in str(told.value)
    assert "transformers calls them model.embed_tokens.weight, model.layers.0.self_attn.q_proj." in str(told.value)
