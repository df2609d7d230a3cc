"""A reproduction as a terminal table."""

from __future__ import annotations

from rich.table import Table

from qtaml_hw.report.console import table
from qtaml_hw.reproduce.result import ReproductionResult, Value


def result_table(found: ReproductionResult) -> Table:
    """What, published, ours, 95 % interval, verdict; the notes below."""
    rows = []
    for row in found.rows:
        interval = "" if row.ci95 is None else f"{_shown(row.ci95[0])} to {_shown(row.ci95[1])}"
        rows.append((row.what, _shown(row.published), _shown(row.ours), interval, row.verdict))
    heads = ("", "Published", "Ours", "95 % CI", "Verdict")
    return table(heads, rows, heading=f"Reproduction: {found.name}", caption="\n".join(found.notes))


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"
