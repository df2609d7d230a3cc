"""The scripts that measure and table stored bits by method: one rung, what a file holds, what is made of it."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("joint_table", "joint_figure"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("joint_table"), importlib.import_module("joint_figure")


@pytest.mark.parametrize("method", ["msp", "tac", "uniform", "joint"])
def test_a_rung_stores_no_more_than_its_bits(scripts: tuple[ModuleType, ModuleType], method: str) -> None:
    table, _ = scripts
    bench = table.Bench(table.Cell("digits-lenet", 0.1, "symmetric", "shannon", method), Path())
    line = bench.measure(12)
    assert line["bits"] <= bench.cell.bits(12, bench.most_bits) + 1e-9
    assert len(line["scores"]) == len(line["right"]) == table.MAPS
    assert line["kept"] == pytest.approx(sum(line["scores"]) / table.MAPS / line["clean"])
    assert json.loads(json.dumps(line)) == line


def test_what_a_file_holds_is_read_by_cell_and_a_torn_line_is_left_out(
    scripts: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    """Four rungs of one map and eight images: 8, 8, 6 and 4 of them right at 8, 4, 2 and 1 bits; 7.6 are wanted."""
    table, figure = scripts
    cell, out = table.Cell("net", 0.1, "symmetric", "ideal", "joint"), tmp_path / "lines.jsonl"
    for rung, (bits, right) in enumerate([(8.0, "ff"), (4.0, "ff"), (2.0, "fc"), (1.0, "f0")]):
        kept = bin(int(right, 16)).count("1") / 8
        line = {**vars(cell), "rung": rung, "bits": bits, "kept": kept, "clean": 1.0, "clean_right": "ff"}
        table.append(out, {**line, "scores": [kept], "right": [right]})
    with out.open("a") as file:
        file.write('{"network": "net", "p"')
    found = table.read_lines(out)
    assert set(found) == {cell}
    assert set(found[cell]) == {0, 1, 2, 3}
    value, low, high = figure.bits(found[cell])
    assert value == pytest.approx(2.0 * 2.0 ** ((7.6 - 6.0) / 2.0))
    assert low <= value <= high
    assert "3.48" in figure.table({cell: figure.bits(found[cell])})
