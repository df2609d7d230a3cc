"""A chip in files: they hold what the record counted, and the emitted decoders read them as we do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw import ecc
from qtaml_hw.cli.app import app
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError

TEXT = """
cell: {t_ox: 1.85 nm, temperature: 85 degC}
array: {banks: 3, row_bits: 512}
refresh: 10 us
protection: {policy: tac, budget: {parity: 6 %}, menu: [secded-39-32, parity-zero, dected-45-32], correction: none}
network: digits-lenet
data: digits
evaluate: {at: [100 us], images: 50, maps: {min: 2, max: 2}}
"""
WANTS_IVERILOG = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(TEXT)


@pytest.fixture(scope="module")
def exported(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chip")
    q.export(study, folder, map_index=1)
    return folder


def numbers(path: Path) -> list[int]:
    return [int(line, 16) for line in path.read_text(encoding="utf-8").split()]


def cells(path: Path, width: int) -> np.ndarray:
    values = numbers(path)
    return np.array([[value >> bit & 1 for bit in range(width)] for value in values], dtype=np.uint8)


def test_the_manifest_says_what_the_record_counts(study: Study, exported: Path, tmp_path: Path) -> None:
    told = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    q.run(study, store=tmp_path)
    lines = [json.loads(line) for file in tmp_path.glob("records-*.jsonl") for line in file.read_text().splitlines()]
    record = next(line for line in lines if line["map_index"] == told["map"] == 1)
    for name in ("identity", "flips_parity", "words_corrected", "words_uncorrectable"):
        assert told[name] == record[name]
    assert told["flips_data"] == record["flips_raw"]
    assert {one["code"] for one in told["codes"]} <= {"secded-39-32", "parity-zero", "dected-45-32"}
    assert told["check_bits"] == sum(one["words"] * (one["n"] - one["k"]) for one in told["codes"]) > 0
    assert set(told["files"]) | {"manifest.json", ".qtaml-hw"} == {path.name for path in exported.iterdir()}


def test_faults_and_images_are_one_thing(exported: Path) -> None:
    told = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    faults = np.load(exported / "faults.npz")
    places = [tuple(faults[name].tolist() for name in ("bank", "row", "column"))]
    places += [tuple(faults[f"{c['entry']}.{n}"].tolist() for n in ("bank", "row", "column")) for c in told["codes"]]
    listed = {place for part in places for place in zip(*part, strict=True)}
    assert len(places[0][0]) == told["flips_data"] > 0
    assert len(listed) == told["flips_data"] + told["flips_parity"]
    differing = set()
    for bank in range(told["banks"]):
        images = [
            cells(exported / f"bank{bank}.{kind}.memh", told["word_bits"]) for kind in ("written", "held", "flips")
        ]
        assert np.array_equal(images[0] ^ images[1], images[2])
        rows = images[2].reshape(-1, told["row_bits"])
        differing |= {(bank, int(row), int(column)) for row, column in np.argwhere(rows)}
    assert differing == listed
    memory = np.load(exported / "memory.npz")
    unpacked = np.unpackbits(memory["held"], axis=2, bitorder="little")
    assert np.array_equal(
        unpacked[1].reshape(-1, told["word_bits"]), cells(exported / "bank1.held.memh", told["word_bits"])
    )


def test_words_decode_to_what_the_network_reads(exported: Path) -> None:
    told = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    memory, corrected, lost = np.load(exported / "memory.npz"), 0, 0
    for one in told["codes"]:
        code = ecc.code(one["code"])
        written, held = memory[f"{one['entry']}.written"], memory[f"{one['entry']}.held"]
        assert np.array_equal(code.encode(written[:, : code.k]), written)
        out = code.decode(held)
        corrected, lost = corrected + int(out.corrected.sum()), lost + int(out.uncorrectable.sum())
        tag = one["code"].replace("-", "_")
        assert numbers(exported / f"words_{tag}.held.memh") == [
            int("".join(map(str, w[::-1])), 2) for w in held.tolist()
        ]
    assert (corrected, lost) == (told["words_corrected"], told["words_uncorrectable"])
    weights = np.load(exported / "weights.npz")
    for number, tensor in enumerate(told["tensors"]):
        read = weights[f"read.{tensor['name']}"]
        assert read.size == tensor["weights"]
        assert numbers(exported / f"weights_{number:03d}_{tensor['name']}.read.memh") == read.tolist()


@WANTS_IVERILOG
@pytest.mark.parametrize("policy", ["raw", "reload"])
def test_emitted_decoders_agree_with_the_record(study: Study, policy: str, tmp_path: Path) -> None:
    asked = study.with_(
        {"array.on_uncorrectable": policy, "array.backing": {"bandwidth": "10 GB/s", "latency": "100 ns"}}
    )
    done = q.export(asked, tmp_path, what=["memory"], formats=["memh"], check=True).as_dict()
    assert done["checked"]["corrected"] == done["words_corrected"] > 0
    assert done["checked"]["words"] == done["words"]
    assert done["checked"]["failures"] == 0


@WANTS_IVERILOG
def test_a_flipped_bit_in_the_image_is_found(study: Study, tmp_path: Path) -> None:
    from qtaml_hw.ecc.rtl.testbench import run_image_bench

    done = q.export(study, tmp_path, what=["memory"], formats=["memh"])
    name = next(c["code"] for c in done["codes"] if c["code"].startswith("secded"))
    file = tmp_path / f"words_{name.replace('-', '_')}.held.memh"
    lines = file.read_text().split()
    lines[0] = f"{int(lines[0], 16) ^ 1:0{len(lines[0])}x}"
    file.write_text("\n".join(lines) + "\n")
    assert run_image_bench(ecc.code(name), tmp_path)["failures"] == 1


def test_the_command_writes_what_was_asked_and_refuses_the_rest(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "s.yaml"
    file.write_text(TEXT, encoding="utf-8")
    out = tmp_path / "out"
    asked = ["export", str(file), "--out", str(out), "--what", "weights", "--format", "npz", "--json", "-q"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert [Path(path).name for path in told["files"]] == ["weights.npz", "manifest.json"]
    by_itself = CliRunner().invoke(app, [*asked[:2], *asked[4:]])  # without --out
    assert by_itself.exit_code == 0
    folders = {Path(path).parent for path in json.loads(by_itself.stdout)["files"]}
    assert [folder.name for folder in folders] == [f"{study.label}-export"]
    with pytest.raises(InputError, match="did you mean 'weights'"):
        q.export(study, tmp_path / "no", what=["weight"])
    with pytest.raises(InputError, match="export memory as memh"):
        q.export(study, tmp_path / "check", what=["faults"], check=True)
    assert not (tmp_path / "no").exists()
