"""What every code costs and what it leaves, in closed form; with a study, also its cells and the accuracy it keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import SupportsFloat

from qtaml_hw import memory, protection, units
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Point, Study, parse_study, takes_study
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.progress import Progress, silent
from qtaml_hw.prompt import Rows, Shown
from qtaml_hw.protection import EccRow
from qtaml_hw.protection.table import DEFAULT_CODES, DEFAULT_P
from qtaml_hw.records.store import read_records
from qtaml_hw.records.summary import PointSummary, finished_maps, summarise
from qtaml_hw.records.text import number, percent
from qtaml_hw.study.design.cells.array import geometry_of
from qtaml_hw.study.design.cells.cell import losing, view_cell
from qtaml_hw.study.design.networks.identity import Digests, identity_of
from qtaml_hw.study.run.engine import run_points
from qtaml_hw.study.run.task import Workers

MEMORY_BITS = float(2**20)  # of a study that states no capacity, and without one: 1 Mbit
_PLAIN = memory.ArrayGeometry(banks=1, cell="sram")  # without a study
_HEADS = ("Code", "p raw", "p left", "Parity (%)", "Codec (mm²)", "pJ / access", "ns", "Score (%)")


class EccTable(Shown, list[EccRow]):
    """The rows of an ECC overhead table, that show themselves."""

    def _title_and_rows(self) -> tuple[str, Rows]:
        return "ECC overhead (modelled; *: leaves more errors than it found)", [
            _HEADS,
            *(
                (
                    row.code,
                    f"{row.p:.10g}",
                    number(row.residual_p) + ("*" if row.hurts else ""),
                    percent(row.parity_fraction),
                    number(1e6 * row.area_m2),
                    number(1e12 * row.decode_energy_j),
                    number(1e9 * row.decode_latency_s),
                    percent(row.score_mean),
                )
                for row in self
            ),
        ]


@takes_study
def ecc_table(
    study: Study | None = None,
    *,
    p: float | Sequence[float] | None = None,
    codes: str | Sequence[str] | None = None,
    nodes: str | float | Sequence[str | float] | None = None,
    measure: bool = False,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> EccTable:
    """The ECC overhead table; with a study, at its node and with its raw flip probability put before ``p``.

    ``codes`` : entries of a menu, as in ``protection.menu``.  ``nodes`` : technology nodes, each a block of rows
    ("22 nm", or metres).  Check cells are those of the study's memory (its capacity, or 1 Mbit of its cells; without a
    study 1 Mbit of SRAM), all bits protected; one encoder and one decoder.

    Stronger cells and faster refresh are those of the study's cell (without a study, of the default one), at the
    interval at which it loses a balanced bit with ``p``.

    Scores belong to the study's own probability and node: its protection with the code alone on the menu (where
    nothing is protected, uniform within the budget).  They come from the records of ``store``; ``measure`` draws the
    fault maps that are missing there, and keeps them.

    Raises InputError for an unknown code, a probability outside [0, 1], a node outside the models' range, or scores of
    no study; StoreError for a store that cannot be used.
    """
    if study is None and (measure or store is not None):
        raise InputError("scores are of a study's network: give the study that is to be measured")
    names = [codes] if isinstance(codes, str) else list(codes or DEFAULT_CODES)
    channel = None if study is None else view_cell(study, 1).channel
    own = None if channel is None else 0.5 * float(channel.p01[0] + channel.p10[0])  # mean over balanced bits
    of_cell = parse_study("study: default cell") if study is None else study

    def kept_at(mean: float) -> FlipChannel:
        return channel if channel is not None and mean == own else losing(of_cell, min(2.0 * mean, 1.0), 1, "1to0")

    values = [*([] if own is None else [own]), *_probabilities(p)] or list(DEFAULT_P)
    home = _PLAIN.node_m if study is None else study.array.node_m
    scores = {} if study is None else _scores(study, names, measure, store, progress)
    rows = EccTable()
    for node_m in _nodes(nodes, home):
        cells = _cells(study, node_m)
        try:
            found = protection.overhead_table(values, names, node_m, kept_at)
        except ValueError as error:
            raise InputError(str(error)) from error
        for row, name in zip(found, [name for name in names for _ in values], strict=True):
            bits, area = cells(name, row.p)
            made = replace(row, check_cells_m2=area, memory_bits=bits)
            rows.append(_scored(made, scores.get(name)) if row.p == own and node_m == home else made)
    return rows


def _probabilities(p: object) -> list[float]:
    listed = [] if p is None else list(p) if isinstance(p, Iterable) and not isinstance(p, str) else [p]
    values: list[float] = []
    for value in listed:
        values.append(float(value) if isinstance(value, SupportsFloat) else math.nan)
        if not 0.0 <= values[-1] <= 1.0:
            raise InputError(f"p = {str(value)[:40]}: a raw flip probability is a number from 0 to 1")
    return values


def _nodes(nodes: str | float | Sequence[str | float] | None, home: float) -> list[float]:
    listed = [home] if nodes is None else [nodes] if isinstance(nodes, str | float) else list(nodes)
    try:
        return [units.parse(node, "length") if isinstance(node, str) else float(node) for node in listed]
    except (ValueError, TypeError) as error:
        raise InputError(f"nodes: {error}") from error


def _cells(study: Study | None, node_m: float) -> Callable[[str, float], tuple[float, float | None]]:
    """Of an entry at a raw p: (data bits, area that its check or larger cells add; None outside the array's range)."""
    own = _PLAIN if study is None else geometry_of(study)
    bits = float(own.capacity_bits or MEMORY_BITS)

    def area(share: float) -> float:
        cost = memory.array_cost(
            bits / own.banks * (1.0 + share),
            own.word_bits,
            node_m,
            own.cell,
            own.periphery,
            own.temperature_k,
            own.v_dd_v if study is None or node_m == study.array.node_m else None,
        )
        return own.banks * cost.area_m2

    def added(name: str, p: float) -> tuple[float, float | None]:
        item = protection.entry_at(name, FlipChannel.uniform(p, 1))
        try:
            plain = area(0.0)
            return bits, area(item.parity_per_bit) - plain + plain * item.extra_area_per_bit
        except ValueError:  # the array's model does not reach this node or size
            return bits, None

    return added


def _scores(
    study: Study, names: Sequence[str], measure: bool, store: str | Path | None, progress: Progress
) -> dict[str, PointSummary]:
    """The summary of every code that has been measured, or is measured now."""
    folder = None if store is None else Path(store)
    if not measure and folder is None:
        return {}
    if not measure and folder is not None and not folder.is_dir():
        raise StoreError(f"{folder} is not there: with measure (--measure) it is made")
    studies = {name: _protected_by(study, name) for name in names}
    if measure:
        points = [Point(name, {"protection.menu": [name]}, changed) for name, changed in studies.items()]
        groups = run_points(points, folder, workers=Workers(), progress=progress)
        summaries = {name: summarise(group)[0] for name, group in zip(studies, groups, strict=True)}
        return {name: s for name, s in summaries.items() if s.error is None}
    finished, digests = finished_maps(read_records(Path(str(folder)))), Digests(folder)
    found = {}
    for name, changed in studies.items():
        digest = digests.find(changed)
        maps = {} if digest is None else finished.get(identity_of(changed, digest), {})
        if maps:
            found[name] = summarise(maps.values())[0]
    return found


def _protected_by(study: Study, name: str) -> Study:
    """The study with one entry on its menu, and something protected by it."""
    bare = study.protection.policy == "none"
    return study.with_({"protection.menu": [name], **({"protection.policy": "uniform"} if bare else {})})


def _scored(row: EccRow, found: PointSummary | None) -> EccRow:
    if found is None:
        return row
    score = found.accuracy
    several = score.maps > 1
    return replace(
        row,
        score_mean=score.mean,
        score_ci95_low=score.low if several else None,
        score_ci95_high=score.high if several else None,
        maps=score.maps,
    )
