"""One written report, shared by the tests that look at it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qtaml_hw.report import write_report
from tests.report import synthetic


@pytest.fixture(scope="session")
def sweep_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, ...]]:
    records = synthetic.sweep(
        {"cell.t_ox": [1.5, 1.7, 1.8, 2.0], "protection.policy": ["none", "uniform", "tac"]},
        maps=64,
        times=(1e-4, 1e-3),
    )
    records[0]["warnings"] = ["w" * 300]
    records.append(synthetic.failure(99, {"cell.t_ox": 1.2}, "ValueError: t_ox 1.2 nm <b>bold</b> " + "e" * 200))
    folder = synthetic.write(tmp_path_factory.mktemp("sweep"), records)
    (folder / "ecc_table.json").write_text(json.dumps({"rows": synthetic.ecc_rows()}))
    return folder, write_report(folder)
