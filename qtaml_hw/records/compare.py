"""Stores side by side: the same point in each, differences to the first paired over fault maps where seeds allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qtaml_hw.errors import InputError
from qtaml_hw.records.archive import existing_records
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.results import Answer, paired_difference
from qtaml_hw.records.summary import PointSummary, finished_maps, summarise

FIGURES: Final = (F.area_m2, F.energy_per_inference_j, F.read_latency_s, F.protected_bits_fraction, F.p10, F.p01)


@dataclass(frozen=True, eq=False)
class Comparison(Answer):
    """Stores side by side: rows {point, stores}, the latter with one entry per store, None where it lacks the point."""

    stores: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """stores, rows[{point, stores[{identity, accuracy_mean, .. difference_mean ..}]}]."""
        return {"stores": list(self.stores), "rows": list(self.rows)}


def compare(folders: Sequence[Path]) -> Comparison:
    """One row per point that any store has, by its values on the axes (its label where there are none).

    A store with one point alone stands beside one point of the others, whatever they are called.

    Raises InputError for fewer than two stores, StoreError for a folder that is none.
    """
    if len(folders) < 2:
        raise InputError("compare needs at least two stores")
    stores = [_points(folder) for folder in folders]
    if all(len(store) == 1 for store in stores):
        stores = [{"the point": next(iter(store.values()))} for store in stores]
    names = list(dict.fromkeys(name for store in stores for name in store))
    rows = tuple({"point": name, "stores": _cells(name, stores)} for name in names)
    return Comparison(tuple(str(folder) for folder in folders), rows)


def _points(folder: Path) -> dict[str, PointSummary]:
    finished = finished_maps(existing_records(folder))
    found: dict[str, PointSummary] = {}
    for summary in summarise(record for maps in finished.values() for record in maps.values()):
        name = _name(summary)
        found[name if name not in found else f"{name} [{summary.identity[:8]}]"] = summary
    if not found:
        raise InputError(f"{folder} holds no finished points")
    return found


def _name(summary: PointSummary) -> str:
    axes = summary.facts.get(F.axes)
    if isinstance(axes, dict) and axes:
        return ", ".join(f"{path}={value}" for path, value in sorted(axes.items()))
    return str(summary.facts.get(F.label, summary.identity))


def _cells(name: str, stores: Sequence[dict[str, PointSummary]]) -> list[dict[str, Any] | None]:
    """One entry per store, None where it lacks the point."""
    first = stores[0].get(name)
    cells: list[dict[str, Any] | None] = []
    for store in stores:
        summary = store.get(name)
        if summary is None:
            cells.append(None)
            continue
        cell: dict[str, Any] = {
            F.identity: summary.identity,
            "metric": summary.facts.get(F.metric),
            **summary.accuracy.as_dict("score"),
            **summary.accuracy.as_dict("accuracy"),
            **{str(key): summary.facts.get(key) for key in FIGURES},
        }
        if first is not None and summary is not first and _pairs(first, summary):
            cell |= paired_difference(summary.accuracies, first.accuracies).as_dict("difference")
            ratio = measure_of(summary.facts).ratio(summary.accuracies, first.accuracies)
            cell |= {} if ratio is None else ratio.as_dict("ratio")
        cells.append(cell)
    return cells


def _pairs(one: PointSummary, two: PointSummary) -> bool:
    """Whether two points met the same chips on the same images."""
    return all(one.facts.get(key) == two.facts.get(key) for key in (F.seed, F.network, F.data, F.images))
