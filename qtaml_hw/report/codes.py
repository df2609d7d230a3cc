"""The ECC overhead table as a slide: what a code costs at every node, and what it leaves at every probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from qtaml_hw.names import BOUNDS
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.text import NOTHING, number, percent, plain
from qtaml_hw.report.grids import Grid, Head
from qtaml_hw.report.scripts import TABLES, script

Row = Mapping[str, Any]
COSTS, LEFT = "What a code costs", "What it leaves"
_FULL: Final = 10  # significant digits of a probability that was asked for


def slide_grids(rows: Sequence[Row]) -> list[tuple[str, Grid]]:
    """Two tables: costs by code and node, errors (and what is kept of the network) by code and probability."""
    found = sorted(rows, key=lambda row: row["code"] in BOUNDS)  # bounds last, whose name says what they are
    return [(COSTS, _costs(found)), (LEFT, _left(found))]


def _costs(rows: Sequence[Row]) -> Grid:
    heads = (
        Head("Code", numeric=False),
        Head("Node", "nm"),
        Head("n, k"),
        Head("Parity", "%"),
        Head("Check cells", "mm²"),
        Head("Codec", "mm²"),
        Head("Decoder", "GE"),
        Head("Access", "pJ"),
        Head("Decode", "ns"),
        Head("Break-even p"),
    )
    once = {(plain(row["code"]), row.get("node_m")): row for row in rows}
    return Grid(
        heads,
        tuple(
            (
                name,
                NOTHING if node_m is None else f"{1e9 * node_m:g}",
                f"{row.get('n', NOTHING)}, {row.get('k', NOTHING)}",
                percent(row.get("parity_fraction")),
                _in(row, "check_cells_m2", 1e6),
                _in(row, "area_m2", 1e6),
                number(row.get("decoder_ge")),
                _in(row, "decode_energy_j", 1e12),
                _in(row, "decode_latency_s", 1e9),
                number(row.get("break_even_p")),
            )
            for (name, node_m), row in once.items()
        ),
    )


def _left(rows: Sequence[Row]) -> Grid:
    scored = any(is_number(row.get("score_mean")) for row in rows)
    heads = (
        Head("Code", numeric=False),
        Head("p raw"),
        Head("p left"),
        Head("Lost", "/word"),
        Head("Silent", "/word"),
        *((Head("Score", "%"), Head("95 % interval", "%"), Head("Maps")) if scored else ()),
    )
    once: dict[tuple[str, Any], Row] = {}
    for row in rows:
        key = (plain(row["code"]), row.get("p"))
        if key not in once or is_number(row.get("score_mean")):
            once[key] = row
    return Grid(
        heads,
        tuple(
            (
                name,
                f"{p:.{_FULL}g}" if is_number(p) else NOTHING,
                number(row.get("residual_p")) + ("*" if row.get("hurts") else ""),
                *(number(row.get(key), 2) for key in ("p_due", "p_sdc")),
                *(_score(row) if scored else ()),
            )
            for (name, p), row in once.items()
        ),
    )


def _score(row: Row) -> tuple[str, str, str]:
    low, high, maps = (row.get(key) for key in ("score_ci95_low", "score_ci95_high", "maps"))
    interval = f"{percent(low)} to {percent(high)}" if is_number(low) else NOTHING
    return percent(row.get("score_mean")), interval, str(maps or NOTHING)


def _in(row: Row, key: str, factor: float) -> str:
    value = row.get(key)
    return number(factor * value) if is_number(value) else NOTHING


def notes(rows: Sequence[Row]) -> list[str]:
    """What stands under the tables: words and signs, the memory that check cells are of, sources."""
    said = ["GE: gate equivalents", "lost: flagged as uncorrectable"]
    said += ["*: hurts, leaves more bit errors than it found"] if any(row.get("hurts") for row in rows) else []
    bits = {row["memory_bits"] for row in rows if is_number(row.get("memory_bits"))}
    said += [f"check cells: all of {number(b / 2**20, 4)} Mbit of data protected" for b in sorted(bits)]
    said += ["codec: one encoder and one decoder", "access: energy of one decode, the array's own not included"]
    return [*said, *sorted({plain(row["source"]) for row in rows if row.get("source")})]


def ecc_page(rows: Sequence[Row], title: str) -> str:
    """One offline HTML file with the tables, which sort and search; everything is escaped."""
    return _page(title, slide_grids(rows), ["Modelled, but for scores, which are measured", *notes(rows)])


def table_page(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], said: Sequence[str]) -> str:
    """The same with one table of words, and what is ``said`` under it."""
    grid = Grid(tuple(Head(plain(h), numeric=False) for h in heads), tuple(tuple(map(plain, row)) for row in rows))
    return _page(title, [("", grid)], said)


def _page(title: str, grids: Sequence[tuple[str, Grid]], said: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader("qtaml_hw.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("ecc.html.j2")
    return page.render(title=plain(title, 120), grids=grids, notes=said, scripts=(script(TABLES),))
