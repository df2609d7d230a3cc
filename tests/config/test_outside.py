"""Files and functions that a study names: found or missed without opening or running anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.config.outside import missing

MODULE = """
raise SystemExit("this module must not be run")
def build(): ...
class Net: ...
if True:
    other = build
from os import path as imported
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").write_text("raise SystemExit\n", encoding="utf-8")
    (tmp_path / "pack" / "deep" / "nets.py").write_text("from x import *\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (:\n", encoding="utf-8")
    (tmp_path / "w.safetensors").write_bytes(b"never opened")
    return tmp_path


def said(folder: Path, text: str) -> list[str]:
    return [str(problem) for problem in missing(parse_study(text, name="s.yaml", folder=folder))]


@pytest.mark.parametrize("name", ["nets:build", "nets:Net", "nets:other", "nets:imported", "pack.deep.nets:anything"])
def test_what_is_there_is_found_and_not_run(folder: Path, name: str) -> None:
    assert said(folder, f"network: {{factory: '{name}', weights: w.safetensors}}") == []
    assert not {"nets", "pack", "pack.deep"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nits:build", "there is no module 'nits', in the study's folder or installed"),
        ("nets.deeper:build", "there is no module 'nets.deeper'"),
        ("pack.nets:build", "there is no module 'pack.nets'"),
        ("nets:biuld", "the module 'nets' has no 'biuld'; did you mean 'build'?"),
        ("broken:build", "the module 'broken' cannot be read"),
        ("json:loads", "'json:loads' is of Python's own library"),
        ("os:system", "'os:system' is of Python's own library"),
        ("builtins:exec", "'builtins:exec' is of Python's own library"),
        ("numpy.linalg:norm", "code of the installed package 'numpy' is not run unless you allow it: 'qtaml-hw --al"),
        ("qtaml_hw.files:write_atomically", "code of the installed package 'qtaml_hw' is not run"),
        ("qtaml_hw.workloads.published:build", ""),
    ],
)
def test_what_is_not_there_is_said_at_its_place(folder: Path, name: str, expected: str) -> None:
    found = said(folder, f"study: a\nnetwork:\n  factory: '{name}'\n")
    assert [line.startswith(f"s.yaml:3:12 network.factory: {expected}") for line in found] == [True] * bool(expected)


def test_all_that_is_missing_at_once_and_points_too(folder: Path) -> None:
    text = """
network: {factory: 'nets:build', weights: v.safetensors}
data: {npz: {path: none.npz}}
evaluate: {metric: 'nets:score'}
sweep: {grid: {network.factory: ['nets:build', 'nets:Nets']}}
"""
    found = said(folder, text)
    assert len(found) == 4
    for expected in ("no 'Nets'; did you mean 'Net'?", "v.safetensors", "none.npz", "no 'score'"):
        assert any(expected in line for line in found), expected


def test_a_code_file_on_the_menu_must_be_there(folder: Path) -> None:
    text = "protection: {policy: uniform, menu: [mine.json, 'deep/other.ALIST', secded-72-64]}"
    assert [one.partition("protection.menu: ")[2] for one in said(folder, text)] == [
        f"there is no {folder / 'mine.json'}",
        f"there is no {folder / 'deep/other.ALIST'}",
    ]
    (folder / "mine.json").write_text("never opened", encoding="utf-8")
    assert len(said(folder, text)) == 1
