"""Buffers of a study as a table: what each takes, how long its values live, how many of their bits read wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import NOTHING, number, percent, plain, scale, spelled
from qtaml_hw.report.grids import MOST_POINT_ROWS, Grid, Head

_JOULES: Final = (("energy_j", "Energy /inf."), ("refresh_j", "Refresh /inf."))


def buffer_grid(points: Sequence[PointSummary]) -> Grid | None:
    """A row for every buffer of every point; None without one.  Bits are those of the values of one inference."""
    found = [(s, one) for s in points for one in s.facts.get(F.buffers) or ()]
    if not found:
        return None
    area = scale([one["area_m2"] for _, one in found], "m2")
    joule = scale([one["energy_j"] for _, one in found], "J")
    second = scale([max(one["lifetimes_s"]) for _, one in found], "s")
    several = len(points) > 1
    heads = (
        *([Head("Point", numeric=False)] if several else []),
        Head("Buffer", numeric=False),
        Head("Longest life", second.unit, "modelled"),
        Head("p(1→0)", "", "modelled"),
        Head("Area", area.unit, "modelled"),
        *(Head(title, joule.unit, "modelled") for _, title in _JOULES),
        Head("Refresh saved", "%", "modelled"),
        Head("Bits flipped", "per inf.", "measured"),
        Head("Bits left", "per inf.", "measured"),
    )
    rows = tuple(
        (
            *([spelled(s.facts.get(F.label, s.identity), 80)] if several else []),
            plain(one["name"], 40),
            second.show(max(one["lifetimes_s"])),
            number(max(one["p10"])),
            area.show(one["area_m2"]),
            *(joule.show(one[key]) for key, _ in _JOULES),
            percent(one["refresh_saved"]),
            *(_bits(s, one["name"], count) for count in ("raw", "left")),
        )
        for s, one in found[:MOST_POINT_ROWS]
    )
    return Grid(heads, rows, len(found) - len(rows))


def _bits(s: PointSummary, name: str, count: str) -> str:
    """Mean over fault maps."""
    tally = s.buffer_means.get(name)
    return NOTHING if tally is None else number(tally[count] / float(s.facts[F.images]))
