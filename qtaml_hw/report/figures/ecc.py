"""What a code leaves: residual against raw bit-error probability."""

from __future__ import annotations

from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.text import plain
from qtaml_hw.report import style
from qtaml_hw.report.drawing import Drawing
from qtaml_hw.report.material import Material


def ecc_residual(material: Material) -> Drawing | None:
    """Residual bit error of every code of the ECC table, when it holds several p."""
    rows = [r for r in material.ecc_rows if is_number(r.get("p")) and is_number(r.get("residual_p"))]
    raw = sorted({float(r["p"]) for r in rows if r["p"] > 0})
    if len(raw) < 2:
        return None
    figure, (ax,) = style.canvas(3.6)
    names = list(dict.fromkeys(plain(r["code"], 40) for r in rows))
    ax.plot(raw, raw, color=style.INK, lw=1.2, ls=(0, (4, 2)), label="no code")
    for name, look in style.looks(names).items():
        mine = [(r["p"], r["residual_p"]) for r in rows if plain(r["code"], 40) == name]
        found = sorted(pair for pair in mine if pair[1] >= style.FLOOR)
        if found:
            ax.plot(*zip(*found, strict=True), color=look.color, marker=look.marker, ms=4, label=style.words(name))
    style.log_axis(ax, "x")
    tiny = style.probability_axis(ax, [r["residual_p"] for r in rows])
    ax.set_xlabel("Raw bit-error probability p")
    ax.set_ylabel("Residual bit-error probability")
    style.legend(figure, ax)
    columns = ("code", "p", "residual_p", "p_due", "p_sdc")
    table = [tuple(r.get(c) for c in columns) for r in rows]
    caption = f"Modelled. Above the dashed line a code hurts: it turns more bits wrong than it repairs.{tiny}"
    return Drawing("ecc_residual", "What ECC leaves", caption, figure, columns, table)
