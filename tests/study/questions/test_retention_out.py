"""Retention for other tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import qtaml_hw as q
from qtaml_hw.cli.app import app
from qtaml_hw.config import parse_study

TEXT = "cell: {preset: gain-cell-65nm, t_ox: 1.9 nm, temperature: 85 degC, sigma_t_ox_die: 0 %}\nrefresh: 20 us\n"


def test_a_written_curve_read_again_is_the_same_retention(tmp_path: Path) -> None:
    model = q.retention(parse_study(TEXT))
    (tmp_path / "kept.csv").write_text(model.to_csv(), encoding="utf-8")
    (tmp_path / "s.yaml").write_text(TEXT + "flips: {law: curve, file: kept.csv, direction: 1to0}\n", encoding="utf-8")
    curve = q.retention(q.load(tmp_path / "s.yaml"))
    inside = [(t, p) for t, _, p in model.intervals if 1e-9 < p < 0.999]
    assert len(inside) > 5
    found = {t: p for t, _, p in curve.intervals}
    for t, p in inside:
        near = min(found, key=lambda known: abs(known / t - 1.0))
        if near == pytest.approx(t, rel=1e-6):
            assert found[near] == pytest.approx(p, rel=1e-4)
    assert curve.p10 == pytest.approx(model.p10, rel=0.05)


def test_a_cell_file_has_the_time_of_a_share(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT, encoding="utf-8")
    kept = q.retention(q.load(file))
    out = CliRunner().invoke(app, ["retention", str(file), "--format", "nvsim", "--share", "1e-3"])
    lines = out.stdout.splitlines()
    assert lines[0].startswith("// qtaml_hw: 0.1 % of the cells")
    assert lines[1] == f"-RetentionTime (us): {kept.quantiles_s[1e-3] * 1e6:.6g}"
    assert lines[2] == "-Temperature (K): 358.15"
    refused = CliRunner().invoke(app, ["retention", str(file), "--format", "nvsim", "--share", "2e-3"])
    assert isinstance(refused.exception, q.InputError)
