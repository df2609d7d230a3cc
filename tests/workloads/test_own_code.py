"""Whose code a study runs: that of its own folder, apart from every other folder's, and that of packages allowed."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw.cli.app import app
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.usercode import find
from qtaml_hw.workloads.factory import load_factory, user_function
from qtaml_hw.workloads.own_code import load_function

NETS = """
import sizes
import parts.heads
from dataclasses import dataclass
from functools import partial
from os import system
from parts.heads import head as other
from torch import nn

@dataclass
class Shape:
    hidden: int = sizes.HIDDEN

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, Shape().hidden), nn.ReLU(), parts.heads.head(sizes.HIDDEN))

def build():
    return Net()

half = partial(Net)

def late():
    import sizes as again
    from parts.deeper import name
    return again.HIDDEN, name()
"""


def project(folder: Path, hidden: int) -> Path:
    """A folder with a module, a neighbour of it and a package."""
    (folder / "parts").mkdir(parents=True)
    (folder / "my_nets.py").write_text(NETS, encoding="utf-8")
    (folder / "sizes.py").write_text(f"HIDDEN = {hidden}\n", encoding="utf-8")
    (folder / "parts" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "parts" / "heads.py").write_text(
        "from torch.nn import Linear\n"
        "def head(width):\n    from . import outputs\n    return Linear(width, outputs.COUNT)\n",
        encoding="utf-8",
    )
    (folder / "parts" / "outputs.py").write_text("COUNT = 10\n", encoding="utf-8")
    (folder / "parts" / "deeper.py").write_text("def name():\n    return __name__\n", encoding="utf-8")
    text = "cell: {preset: sram6t-65nm}\nevaluate: {images: 50, maps: {min: 2, max: 2}}\n"
    text += "network: {factory: 'my_nets:build'}\n"
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return folder


def test_two_folders_with_modules_of_one_name_in_one_process(tmp_path: Path) -> None:
    bits, path, modules = [], list(sys.path), set(sys.modules)
    for name, hidden in (("a", 32), ("b", 128)):
        study = q.load(project(tmp_path / name, hidden) / "s.yaml")
        bits.append(q.run(study).stored_bits)
        assert load_function("my_nets:late", study.folder)()[0] == hidden
    assert bits == [8 * 74 * 32, 8 * 74 * 128]
    assert sys.path == path
    plain = {"my_nets", "sizes", "parts", "parts.heads", "parts.outputs", "parts.deeper"}
    assert not plain & (sys.modules.keys() - modules)


def test_a_module_that_was_edited_is_read_anew(tmp_path: Path) -> None:
    folder = project(tmp_path / "a", 32)
    first = load_factory("my_nets:build", input_shape=(1, 8, 8), folder=folder)
    assert load_factory("my_nets:Net", input_shape=(1, 8, 8), folder=folder).module.__class__ is first.module.__class__
    (folder / "sizes.py").write_text("HIDDEN = 5\n", encoding="utf-8")
    os.utime(folder / "sizes.py", ns=(1, 1))
    again = load_factory("my_nets:build", input_shape=(1, 8, 8), folder=folder)
    assert [m.out_features for m in again.module.modules() if isinstance(m, nn.Linear)] == [5, 10]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os:system", "of Python's own library"),
        ("sys:exit", "of Python's own library"),
        ("posix:system", "of Python's own library"),
        ("torch:load", "code of the installed package 'torch' is not run unless you allow it"),
        ("qtaml_hw.files:write_atomically", "code of the installed package 'qtaml_hw' is not run"),
        ("qtaml_hw.workloads.published:load_npz", "is defined in 'qtaml_hw.workloads.files'"),
        ("my_nets:system", "is defined in 'posix': call it in a function of the study's own folder"),
        ("my_nets:half", "is defined in 'functools'"),
        ("my_nets:nn", "has no function 'nn'"),
        ("my_nets:__import__('os')", "a factory is written"),
    ],
)
def test_what_lies_elsewhere_is_not_run(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        load_function(name, project(tmp_path / "a", 4))
    assert said in str(error.value)


def test_our_own_networks_and_allowed_packages_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"name": "lenet-cifar"}
    ours = load_factory("qtaml_hw.workloads.published:build", input_shape=(3, 32, 32), arguments=named)
    assert ours.classes == 10
    (tmp_path / "site" / "shelf").mkdir(parents=True)
    (tmp_path / "site" / "shelf" / "__init__.py").write_text("from shelf.nets import build\n", encoding="utf-8")
    (tmp_path / "site" / "shelf" / "nets.py").write_text("def build():\n    return 3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ValueError, match="'shelf' is not run unless you allow it"):
        load_function("shelf:build", tmp_path)
    assert load_function("shelf:build", tmp_path, ("shelf",))() == 3
    with pytest.raises(ValueError, match="of Python's own library"):
        find("os:system", tmp_path, ("os",))


def test_what_is_allowed_travels_with_a_study_and_is_no_part_of_it() -> None:
    text = "network: {factory: 'a:b'}\nsweep: {grid: {cell.t_ox: [1.8 nm, 1.9 nm]}}\ncell: {preset: gain-cell-65nm}\n"
    study = parse_study(text, allow_code=["shelf"])
    plain = parse_study(text)
    for one in (study.with_({"cell.t_ox": "1.6 nm"}), study.points()[1].study, pickle.loads(pickle.dumps(study))):
        assert one.allow_code == ("shelf",)
    assert plain.allow_code == ()
    assert plain == study
    assert plain.identity() == study.identity()


LEAVING = """
import sys
def build():
    sys.exit(7)
def score(outputs, clean, labels):
    raise SystemExit("enough")
"""


def test_code_that_ends_the_process_ends_its_point_alone(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(LEAVING, encoding="utf-8")
    (tmp_path / "gone.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"leaving:build failed: SystemExit: 7"):
        load_factory("leaving:build", input_shape=(1,), folder=tmp_path)
    with pytest.raises(ValueError, match=r"the module of 'gone:build' cannot be imported \(SystemExit: 3\)"):
        load_factory("gone:build", input_shape=(1,), folder=tmp_path)
    with pytest.raises(ValueError, match=r"leaving:score failed: SystemExit: enough"):
        user_function("leaving:score", tmp_path)(np.zeros(1), np.zeros(1), np.zeros(1))
    text = "cell: {preset: sram6t-65nm}\nnetwork: {factory: 'leaving:build'}\n"
    with pytest.raises(InputError, match="SystemExit: 7"):
        q.run(parse_study(text, folder=tmp_path))


def test_a_study_file_alone_runs_no_command(tmp_path: Path) -> None:
    trace = tmp_path / "it_ran"
    for section in (
        f"network: {{factory: 'os:system', arguments: {{command: 'touch {trace}'}}}}",
        "data: {factory: 'sys:exit'}",
        "evaluate: {metric: 'builtins:exec'}",
    ):
        (tmp_path / "s.yaml").write_text(f"cell: {{preset: sram6t-65nm}}\n{section}\n", encoding="utf-8")
        for command in ("validate", "run", "sweep", "tensors"):
            found = CliRunner().invoke(app, [command, str(tmp_path / "s.yaml")])
            assert found.exit_code in (1, 2, 3)
            assert not isinstance(found.exception, OSError)
    assert not trace.exists()


def test_validate_lists_the_code_that_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(project(tmp_path / "a", 4) / "s.yaml")
    found = CliRunner().invoke(app, ["validate", file, "--json"])
    expected = {"function": "my_nets:build", "file": str(tmp_path / "a" / "my_nets.py")}
    assert json.loads(found.stdout)["code"] == [expected]
    assert "runs the code of my_nets:build in" in CliRunner().invoke(app, ["validate", file]).stdout
    (tmp_path / "shelf.py").write_text("def build(): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    other = ["validate", file, "--set", "network.factory=shelf:build"]
    assert CliRunner().invoke(app, other).exit_code != 0
    assert CliRunner().invoke(app, ["--allow-code", "shelf", *other]).exit_code == 0
    assert CliRunner().invoke(app, other).exit_code != 0
