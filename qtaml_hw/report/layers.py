"""The layers of a point as a table: what each costs on the accelerator, and how long its weights take to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qtaml_hw.records.fields import F
from qtaml_hw.report.grids import Grid, Head
from qtaml_hw.report.material import Material
from qtaml_hw.report.text import count, plain, scale

MOST_LAYERS: Final = 200
_TIMES: Final = (("compute_s", "Compute"), ("read_s", "Weight reading"), ("stall_s", "of it stalled"))


def layer_grid(found: Material) -> tuple[str, Grid] | None:
    """(which point, its layers and their sum); the first point that has them, None without one."""
    point = next((s for s in found.points if s.facts.get(F.layer_table)), None)
    if point is None:
        return None
    table: Mapping[str, list[Any]] = point.facts[F.layer_table]
    layers = len(table["name"])
    second = scale([t for key, _ in _TIMES for t in table[key]], "s")
    joule = scale(table["energy_j"], "J")
    heads = (
        *(Head(name, numeric=False) for name in ("Layer", "Kind", "Product m × k × n")),
        *(Head(name, "", "modelled") for name in ("Cycles", "MACs", "Weights read")),
        *(Head(name, second.unit, "modelled") for _, name in _TIMES),
        Head("Energy", joule.unit, "modelled"),
    )
    rows = [
        (
            plain(table["name"][i], 60),
            plain(table["kind"][i], 20),
            _product(table["size"][i]),
            *(f"{table[key][i]:,}" for key in ("cycles", "macs", "weight_reads")),
            *(second.show(table[key][i]) for key, _ in _TIMES),
            joule.show(table["energy_j"][i]),
        )
        for i in range(min(layers, MOST_LAYERS))
    ]
    total = (
        "sum",
        "",
        count(layers, "product"),
        *(f"{sum(table[key]):,}" for key in ("cycles", "macs", "weight_reads")),
        *(second.show(sum(table[key])) for key, _ in _TIMES),
        joule.show(sum(table["energy_j"])),
    )
    where = plain(point.facts.get(F.label, ""), 80) if len(found.points) > 1 else ""
    return where, Grid(heads, (*rows, total), max(layers - MOST_LAYERS, 0))


def _product(size: list[int]) -> str:
    m, k, n, repeats = size
    return f"{m:,} × {k:,} × {n:,}" + (f", {repeats:,} times" if repeats > 1 else "")
