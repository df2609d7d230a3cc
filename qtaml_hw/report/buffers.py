"""Buffers of a study as tables: what each takes, how long its values live, how many of their bits read wrong; how
memories split one budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

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
    heads = (
        Head("Buffer", numeric=False),
        Head("Longest life", second.unit, "modelled"),
        Head("p(1→0)", "", "modelled"),
        Head("Area", area.unit, "modelled"),
        *(Head(title, joule.unit, "modelled") for _, title in _JOULES),
        Head("Refresh saved", "%", "modelled"),
        Head("Bits flipped", "per inf.", "measured"),
        Head("Bits left", "per inf.", "measured"),
    )
    rows = [
        (
            plain(one["name"], 40),
            second.show(max(one["lifetimes_s"])),
            number(max(one["p10"])),
            area.show(one["area_m2"]),
            *(joule.show(one[key]) for key, _ in _JOULES),
            percent(one["refresh_saved"]),
            *(_bits(s, one["name"], count) for count in ("raw", "left")),
        )
        for s, one in found[:MOST_POINT_ROWS]
    ]
    return _by_point(points, [s for s, _ in found], heads, rows)


def split_grid(points: Sequence[PointSummary]) -> Grid | None:
    """A row for every memory of every point whose memories spend one budget; None without one.

    Of what they spend and of the distortion that is left, each memory's part.
    """
    found = [(s, name, one) for s in points for name, one in (s.facts.get(F.budget_split) or {}).items()]
    if not found:
        return None
    area = scale([one["area_m2"] for _, _, one in found], "m2")
    joule = scale([one["energy_j"] for _, _, one in found], "J")
    heads = (
        Head("Memory", numeric=False),
        Head("Spent", "%", "modelled"),
        Head("Protected bits", "%", "modelled"),
        Head("Check bits", "%", "modelled"),
        Head("Area added", area.unit, "modelled"),
        Head("Energy added /inf.", joule.unit, "modelled"),
        Head("Predicted distortion", "", "modelled"),
        Head("Part of it", "%", "modelled"),
    )
    rows = [
        (
            plain(name, 40),
            _part(s, one, "spent"),
            percent(one["protected_bits_fraction"]),
            percent(one["parity_bits_fraction"]),
            area.show(one["area_m2"]),
            joule.show(one["energy_j"]),
            number(one["predicted_distortion"]),
            _part(s, one, "predicted_distortion"),
        )
        for s, name, one in found[:MOST_POINT_ROWS]
    ]
    return _by_point(points, [s for s, _, _ in found], heads, rows)


def _by_point(
    points: Sequence[PointSummary],
    of_row: Sequence[PointSummary],
    heads: tuple[Head, ...],
    rows: Sequence[tuple[str, ...]],
) -> Grid:
    """A table whose rows say which point they are of, where there are several."""
    if len(points) > 1:
        heads = (Head("Point", numeric=False), *heads)
        labels = (spelled(s.facts.get(F.label, s.identity), 80) for s in of_row)
        rows = [(label, *row) for label, row in zip(labels, rows, strict=False)]
    return Grid(heads, tuple(rows), len(of_row) - len(rows))


def _bits(s: PointSummary, name: str, count: str) -> str:
    """Mean over fault maps."""
    tally = s.buffer_means.get(name)
    return NOTHING if tally is None else number(tally[count] / float(s.facts[F.images]))


def _part(s: PointSummary, one: dict[str, Any], key: str) -> str:
    """In percent of what the memories of a point have together."""
    whole = sum(other[key] for other in s.facts[F.budget_split].values())
    return percent(one[key] / whole) if whole else NOTHING
