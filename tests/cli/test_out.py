"""``--out`` of every command: what it did not write, it does not replace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.cli.conftest import call

STUDY = """
study: mine
network: digits-mlp
data: digits
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 20, maps: {min: 2, max: 2}}
sweep: {grid: {cell.t_ox: [1.8 nm, 1.9 nm]}}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user is in: the study, a model, and figures of the names that a report has."""
    (tmp_path / "figures").mkdir()
    for name in ("accuracy.png", "tornado.csv"):
        (tmp_path / "figures" / name).write_text("my own")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "points.csv").write_text("my own")
    save_file({"a.weight": torch.linspace(-1.0, 1.0, 64).reshape(8, 8)}, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("out", [".", "", "figures"])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "study.yaml"),
        ("sweep", "study.yaml"),
        ("sweep", "study.yaml", "--jobs", "2"),
        ("what-if", "study.yaml", "--set", "cell.t_ox=1.7nm"),
        ("what-if", "study.yaml", "--tornado"),
        ("search", "study.yaml"),
        ("layers", "study.yaml"),
        ("design", "study.yaml"),
        ("reproduce", "paper", "--quick"),
        ("stream", "study.yaml", "model.safetensors"),
        ("store", "export", "store"),
        ("store", "merge", "store"),
        ("allocate", "study.yaml"),
    ],
    ids=" ".join,
)
def test_a_folder_of_the_users_is_refused_as_it_is(
    mine: Path, command: tuple[str, ...], out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "store").mkdir()
    line = {"schema": 2, "identity": "a" * 32, "map_index": 0, "score": 90.0}
    (mine / "store" / "records-0123456789ab.jsonl").write_text(json.dumps(line) + "\n")
    before = content(mine)
    assert call(monkeypatch, *command, "--out", out) == 2
    assert content(mine) == before
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert any(words in error for words in ("did not write", "holds the weights", "no plan", "Is a directory")), error


def test_a_plan_does_not_replace_another_file(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(mine)
    assert call(monkeypatch, "allocate", "study.yaml", "--out", "study.yaml") == 2
    assert "study.yaml is no plan" in capsys.readouterr().err
    assert content(mine) == before
    for _ in range(2):  # a plan does replace a plan
        assert call(monkeypatch, "allocate", "study.yaml", "--out", "plan.json") == 0


def test_a_linked_model_is_not_streamed_onto_itself(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Hugging Face snapshot: links to blobs. Neither its folder nor the blobs' is written to."""
    (blobs := mine / "hub" / "blobs").mkdir(parents=True)
    (snapshot := mine / "hub" / "snapshots" / "1").mkdir(parents=True)
    (mine / "model.safetensors").rename(blobs / "0123")
    (snapshot / "model.safetensors").symlink_to(blobs / "0123")
    before = content(mine)
    for out in (snapshot, blobs):
        assert call(monkeypatch, "stream", "study.yaml", snapshot / "model.safetensors", "--out", out) == 2
        assert "holds the weights that are read" in capsys.readouterr().err
    assert content(mine) == before
    (linked := mine / "linked").mkdir()  # ours, but its file of that name is a link to the model
    (linked / ".qtaml-hw").touch()
    (linked / "model.safetensors").symlink_to(blobs / "0123")
    assert call(monkeypatch, "stream", "study.yaml", snapshot / "model.safetensors", "--out", linked) == 0
    assert (blobs / "0123").read_bytes() == before[blobs / "0123"]
    assert not (linked / "model.safetensors").is_symlink()


@pytest.mark.parametrize("command", [("run",), ("run", "--jobs", "2"), ("what-if", "--set", "cell.t_ox=1.7nm")])
def test_a_point_that_is_refused_leaves_nothing_behind(
    mine: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "busy.yaml").write_text(STUDY + "refresh: {interval: 1 ns}\n")
    name, *options = command
    assert call(monkeypatch, name, "busy.yaml", *options, "--out", "new/store", "-q") == 2
    assert "refresh" in capsys.readouterr().err
    assert not (mine / "new/store").exists()
    assert call(monkeypatch, "report", "new/store") == 2


def test_a_refused_point_leaves_a_store_as_it_was(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "run", "study.yaml", "--out", "store", "-q") == 0
    before = content(mine / "store")
    assert call(monkeypatch, "run", "study.yaml", "--set", "refresh.interval=1ns", "--out", "store", "-q") == 2
    assert content(mine / "store") == before
