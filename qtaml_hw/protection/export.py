"""The overhead table as text: CSV, JSON, Markdown, LaTeX; bounds stand apart, under a title that says what they are."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from qtaml_hw.names import BOUNDS
from qtaml_hw.protection.table import COLUMNS, EccRow

TITLE = "ECC overhead"
BOUND_HEADING = "Bounds, for comparison only: error-free by assumption, not buildable"


def _or_dash(value: float | None, factor: float, form: str) -> str:
    return "-" if value is None else format(factor * value, form)


def _interval(row: EccRow) -> str:
    ends = [_or_dash(end, 100.0, ".1f") for end in (row.score_ci95_low, row.score_ci95_high)]
    return "-" if row.score_mean is None else f"{ends[0]} to {ends[1]}, {row.maps} maps"


# heading, unit and format of the columns that people read
_SHOWN: tuple[tuple[str, Callable[[EccRow], str]], ...] = (
    ("code", lambda r: r.code),
    ("n, k", lambda r: f"{r.n}, {r.k}"),
    ("node nm", lambda r: f"{r.node_m * 1e9:g}"),
    ("parity %", lambda r: f"{100.0 * r.parity_fraction:.1f}"),
    ("raw p", lambda r: f"{r.p:.10g}"),
    ("residual p", lambda r: f"{r.residual_p:.3g}"),
    ("P(DUE) per word", lambda r: f"{r.p_due:.3g}"),
    ("P(SDC) per word", lambda r: f"{r.p_sdc:.3g}"),
    ("break-even p", lambda r: f"{r.break_even_p:.3g}"),
    ("encoder GE", lambda r: f"{r.encoder_ge:.0f}"),
    ("decoder GE", lambda r: f"{r.decoder_ge:.0f}"),
    ("check cells mm2", lambda r: _or_dash(r.check_cells_m2, 1e6, ".4g")),
    ("codec mm2", lambda r: f"{r.area_m2 * 1e6:.3g}"),
    ("pJ per access", lambda r: f"{r.decode_energy_j * 1e12:.3g}"),
    ("ns", lambda r: f"{r.decode_latency_s * 1e9:.3g}"),
    ("score %", lambda r: _or_dash(r.score_mean, 100.0, ".1f")),
    ("95 % interval", lambda r: _interval(r)),
    ("hurts", lambda r: "yes" if r.hurts else "no"),
    ("source", lambda r: r.source),
)


def to_csv(rows: Sequence[EccRow]) -> str:
    """CSV with the column names of ``EccRow`` (SI units); the source column of a bound says what it is."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.as_dict() for row in rows)
    return out.getvalue()


def to_json(rows: Sequence[EccRow]) -> str:
    """``{"rows": [...]}`` with the keys of ``EccRow``."""
    return json.dumps({"rows": [row.as_dict() for row in rows]}, indent=1)


def _parts(rows: Sequence[EccRow]) -> list[tuple[str, list[EccRow]]]:
    real = [row for row in rows if row.code not in BOUNDS]
    bounds = [row for row in rows if row.code in BOUNDS]
    return [(title, part) for title, part in ((TITLE, real), (BOUND_HEADING, bounds)) if part]


def to_markdown(rows: Sequence[EccRow]) -> str:
    """Markdown tables, bounds under their own heading."""
    blocks: list[str] = []
    for title, part in _parts(rows):
        lines = [f"### {title}", "", "| " + " | ".join(name for name, _ in _SHOWN) + " |", "|" + " --- |" * len(_SHOWN)]
        lines += ["| " + " | ".join(show(row) for _, show in _SHOWN) + " |" for row in part]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


_LATEX = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"})


def to_latex(rows: Sequence[EccRow]) -> str:
    """LaTeX tables (booktabs), bounds with their own caption and label; the sources stand under the table."""
    blocks: list[str] = []
    shown = [column for column in _SHOWN if column[0] != "source"]
    for title, part in _parts(rows):
        label = "tab:ecc-overhead" if title == TITLE else "tab:ecc-bounds"
        head = " & ".join(name.translate(_LATEX) for name, _ in shown)
        body = [" & ".join(show(row).translate(_LATEX) for _, show in shown) + r" \\" for row in part]
        sources = "; ".join(dict.fromkeys(row.source for row in part)).translate(_LATEX)
        blocks.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{title}. Sources: {sources}.}}",
                    rf"\label{{{label}}}",
                    rf"\begin{{tabular}}{{ll{'r' * (len(shown) - 2)}}}",
                    r"\toprule",
                    head + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(blocks) + "\n"
