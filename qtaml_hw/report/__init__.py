"""From a store of records to what people read: an HTML report, figures as PNG, SVG and CSV, and terminal tables.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtaml_hw._lazy import attach

if TYPE_CHECKING:
    from qtaml_hw.report.terminal import (
        allocation_table,
        ecc_table,
        retention_table,
        run_table,
        sweep_table,
        what_if_table,
    )
    from qtaml_hw.report.write import write_report

_HOMES = {
    "write_report": "write",
    "allocation_table": "terminal",
    "ecc_table": "terminal",
    "retention_table": "terminal",
    "run_table": "terminal",
    "sweep_table": "terminal",
    "what_if_table": "terminal",
}

__all__ = [
    "allocation_table",
    "ecc_table",
    "retention_table",
    "run_table",
    "sweep_table",
    "what_if_table",
    "write_report",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
