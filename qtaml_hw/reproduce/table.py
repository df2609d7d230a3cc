"""A reproduction as a terminal table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from qtaml_hw.reproduce.result import ReproductionResult, Value


def result_table(found: ReproductionResult) -> Table:
    """What, published, ours, 95 % interval, verdict; the notes below."""
    table = Table(title=f"Reproduction: {found.name}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1))
    for name in ("", "Published", "Ours", "95 % CI", "Verdict"):
        table.add_column(name, overflow="fold")
    for row in found.rows:
        interval = "" if row.ci95 is None else f"{_shown(row.ci95[0])} to {_shown(row.ci95[1])}"
        cells = (row.what, _shown(row.published), _shown(row.ours), interval, row.verdict)
        table.add_row(*(Text(cell) for cell in cells))
    table.caption = Text("\n".join(found.notes))
    table.caption_justify = "left"
    return table


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"
