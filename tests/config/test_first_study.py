"""The study that `init` writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qtaml_hw.cli.app import app
from qtaml_hw.config import load_study
from qtaml_hw.config.shipped import SCHEMA_FILE, shipped, write_first_study
from qtaml_hw.errors import InputError


@pytest.mark.parametrize("like", sorted(shipped()))
def test_a_copy_is_the_same_study_under_its_own_name(like: str, tmp_path: Path) -> None:
    written, schema = write_first_study(tmp_path / "oxide: 2", like)
    assert written.name == "oxide: 2.yaml"
    text = written.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n# ")
    assert "configs/" not in text
    assert "FILE" not in text
    study, original = load_study(written), load_study(shipped()[like])
    assert study.label == "oxide: 2"
    assert [p.study.identity() for p in study.points()] == [p.study.identity() for p in original.points()]
    assert json.loads(schema.read_text(encoding="utf-8"))["title"] == "qtaml_hw study"


def test_nothing_is_replaced_and_unknown_studies_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("kept")
    with pytest.raises(InputError, match=r"mine\.yaml is there already"):
        write_first_study(tmp_path / "mine")
    assert (tmp_path / "mine.yaml").read_text() == "kept"
    with pytest.raises(InputError, match="did you mean 'quickstart'"):
        write_first_study(tmp_path / "other", "quikstart")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_several_files_are_checked_in_one_call(tmp_path: Path) -> None:
    good, bad = write_first_study(tmp_path / "good")[0], tmp_path / "bad.yaml"
    bad.write_text("cell: {t_ox: 1.8}\nrefesh: 10 us\n", encoding="utf-8")
    found = CliRunner().invoke(app, ["validate", str(good), str(bad), "--json"])
    told = json.loads(found.stdout)
    assert (found.exit_code, told["ok"]) == (2, False)
    assert [(one["ok"], one["points"], len(one["errors"])) for one in told["files"]] == [(True, 6, 0), (False, 0, 2)]
    lines = CliRunner().invoke(app, ["validate", str(good), str(bad)])
    assert f"{good}: ok, 6 points" in lines.stdout
    assert "refesh" in lines.stderr
