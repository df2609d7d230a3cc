"""Damaged input in quantity: study files through the command line, weights, arrays and stores through their readers.

Every case is refused in words or read; nothing raises what it should not.  ``QTAML_HW_FUZZ=10000`` sets the number of
cases of each kind; the seeds are the same every time, so that a case can be found again.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import sys
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qtaml_hw import cli
from qtaml_hw.errors import InputError
from qtaml_hw.records.archive import export_store, merge_stores, store_status
from qtaml_hw.records.compare import compare
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_store
from qtaml_hw.records.summary import finished_maps
from qtaml_hw.workloads.factory import load_weights
from qtaml_hw.workloads.files import load_idx, load_npz

CASES = int(os.environ.get("QTAML_HW_FUZZ", "240"))
ROOT = Path(__file__).parents[1]
CONFIGS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "configs").glob("*.yaml"))]
PIECES = (
    *(
        "",
        " ",
        "-",
        ":",
        "{",
        "}",
        "[",
        "]",
        "nm",
        "-1",
        "1e999",
        ".nan",
        "~",
        "null",
        "&a",
        "*a",
        "<<",
        "\t",
        "é",
        "#",
    ),
    *(
        "!!python/name:os",
        "---\n",
        "\x00",
        "\u202e",
        "9" * 400,
        "[" * 60,
        "0x1F",
        "%",
        "{a: {b: ",
        "'",
        '"',
        "|\n",
        "? ",
    ),
)
VALUES = (
    "0",
    "-1",
    "1e308 nm",
    "nan",
    "off",
    "[]",
    "{}",
    "null",
    "true",
    "1 parsec",
    "1.8",
    "''",
    "[1, 2",
    "5 %",
    "1e-400 s",
)


def torn(text: str, draw: random.Random) -> str:
    """Pieces put in, characters taken out."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice(PIECES) + text[at + draw.choice((0, 0, 1, 5, 40)) :]
    return text


def revalued(text: str, draw: random.Random) -> str:
    """Values replaced where values stand: the file stays YAML, the study does not stay valid."""
    places = list(re.finditer(r"(?<=[:,\[] )[^,\]}\n#{\[]+", text))
    for place in sorted(draw.sample(places, min(len(places), draw.randint(1, 3))), key=lambda m: -m.start()):
        text = text[: place.start()] + draw.choice(VALUES) + text[place.end() :]
    return text


def shuffled(text: str, draw: random.Random) -> str:
    """Lines lost, doubled, swapped, indented."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw.randint(1, 5)):
        i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
        act = draw.randrange(4)
        lines[i] = ("", lines[i] * 2, lines[j], f"{' ' * draw.randint(1, 5)}{lines[i]}")[act]
    return "".join(lines)


def crossed(text: str, draw: random.Random) -> str:
    """The head of one study on the tail of another."""
    other = draw.choice(CONFIGS)
    return text[: draw.randrange(len(text))] + other[draw.randrange(len(other)) :]


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (torn, revalued, shuffled, crossed)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_damaged_study_is_refused_in_words(
    mutate: Callable[[str, random.Random], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, file, codes = random.Random(mutate.__name__), tmp_path / "study.yaml", dict[object, int]()
    for case in range(CASES // len(MUTATIONS)):
        text = mutate(draw.choice(CONFIGS), draw)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        command = draw.choice((["validate"], ["validate", "--json"], ["validate", "--set", "cell.t_ox=1.7nm"]))
        monkeypatch.setattr(sys, "argv", ["qtaml-hw", command[0], str(file), *command[1:]])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            cli.main()
        code = stopped.value.code or 0
        codes[code] = codes.get(code, 0) + 1
        assert code in (0, 2), (case, text)
        assert "Traceback" not in err.getvalue(), (case, text)
        assert code == 0 or err.getvalue() or "--json" in command, (case, text)
        if "--json" in command:
            assert json.loads(out.getvalue())["ok"] is (code == 0), (case, text)
    assert codes.get(2, 0) > CASES // 40, codes  # so that the mutations do damage


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut, doubled."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(found) + 1)
        found[at : at + draw.choice((0, 1, 1, 8))] = draw.choice(
            (b"", b"\x00", b"\xff" * 8, bytes([draw.randrange(256)]), b"9" * 20, bytes(found[:16]))
        )
    return bytes(found[: draw.choice((None, None, draw.randrange(len(found) + 1)))])


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    module, path, draw = torch.nn.Linear(3, 2), tmp_path / "w.safetensors", random.Random("weights")
    save_file(dict(module.state_dict()), path)
    whole, refused = path.read_bytes(), 0
    for _ in range(CASES):
        path.write_bytes(damaged(whole, draw))
        try:
            load_weights(module, path)
        except ValueError:
            refused += 1
    assert refused > CASES // 2


def npz(x: bytes, y: bytes) -> bytes:
    """An archive whose members are these bytes, checksums and all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


ARRAYS = np.zeros((300, 4, 4), np.uint8), np.arange(300) % 3
IDX = (
    b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (300, 4, 4)) + bytes(300 * 16),
    b"\x00\x00\x08\x01" + (300).to_bytes(4, "big") + bytes(i % 3 for i in range(300)),
)


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    draw, path, refused = random.Random("arrays"), tmp_path / "a.npz", 0
    images, labels = (npy(array) for array in ARRAYS)
    for _ in range(CASES):
        inner = npz(damaged(images, draw), labels), npz(images, damaged(labels, draw))
        path.write_bytes(draw.choice((*inner, damaged(npz(images, labels), draw))))
        try:
            load_npz(path)
        except ValueError:
            refused += 1
    assert refused > CASES // 2


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    (images, labels), draw, refused = IDX, random.Random("idx"), 0
    for case in range(CASES):
        (tmp_path / "x").write_bytes(damaged(images, draw))
        (tmp_path / "y").write_bytes(damaged(labels, draw) if case % 2 else labels)
        try:
            load_idx(tmp_path / "x", tmp_path / "y")
        except ValueError:
            refused += 1
    assert refused > CASES // 2


def test_damaged_stores_lose_only_what_is_damaged(tmp_path: Path) -> None:
    draw, store = random.Random("stores"), tmp_path / "store"
    with ShardWriter(store) as writer:
        for index in range(6):
            writer.append(
                Record({"identity": "a" * 32, "map_index": index, "score": 0.5, "axes": {"cell.t_ox": "1 nm"}})
            )
    (shard,) = store.glob("*.jsonl")
    whole = shard.read_bytes()
    for case in range(CASES):
        shard.write_bytes(damaged(whole, draw))
        content = read_store(store)
        status = store_status(store)
        assert status.torn == len(content.dropped), case
        assert len(content.records) + content.repeated >= 6 - 6 * 2 - len(content.dropped), case
        finished_maps(content.records)
        export_store(store, tmp_path / "out")
        merge_stores([store], tmp_path / "merged" / str(case))
        with pytest.raises(InputError):  # no record here is a whole point
            compare([store, store])
