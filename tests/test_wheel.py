"""What is installed from a wheel, used from an empty folder: nothing of the checkout is there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = {path.name for path in (ROOT / "configs").rglob("*.yaml")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    pytest.importorskip("hatchling", reason="the build tool is not installed: pip install 'qtaml-hw[test]'")
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return out


def test_the_source_distribution_can_do_what_the_checkout_can(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    wanted = {name for name in tracked if not name.startswith((".ci", ".git"))}
    assert wanted - inside == set()
    assert {"pyproject.toml", "README.md", "constraints.txt", "scripts/demo"} <= inside


def test_a_wheel_alone_writes_checks_and_runs_a_first_study(built: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        assert {Path(name).name for name in wheel.namelist() if name.startswith("qtaml_hw/configs/")} == CONFIGS
        assert "qtaml_hw/py.typed" in wheel.namelist()
        wheel.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}

    def command(*arguments: str) -> str:
        line = [sys.executable, "-m", "qtaml_hw.cli", *arguments]
        done = subprocess.run(line, cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-c", "import qtaml_hw; print(qtaml_hw.__file__)"]
    home = subprocess.run(where, cwd=empty, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(home.strip()).is_relative_to(site)
    assert command("init", "mine").split() == ["mine.yaml", "qtaml_hw.schema.json"]
    assert "mine.yaml: ok, 6 points" in command("validate", "mine.yaml")
    small = ("--set", "evaluate.maps={min: 2, max: 2}", "--set", "evaluate.images=50", "--quiet")
    assert "Accuracy" in command("run", "mine.yaml", *small)
    assert (empty / "runs" / "mine" / "report.html").is_file()
