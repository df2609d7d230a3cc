"""From a store of records to what people read: an HTML report, figures as PNG, SVG and CSV, and terminal tables.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtaml_hw._lazy import attach

if TYPE_CHECKING:
    from qtaml_hw.report.questions import (
        comparison_table,
        effective_table,
        feasible_table,
        front_table,
        tensors_table,
        tornado_table,
    )
    from qtaml_hw.report.terminal import (
        allocation_table,
        ecc_table,
        retention_table,
        run_table,
        sweep_table,
        what_if_table,
    )
    from qtaml_hw.report.tornado import write_tornado
    from qtaml_hw.report.write import write_report

_HOMES = {
    "write_report": "write",
    "write_tornado": "tornado",
    "allocation_table": "terminal",
    "comparison_table": "questions",
    "ecc_table": "terminal",
    "effective_table": "questions",
    "feasible_table": "questions",
    "front_table": "questions",
    "retention_table": "terminal",
    "run_table": "terminal",
    "sweep_table": "terminal",
    "tensors_table": "questions",
    "tornado_table": "questions",
    "what_if_table": "terminal",
}

__all__ = [
    "allocation_table",
    "comparison_table",
    "ecc_table",
    "effective_table",
    "feasible_table",
    "front_table",
    "retention_table",
    "run_table",
    "sweep_table",
    "tensors_table",
    "tornado_table",
    "what_if_table",
    "write_report",
    "write_tornado",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
