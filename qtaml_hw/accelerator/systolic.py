"""Cycles and SRAM accesses of one GEMM on a systolic array, in closed form.

The forms reproduce SCALE-Sim 3.0.0's compute model (Samajdar et al., ISPASS 2020, doi:10.1109/ISPASS48437.2020.00016)
access by access: the array works through folds (tiles), each fold fills, streams and drains before the next begins.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Final, SupportsIndex

from qtaml_hw.errors import unknown

DATAFLOWS: Final[dict[str, str]] = {
    "ws": "ws", "weight_stationary": "ws",
    "os": "os", "output_stationary": "os",
    "is": "is", "input_stationary": "is",
}  # fmt: skip


@dataclass(frozen=True)
class SystolicCost:
    """What one GEMM costs on the array; counts are values (one weight, one activation), not memory words.

    cycles: clock cycles, every fold filled and drained on its own.
    input_reads, weight_reads: SRAM reads of activations and of weights.
    output_writes: SRAM writes as SCALE-Sim counts them. Partial sums of later folds count again; under the
        output-stationary dataflow the tool adds rows + columns per fold, which are in ``drain_writes``.
    macs: multiply-accumulates, m k n.
    drain_writes: the part of output_writes that carries no result (0 but for output-stationary).
    utilisation: macs / (cycles x rows x columns), 0..1.
    """

    cycles: int
    input_reads: int
    weight_reads: int
    output_writes: int
    macs: int
    drain_writes: int
    utilisation: float


def dataflow_code(dataflow: str) -> str:
    """``weight_stationary`` or ``ws`` -> ``ws`` and so on; ValueError with what is allowed."""
    code = DATAFLOWS.get(dataflow.lower()) if isinstance(dataflow, str) else None
    if code is None:
        raise ValueError(unknown("dataflow", dataflow, DATAFLOWS))
    return code


def systolic_cost(
    m: SupportsIndex,
    k: SupportsIndex,
    n: SupportsIndex,
    rows: SupportsIndex,
    columns: SupportsIndex,
    dataflow: str = "ws",
) -> SystolicCost:
    """Cost of the GEMM (m x k) by (k x n) on an array of rows x columns multipliers.

    m: rows of the activation matrix (output pixels of a convolution, tokens of a linear layer), k: inner length,
    n: output channels. Dataflow ws | os | is, or the full names. Cycles per fold, from SCALE-Sim 3.0.0:
    weight-stationary 2 rows + columns + m - 2 over ceil(k/rows) ceil(n/columns) folds; output-stationary
    rows + columns + k - 2 over ceil(m/rows) ceil(n/columns); input-stationary 2 rows + columns + n - 2 over
    ceil(k/rows) ceil(m/columns).

    Raises ValueError if a size is not a whole number >= 1 or the dataflow is unknown.
    """
    m, k, n = _size("m", m), _size("k", k), _size("n", n)
    rows, columns = _size("rows", rows), _size("columns", columns)
    code = dataflow_code(dataflow)
    across, down, streamed, fill = {
        "ws": (k, n, m, 2 * rows),
        "os": (m, n, k, rows),
        "is": (k, m, n, 2 * rows),
    }[code]
    row_folds, column_folds = _folds(across, rows), _folds(down, columns)
    folds = row_folds * column_folds
    cycles = folds * (fill + columns + streamed - 2)
    reread_inputs = column_folds if code in ("ws", "os") else 1
    reread_weights = {"ws": 1, "os": row_folds, "is": column_folds}[code]
    partial_sums = 1 if code == "os" else row_folds
    drain = folds * (rows + columns) if code == "os" else 0
    return SystolicCost(
        cycles=cycles,
        input_reads=m * k * reread_inputs,
        weight_reads=k * n * reread_weights,
        output_writes=m * n * partial_sums + drain,
        macs=m * k * n,
        drain_writes=drain,
        utilisation=m * k * n / (cycles * rows * columns),
    )


def _folds(length: int, side: int) -> int:
    return -(-length // side)


def _size(name: str, value: SupportsIndex) -> int:
    """A whole number >= 1 out of a Python or numpy integer."""
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    return number
