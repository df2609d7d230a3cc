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
        rows = []
        for row in self.rows:
            interval = "" if row.ci95 is None else f"{_shown(row.ci95[0])} to {_shown(row.ci95[1])}"
            rows.append((row.what, _shown(row.published), _shown(row.ours), interval, row.verdict))
        heads = ("", "Published", "Ours", "95 % CI", "Verdict")
        return table(heads, rows, heading=f"Reproduction: {self.name}", caption="\n".join(self.notes))


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"
