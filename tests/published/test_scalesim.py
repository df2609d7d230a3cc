"""SCALE-Sim 3.0.0: every row of the recorded runs, access by access.

data/scalesim_cycles.csv: SCALE-Sim 3.0.0 compute model, rows x cols array, dataflow ws / os / is;
M, N, K: GEMM of M x K by K x N. Numbers produced with the tool; none of its code is here.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from qtaml_hw.accelerator import systolic_cost

ROWS = list(csv.DictReader((Path(__file__).parent / "data" / "scalesim_cycles.csv").open(encoding="utf-8")))


def test_all_rows_are_here() -> None:
    assert len(ROWS) == 99


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['topology']}-{r['layer']}-{r['rows']}-{r['dataflow']}")
def test_cycles_and_accesses_are_those_of_scalesim(row: dict[str, str]) -> None:
    m, k, n = int(row["M"]), int(row["K"]), int(row["N"])
    cost = systolic_cost(m, k, n, int(row["rows"]), int(row["cols"]), row["dataflow"])
    assert cost.cycles == int(row["cycles"])
    assert cost.input_reads == int(row["sram_ifmap_reads"])
    assert cost.weight_reads == int(row["sram_filter_reads"])
    assert cost.output_writes == int(row["sram_ofmap_writes"])
    assert cost.macs == int(row["macs"])
