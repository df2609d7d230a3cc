"""What a user's function consists of: found by reading, named alike wherever the folder lies, never imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtaml_hw.usercode import find, sources

FILES = {
    "nets.py": "import sizes\nfrom parts.heads import head\ndef build():\n    import late.er\n    return 1\n",
    "sizes.py": "import numpy, os.path\nHIDDEN = 3\n",
    "parts/__init__.py": "from .shared import *\n",
    "parts/heads.py": "def head():\n    from . import outputs\n    from ..sizes import HIDDEN\n",
    "parts/outputs.py": "import nets\n",
    "parts/shared.py": "",
    "parts/unused.py": "",
    "late/er.py": "raise SystemExit('never run')\n",
    "unused.py": "def (:",
    "qtaml_hw.py": "",
}
OWN = {
    "nets.py",
    "sizes.py",
    "parts/__init__.py",
    "parts/heads.py",
    "parts/outputs.py",
    "parts/shared.py",
    "late/er.py",
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def found(folder: Path, name: str = "nets:build", allowed: tuple[str, ...] = ()) -> set[str]:
    return set(sources(find(name, folder, allowed), folder))


def test_a_module_and_all_that_it_imports_from_the_folder(tmp_path: Path) -> None:
    assert found(written(tmp_path / "a", FILES)) == OWN
    assert found(written(tmp_path / "b" / "elsewhere", FILES)) == OWN
    assert found(tmp_path / "a", "parts.unused:x") == {"parts/unused.py", "parts/__init__.py", "parts/shared.py"}
    assert found(tmp_path / "a", "unused:x") == {"unused.py"}
    assert found(tmp_path / "a", "qtaml_hw.workloads.published:build") == set()


@pytest.mark.parametrize(
    "line",
    [
        "import importlib\nimportlib.import_module('a' + 'b')",
        "from importlib import import_module",
        "__import__('siz' + 'es')",
        "exec(open('x').read())",
        "import sys\nsys.path.append('src')",
    ],
)
def test_names_that_stand_nowhere_mean_every_module(tmp_path: Path, line: str) -> None:
    folder = written(tmp_path, FILES | {"sizes.py": line, ".hidden/x.py": "", "env/pyvenv.cfg": "", "env/lib.py": ""})
    assert found(folder) == FILES.keys()


def test_an_allowed_package_is_its_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = {"shelf/__init__.py": "", "shelf/nets.py": "import torch, other\nfrom shelf import deep\n", "other.py": ""}
    monkeypatch.syspath_prepend(written(tmp_path / "site", site | {"shelf/deep/__init__.py": "import shelf.nets"}))
    packaged = {"shelf/__init__.py", "shelf/nets.py", "shelf/deep/__init__.py"}
    assert found(written(tmp_path / "study", FILES), "shelf.nets:x", ("shelf",)) == packaged
    (tmp_path / "site" / "shelf" / "unused.py").touch()
    (tmp_path / "site" / "shelf" / "nets.py").write_text("import importlib\nimportlib.x()\n", encoding="utf-8")
    assert found(tmp_path / "study", "shelf.nets:x", ("shelf",)) == packaged | {"shelf/unused.py"}
    (tmp_path / "site" / "other.py").write_text("import importlib, shelf\nimportlib.x()\n", encoding="utf-8")
    assert found(tmp_path / "study", "other:x", ("other",)) == {"other.py"}
