"""Systolic cost: against a schedule simulated cycle by cycle, symmetries, and bad input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.accelerator import DATAFLOWS, systolic_cost

SIZES = st.integers(1, 12)
SIDES = st.integers(1, 5)


def tiles(length: int, side: int) -> list[range]:
    return [range(start, min(start + side, length)) for start in range(0, length, side)]


def stationary_schedule(streamed: int, down: int, across: int, rows: int, columns: int) -> tuple[int, int, int, int]:
    """An array that holds a (down x across) operand and streams (streamed x down) through it, one event at a time.

    Returns cycles, reads of the streamed operand, reads of the held one, writes of results.
    """
    cycles = stream_reads = held_reads = writes = 0
    for held_rows in tiles(down, rows):
        for held_columns in tiles(across, columns):
            held_reads += len(held_rows) * len(held_columns)
            last = 0
            for step in range(streamed):
                stream_reads += len(held_rows)
                for column in range(columns):  # idle columns are clocked too
                    enters = rows + step  # the held operand is shifted in first, one row per cycle
                    leaves = enters + (rows - 1) + column  # down all rows, skewed by one cycle per column
                    last = max(last, leaves)
                writes += len(held_columns)
            cycles += last + 1  # clocks are counted from 0
    return cycles, stream_reads, held_reads, writes


def output_stationary_schedule(m: int, k: int, n: int, rows: int, columns: int) -> tuple[int, int, int, int]:
    """An array that holds a (rows x columns) tile of results; both operands stream in, then the results drain."""
    cycles = input_reads = weight_reads = writes = 0
    for tile_rows in tiles(m, rows):
        for tile_columns in tiles(n, columns):
            input_reads += len(tile_rows) * k
            weight_reads += len(tile_columns) * k
            writes += len(tile_rows) * len(tile_columns)
            cycles += 1 + max(step + r + c for step in range(k) for r in range(rows) for c in range(columns))
    return cycles, input_reads, weight_reads, writes


@given(m=SIZES, k=SIZES, n=SIZES, rows=SIDES, columns=SIDES)
def test_weight_stationary_is_the_simulated_schedule(m: int, k: int, n: int, rows: int, columns: int) -> None:
    cost = systolic_cost(m, k, n, rows, columns, "ws")
    expected = stationary_schedule(m, k, n, rows, columns)
    assert (cost.cycles, cost.input_reads, cost.weight_reads, cost.output_writes) == expected


@given(m=SIZES, k=SIZES, n=SIZES, rows=SIDES, columns=SIDES)
def test_input_stationary_is_the_simulated_schedule(m: int, k: int, n: int, rows: int, columns: int) -> None:
    cost = systolic_cost(m, k, n, rows, columns, "is")
    expected = stationary_schedule(n, k, m, rows, columns)
    assert (cost.cycles, cost.weight_reads, cost.input_reads, cost.output_writes) == expected


@given(m=SIZES, k=SIZES, n=SIZES, rows=SIDES, columns=SIDES)
def test_output_stationary_is_the_simulated_schedule(m: int, k: int, n: int, rows: int, columns: int) -> None:
    cost = systolic_cost(m, k, n, rows, columns, "os")
    expected = output_stationary_schedule(m, k, n, rows, columns)
    results = cost.output_writes - cost.drain_writes
    assert (cost.cycles, cost.input_reads, cost.weight_reads, results) == expected
    assert results == m * n


@given(m=SIZES, k=SIZES, n=SIZES, rows=SIDES, columns=SIDES, dataflow=st.sampled_from(["ws", "os", "is"]))
def test_bounds(m: int, k: int, n: int, rows: int, columns: int, dataflow: str) -> None:
    cost = systolic_cost(m, k, n, rows, columns, dataflow)
    assert cost.macs == m * k * n
    assert cost.input_reads >= m * k
    assert cost.weight_reads >= k * n
    assert cost.output_writes >= m * n
    assert cost.cycles >= systolic_cost(m, k, n, 2 * rows, 2 * columns, dataflow).cycles / 4 - 2 * (rows + columns)


def test_a_single_multiplier_at_full_names() -> None:
    assert {systolic_cost(3, 4, 5, 2, 2, name) for name in DATAFLOWS} == {
        systolic_cost(3, 4, 5, 2, 2, code) for code in ("ws", "os", "is")
    }
    assert systolic_cost(64, 64, 64, rows=32, columns=32, dataflow="weight_stationary").cycles == 632
    assert systolic_cost(np.int64(64), np.int32(64), 64, 32, 32).utilisation == pytest.approx(262144 / (632 * 1024))


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "8", None])
@pytest.mark.parametrize("name", ["m", "k", "n", "rows", "columns"])
def test_a_bad_size_is_named(name: str, bad: object) -> None:
    sizes: dict[str, object] = {"m": 2, "k": 2, "n": 2, "rows": 2, "columns": 2, name: bad}
    with pytest.raises(ValueError, match=f"{name} must be a whole number >= 1, got {bad!r}"):
        systolic_cost(**sizes)  # type: ignore[arg-type]


def test_an_unknown_dataflow_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'weight_stationary'"):
        systolic_cost(1, 1, 1, 1, 1, "weigth-stationary")
    with pytest.raises(ValueError, match="allowed: ws, weight_stationary, os"):
        systolic_cost(1, 1, 1, 1, 1, "diagonal")


def test_the_cycle_count_imports_neither_torch_nor_numpy() -> None:
    script = (
        "import sys, qtaml_hw.accelerator as a; a.systolic_cost(4, 4, 4, 2, 2); a.mac_energy('horowitz-45nm-int8');"
        "print([m for m in ('torch', 'numpy', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
