"""From a study's cell and flip law to what ages the memory and to the flip channel that TAC plans with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, Final, Literal

import numpy as np

from qtaml_hw import device
from qtaml_hw.channel import FlipChannel, Keeping
from qtaml_hw.config import Study
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.faults import Bursts, Clusters
from qtaml_hw.memory import CellModel, Cells, FixedCells, Memory, PoissonCells, Timeline, planned_flip_probability
from qtaml_hw.names import CELLS, Direction, LeakyState
from qtaml_hw.study.design.cells.array import geometry_of, schedule_of
from qtaml_hw.study.design.cells.by_plane import by_plane, side_by_side
from qtaml_hw.units import show

QUANTILES = ("1e-6", "1e-3", "0.05", "0.1", "0.5")
AS_THE_REST: Final = Keeping()
Population = device.Population
Ageing = device.RetentionPopulation | device.CurvePopulation
"""Populations whose cells lose their bit with time."""


@dataclass(frozen=True, eq=False)
class CellView:
    """A study's cell, seen by the memory (``cells``), by TAC (``channel``) and by tables (the rest).

    ``cells``: of a chip at the process centre.  ``channel``: of a cell of any die, its probabilities means over dies.
    ``population``: of the cells of all dies; None where the study states its flips.  ``lot``: (share, population) of
    the dies that stand for all.  ``dies``, ``channels``: cells and channel of one chip, by seed and map index; None
    where dies are alike.
    """

    cells: Cells
    channel: FlipChannel
    direction: str
    population: Population | None = None
    lot: tuple[tuple[float, Population], ...] = ()
    warnings: tuple[str, ...] = ()
    dies: Callable[[int, int], Cells] | None = None
    channels: Callable[[int, int], FlipChannel] | None = None
    structure: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> CellModel:
        """The model of a chip at the process centre."""
        return self.cells.model

    @property
    def gate_share(self) -> float | None:
        """Share of the leakage, or of a static cell's hold margin, that is the gate's; None where flips are stated."""
        return None if self.population is None else self.population.gate_share

    @property
    def retention_quantiles_s(self) -> dict[str, float] | None:
        """Retention times in seconds by the share of cells that fail sooner; None of cells that do not decay.

        Shares that a measured curve does not reach are left out.
        """
        people = self.population
        if people is None or isinstance(people, device.StaticPopulation):
            return None
        low, high = people.span_p
        return {q: float(people.retention_quantile(float(q))) for q in QUANTILES if low <= float(q) <= high}

    def of_chip(self, seed: int, map_index: int) -> Cells:
        """The cells of one chip: the process centre, or its die where dies differ."""
        return self.cells if self.dies is None else self.dies(seed, map_index)

    def channel_of_chip(self, seed: int, map_index: int) -> FlipChannel:
        """The flip channel of one chip: that of its die where dies differ."""
        return self.channel if self.channels is None else self.channels(seed, map_index)

    def live(self, chip: Memory, seed: int, map_index: int) -> Timeline:
        """One fault map of a chip of this cell."""
        return chip.run(self.of_chip(seed, map_index), seed=seed, map_index=map_index)

    @property
    def facts(self) -> dict[str, Any]:
        """Record fields."""
        return {
            "retention_quantiles_s": self.retention_quantiles_s,
            "gate_share": self.gate_share,
            "direction": self.direction,
            "p01": float(self.channel.p01.max()),
            "p10": float(self.channel.p10.max()),
            **self.structure,
        }


@lru_cache(maxsize=1024)  # neighbouring designs share their cells, and a lot has many dies
def _population(cell: Any, die: device.Die | None) -> device.Population:
    """The population of a cell on one die, as its kind has registered it."""
    return device.population(cell, die)


@lru_cache(maxsize=1024)
def _lot_population(cell: Any) -> device.RetentionPopulation:
    """The population over the cells of many dies."""
    return device.lot_population(cell)


def _charge_population(cell: Any, die: device.Die | None) -> Ageing:
    """The same of a charge cell."""
    population = _population(cell, die)
    assert not isinstance(population, device.StaticPopulation)
    return population


def _phase_devices(study: Study, cell: Any) -> tuple[Any, ...]:
    """The device's cell in every phase of the timeline; None where a phase leaves it as it is.

    A cell is taken as written and held at the phase's temperature and level.
    Raises ValueError with the phase and the physical reason.
    """
    held = []
    for phase in study.timeline.phases:
        changed = {name: value for name in ("temperature_k", "v_dd_v") if (value := getattr(phase, name)) is not None}
        try:
            held.append(replace(cell, **changed) if changed else None)
        except ValueError as error:
            raise ValueError(f"in the phase {phase.name}: {error}") from error
    return tuple(held)


def _kept_otherwise(cell: Any, keeping: Keeping) -> Any:
    """The device's cell as a plane is kept that is kept so.

    Raises ValueError with the physical reason.
    """
    if not keeping.more_oxide_m:
        return cell
    if isinstance(cell, device.MeasuredCell):
        raise ValueError(f"a measured curve has no oxide that could be {keeping.more_oxide_m * 1e9:.3g} nm thicker")
    try:
        return replace(cell, t_ox_m=cell.t_ox_m + keeping.more_oxide_m)
    except ValueError as error:
        raise ValueError(f"with {keeping.more_oxide_m * 1e9:.3g} nm more oxide: {error}") from error


def _charge_cells(study: Study, cell: Any, die: device.Die | None = None) -> Cells:
    """Charge cells on one die, or at the process centre, and as they are in every phase.

    Raises ValueError with the phase and the physical reason.
    """
    others = _phase_devices(study, cell)
    return Cells(
        model=_law_model(study, _charge_population(cell, die)),
        phases=tuple(None if one is None else _law_model(study, _charge_population(one, die)) for one in others),
        kept=cache(lambda keeping: _charge_cells(study, _kept_otherwise(cell, keeping), die)),
    )


def exposure_s(study: Study, factor: float = 1.0) -> float:
    """Time over which a cell can lose its bit before the last read-out, refreshed ``factor`` times as often as stated.

    Retention: a refresh interval (the longest where row classes have their own), or the time since the write without
    refresh.  Poisson: always the time since the write, since a refresh restores what it reads and so keeps flips.
    """
    last = study.evaluate.at_s[-1]
    if not study.flips.same_cells:
        return last
    return max(last if interval is None else min(interval / factor, last) for interval in study.refresh.intervals_s)


def _charge_channel(
    study: Study, cell: Any, die: device.Die | None, planes: int, keeping: Keeping = AS_THE_REST
) -> FlipChannel:
    """The flip channel of a bit that is kept so, at the last read-out, by its rows' refresh and the phases."""
    own, factor = _kept_otherwise(cell, keeping), keeping.refresh_factor
    law: Literal["retention", "poisson"] = "poisson" if study.flips.law == "poisson" else "retention"
    population = _charge_population(own, die)
    channel = replace(
        device.flip_channel(own, exposure_s(study, factor), planes, law, population),
        kept=cache(lambda other: _charge_channel(study, cell, die, planes, other)),
    )
    if len(study.refresh.intervals_s) == 1 and not study.timeline.phases and not study.timeline.updates_s:
        return channel
    cells = _charge_cells(study, own, die)
    schedule = schedule_of(study, None, cells.phases)
    intervals_s = tuple(None if s is None else s / factor for s in study.refresh.intervals_s)
    p = planned_flip_probability(cells.model, replace(schedule, refresh_interval_s=intervals_s))
    if planes == 1:  # asked of the cell, not of a weight: its worst row class
        of_plane = np.array([p.max()])
    else:
        of_plane = p[geometry_of(study).classes_of(planes)] if len(p) > 1 else np.full(planes, p[0])
    if p.max() > population.span_p[1]:
        raise ValueError(
            f"over the phases a share of more than {population.span_p[1]:.3g} of the cells fails, which is where the "
            "measured curve ends: add points there, or say how it goes on (tail: straight or tail: lognormal)"
        )
    never, source = np.zeros(planes), f"{channel.source}; refresh by row class, phases and updates as planned"
    p01, p10 = (of_plane if population.loses(state) else never for state in (0, 1))
    return FlipChannel(p01, p10, law, source, kept=channel.kept)


def _structure(study: Study, planes: int, p: float) -> Bursts | Clusters | None:
    """How neighbouring cells that fail with ``p`` depend on each other; a column runs through the rows of weights."""
    structure, array = study.flips.structure, study.array
    if structure is None or structure.kind == "iid":
        return None
    if structure.kind == "clustered":
        structure.check(p)
        return Clusters(structure.weights or 0, max(structure.dispersion_at(p), 1.0))
    row = max(array.row_bits // planes, 1) * (1 if array.interleave == "block" else array.banks)
    return Bursts(structure.length or 0, row if structure.kind == "column_burst" else 0)


def _structure_facts(study: Study, p: float) -> dict[str, Any]:
    """Record fields of dependent flips; ``flip_dispersion``: variance / mean of counts in a plane. None without."""
    structure = study.flips.structure
    if structure is None or structure.kind == "iid":
        return {}
    return {
        "flip_structure": structure.kind,
        "flip_structure_weights": structure.length or structure.weights,
        "flip_dispersion": structure.dispersion_at(p),
    }


_DIRECTIONS: Final[dict[LeakyState, Direction]] = {1: "1to0", 0: "0to1", "both": "symmetric"}


def view_cell(study: Study, planes: int) -> CellView:
    """Build the cell model, the channel and the retention figures.

    Raises ValueError with the physical reason when the cell cannot be modelled.
    """
    if study.by_plane:
        return _view_by_plane(study, planes)
    if study.flips.law == "fixed":
        return _stated_view(study, planes)
    cell = build_cell(study)
    population = _population(cell, None)
    if isinstance(population, device.StaticPopulation):
        return _static_view(study, cell, population, planes)
    view = CellView(
        cells=_charge_cells(study, cell),
        channel=_charge_channel(study, cell, None, planes),
        direction=_DIRECTIONS[population.leaky_state],
        population=population,
        lot=((1.0, population),),
        warnings=tuple(population.warnings),
    )
    return view if len(device.dies_of_lot(cell)) == 1 else _view_of_lot(study, cell, view)


def _view_by_plane(study: Study, planes: int) -> CellView:
    """The view of a study whose planes differ, from those of its classes; with one plane asked for, the worst class.

    Raises ValueError with the planes and the physical reason.
    """
    views, warnings = list[CellView](), list[str]()
    for one in study.classes:
        try:
            views.append(view_cell(one.study, planes))
        except ValueError as error:
            raise ValueError(f"{one.name}: {error}") from error
        warnings += [f"{one.name}: {text}" for text in views[-1].warnings]
    if planes == 1:
        return max(views, key=lambda view: float((view.channel.p01 + view.channel.p10)[0]))
    members = [list(one.planes) for one in study.classes]
    directions = {view.direction for view in views}

    def dies(seed: int, map_index: int) -> Cells:
        return side_by_side([view.of_chip(seed, map_index) for view in views])

    def channels(seed: int, map_index: int) -> FlipChannel:
        return by_plane([view.channel_of_chip(seed, map_index) for view in views], members)

    differ = any(view.dies is not None for view in views)
    return CellView(
        cells=side_by_side([view.cells for view in views]),
        channel=by_plane([view.channel for view in views], members),
        direction=directions.pop() if len(directions) == 1 else "by plane",
        warnings=tuple(warnings),
        dies=dies if differ else None,
        channels=channels if differ else None,
    )


def _view_of_lot(study: Study, cell: Any, centre: CellView) -> CellView:
    """The view of a cell whose dies differ, from that of its process centre."""

    def channel(die: device.Die) -> FlipChannel:
        return _charge_channel(study, cell, die, centre.channel.planes)

    def of_chip(seed: int, map_index: int) -> device.Die:
        return device.draw_die(cell, seed=seed, map_index=map_index)

    lot = device.dies_of_lot(cell)
    return replace(
        centre,
        channel=FlipChannel.over_dies([(share, channel(die)) for share, die in lot]),
        population=_lot_population(cell),
        lot=tuple((share, _charge_population(cell, die)) for share, die in lot),
        dies=lambda seed, map_index: _charge_cells(study, cell, of_chip(seed, map_index)),
        channels=lambda seed, map_index: channel(of_chip(seed, map_index)),
    )


def _stated_view(study: Study, planes: int) -> CellView:
    """Flips of a probability that the study states, without a cell behind them."""
    flips = study.flips
    source = "stated by the study: flips.p"
    channel = FlipChannel.uniform(float(flips.p or 0.0), planes, direction=flips.direction, source=source)
    p = float(flips.p or 0.0)
    cells = FixedCells(channel.p01, channel.p10, _structure(study, planes, p))
    return CellView(
        cells=Cells(cells, (None,) * len(study.timeline.phases)),
        channel=channel,
        direction=flips.direction,
        structure=_structure_facts(study, p),
    )


def _static_view(study: Study, cell: Any, population: device.StaticPopulation, planes: int) -> CellView:
    """Static cells: weak from the first moment on, in either state, whatever the interval.

    Raises ValueError for the abstract rate that a study may state instead, at several times.
    """
    warnings = tuple(population.warnings)
    if study.flips.law == "poisson":
        if len(study.evaluate.at_s) > 1:
            raise ValueError("the abstract accelerated rate of a static cell is evaluated at one time: give one in at")
        warnings = ("ABSTRACT: flips at an accelerated rate that the study states; no device physics is behind them",)
    law: Literal["retention", "poisson"] = "poisson" if study.flips.law == "poisson" else "retention"
    if study.flips.law == "voltage" and study.protection.row.protects and study.protection.menu != ("ideal",):
        warnings += (
            "words of codes fail cell by cell, and under-volted cells fail in clusters (28 nm block RAM: 19 times as "
            "many words with two failures): what codes leave is on the low side",
        )

    def kept(keeping: Keeping) -> FlipChannel:
        own = _kept_otherwise(cell, keeping)
        known = population if own == cell else None
        return replace(device.flip_channel(own, exposure_s(study), planes, law, known), kept=kept)

    def cells(keeping: Keeping) -> Cells:
        channel = kept(keeping)
        structure = _structure(study, planes, population.weak_share)
        return Cells(FixedCells(channel.p01, channel.p10, structure), (None,) * len(study.timeline.phases), cells)

    return CellView(
        cells=cells(AS_THE_REST),
        channel=kept(AS_THE_REST),
        direction=_DIRECTIONS[population.leaky_state],
        population=population,
        lot=((1.0, population),),
        warnings=warnings,
        structure=_structure_facts(study, population.weak_share),
    )


def _law_model(study: Study, population: Ageing) -> CellModel:
    """The population itself, or the memoryless cells of the same median."""
    if isinstance(population, device.CurvePopulation):
        return population.simulated()
    if study.flips.law == "poisson":
        return PoissonCells(population.memoryless[0], population.leaky_state)
    return population


def _of_all_dies(cell: Any) -> Ageing:
    """The population of a charge cell over all dies."""
    return _charge_population(cell, None) if len(device.dies_of_lot(cell)) == 1 else _lot_population(cell)


def losing(study: Study, p: float, planes: int, direction: Direction = "symmetric") -> FlipChannel:
    """Stated probabilities with the study's cell behind them, at the interval at which that cell loses ``p``.

    Where it is asked what is left under another way of keeping planes, raises ValueError for a cell that loses nothing
    over time, and for a study that states its flips.
    """

    @cache
    def kept(keeping: Keeping) -> FlipChannel:
        if not study.flips.same_cells or CELLS[study.cell.kind].static:
            raise ValueError(
                "what stronger cells and faster refresh leave follows from a cell's retention times, and this study "
                f"has none: law {study.flips.law}, {study.cell.kind}"
            )
        cell = build_cell(study)
        at_s = float(_of_all_dies(cell).retention_quantile(p)) / keeping.refresh_factor
        left = float(_of_all_dies(_kept_otherwise(cell, keeping)).flip_probability(at_s))
        name, warmth = study.cell.preset or study.cell.kind, show(study.cell.temperature_k, "temperature")
        source = f"{name} at {warmth}, {show(at_s, 'time')}"
        return FlipChannel.uniform(left, planes, direction=direction, source=source)

    return replace(FlipChannel.uniform(p, planes, direction=direction), kept=kept)
