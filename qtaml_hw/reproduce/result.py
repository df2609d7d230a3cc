"""What a reproduction hands back: theirs beside ours, one verdict per claim."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from qtaml_hw.report.console import table

Value = float | str | None


@dataclass(frozen=True)
class Row:
    """One claim: ``published`` (or the closed form) beside ``ours``, its 95 % interval, and a verdict in words."""

    what: str
    published: Value
    ours: Value
    ci95: tuple[float, float] | None
    verdict: str

    def place(self) -> tuple[str, ...]:
        """What the row is about, as text."""
        return (self.what,)

    def figures(self) -> tuple[str, str, str, str]:
        """Published, ours, interval and verdict, as text."""
        interval = "" if self.ci95 is None else f"{_shown(self.ci95[0])} to {_shown(self.ci95[1])}"
        return _shown(self.published), _shown(self.ours), interval, self.verdict

    def as_dict(self) -> dict[str, Any]:
        """For JSON: infinities become None."""
        row = asdict(self)
        for key in ("published", "ours"):
            row[key] = _finite(row[key])
        row["ci95"] = None if self.ci95 is None else [_finite(self.ci95[0]), _finite(self.ci95[1])]
        return row


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class ReproductionResult:
    """Rows of a reproduction, and notes that hold for all of them (accounting, replicates, what was left out)."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """name, rows[{what, published, ours, ci95, verdict}], notes."""
        return {"name": self.name, "rows": [row.as_dict() for row in self.rows], "notes": list(self.notes)}

    def table(self) -> Table:
        """What, published, ours, 95 % interval, verdict; the notes below."""
        heads = (*("" for _ in self.rows[0].place()), "Published", "Ours", "95 % CI", "Verdict") if self.rows else ()
        rows = [(*row.place(), *row.figures()) for row in self.rows]
        return table(heads, rows, heading=f"Reproduction: {self.name}", caption="\n".join(self.notes))


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"
