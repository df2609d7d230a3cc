"""From a study's cell and flip law to what ages the memory and to the flip channel that TAC plans with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from qtaml_hw import device
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.faults import Bursts, Clusters
from qtaml_hw.memory import CellModel, FixedCells, Memory, PoissonCells, Timeline, planned_flip_probability
from qtaml_hw.names import CELLS, Direction, LeakyState
from qtaml_hw.study.design.array import geometry_of, schedule_of
from qtaml_hw.study.design.measured import measured_cell

QUANTILES = ("1e-6", "1e-3", "0.05", "0.1", "0.5")
Population = device.Population
Ageing = device.RetentionPopulation | device.CurvePopulation
"""Populations whose cells lose their bit with time."""
Conditions = tuple[CellModel, tuple[CellModel | None, ...]]
"""A cell model, and the one in every phase (None: the same)."""


@dataclass(frozen=True, eq=False)
class CellView:
    """A study's cell, seen by the memory (``model``, ``phases``), by TAC (``channel``) and by tables (the rest).

    ``model``: of a chip at the process centre.  ``channel``: of a cell of any die, its probabilities means over dies.
    ``population``: of the cells of all dies; None where the study states its flips.  ``lot``: (share, population) of
    the dies that stand for all.  ``phases``: the model in every phase of the study's timeline, None where it is the
    same.  ``dies``, ``channels``: model and channel of one chip, by seed and map index; None where dies are alike.
    """

    model: CellModel
    channel: FlipChannel
    direction: str
    population: Population | None = None
    lot: tuple[tuple[float, Population], ...] = ()
    phases: tuple[CellModel | None, ...] = ()
    warnings: tuple[str, ...] = ()
    dies: Callable[[int, int], Conditions] | None = None
    channels: Callable[[int, int], FlipChannel] | None = None
    structure: dict[str, Any] = field(default_factory=dict)

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

    def of_chip(self, seed: int, map_index: int) -> CellModel:
        """The cell model of one chip: the process centre, or its die where dies differ."""
        return self.model if self.dies is None else self.dies(seed, map_index)[0]

    def channel_of_chip(self, seed: int, map_index: int) -> FlipChannel:
        """The flip channel of one chip: that of its die where dies differ."""
        return self.channel if self.channels is None else self.channels(seed, map_index)

    def live(self, chip: Memory, seed: int, map_index: int) -> Timeline:
        """One fault map of a chip of this cell."""
        model, phases = (self.model, self.phases) if self.dies is None else self.dies(seed, map_index)
        return chip.run(model, seed=seed, map_index=map_index, phase_cells=phases)

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


def build_cell(study: Study) -> Any:
    """The device's cell of a study: a frozen value in SI.

    Raises ValueError for measured flips that are none of this kind of cell.
    """
    measured = measured_cell(study)
    if measured is not None:
        return measured
    return getattr(device, CELLS[study.cell.kind].device)(**study.cell.device_values())


def _charge_population(cell: Any, die: device.Die | None) -> Ageing:
    """The population of a charge cell on one die, as its kind has registered it."""
    population = device.population(cell, die)
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


def _phase_models(study: Study, cell: Any, die: device.Die | None = None) -> tuple[CellModel | None, ...]:
    """The model of a charge cell in every phase, on one die or at the process centre; None where it is as usual.

    Raises ValueError with the phase and the physical reason.
    """
    others = _phase_devices(study, cell)
    return tuple(None if other is None else _law_model(study, _charge_population(other, die)) for other in others)


def exposure_s(study: Study) -> float:
    """Time over which a cell can lose its bit before the last read-out.

    Retention: a refresh interval (the longest where row classes have their own), or the time since the write without
    refresh.  Poisson: always the time since the write, since a refresh restores what it reads and so keeps flips.
    """
    last = study.evaluate.at_s[-1]
    if not study.flips.same_cells:
        return last
    return max(last if interval is None else min(interval, last) for interval in study.refresh.intervals_s)


def _charge_channel(
    study: Study, cell: Any, population: Ageing, phases: tuple[CellModel | None, ...], planes: int
) -> FlipChannel:
    """The flip channel of an unprotected bit at the last read-out, every plane by its rows' refresh and the phases."""
    law: Literal["retention", "poisson"] = "poisson" if study.flips.law == "poisson" else "retention"
    channel = device.flip_channel(cell, exposure_s(study), planes, law, population)
    if len(study.refresh.intervals_s) == 1 and not study.timeline.phases and not study.timeline.updates_s:
        return channel
    p = planned_flip_probability(_law_model(study, population), schedule_of(study, None, phases))
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
    return FlipChannel(p01, p10, law, source)


def _structure(study: Study, planes: int) -> Bursts | Clusters | None:
    """How neighbouring cells depend on each other; a column runs through the rows that hold the weights in turn."""
    structure, array = study.flips.structure, study.array
    if structure is None or structure.kind == "iid":
        return None
    if structure.kind == "clustered":
        return Clusters(structure.weights or 0, structure.dispersion or 0.0)
    row = max(array.row_bits // planes, 1) * (1 if array.interleave == "block" else array.banks)
    return Bursts(structure.length or 0, row if structure.kind == "column_burst" else 0)


def _structure_facts(study: Study) -> dict[str, Any]:
    """Record fields of dependent flips; ``flip_dispersion``: variance / mean of counts in a plane."""
    structure = study.flips.structure
    assert structure is not None
    return {
        "flip_structure": structure.kind,
        "flip_structure_weights": structure.length or structure.weights,
        "flip_dispersion": structure.dispersion or (structure.length or 1) * (1.0 - float(study.flips.p or 0.0)),
    }


_DIRECTIONS: Final[dict[LeakyState, Direction]] = {1: "1to0", 0: "0to1", "both": "symmetric"}


def view_cell(study: Study, planes: int) -> CellView:
    """Build the cell model, the channel and the retention figures.

    Raises ValueError with the physical reason when the cell cannot be modelled.
    """
    if study.flips.law == "fixed":
        return _stated_view(study, planes)
    cell = build_cell(study)
    population = device.population(cell)
    if isinstance(population, device.StaticPopulation):
        return _static_view(study, cell, population, planes)
    phases = _phase_models(study, cell)
    view = CellView(
        model=_law_model(study, population),
        channel=_charge_channel(study, cell, population, phases, planes),
        direction=_DIRECTIONS[population.leaky_state],
        population=population,
        lot=((1.0, population),),
        phases=phases,
        warnings=tuple(population.warnings),
    )
    return view if len(device.dies_of_lot(cell)) == 1 else _view_of_lot(study, cell, view)


def _view_of_lot(study: Study, cell: Any, centre: CellView) -> CellView:
    """The view of a cell whose dies differ, from that of its process centre."""

    def conditions(die: device.Die) -> tuple[Ageing, tuple[CellModel | None, ...]]:
        return _charge_population(cell, die), _phase_models(study, cell, die)

    def channel(population: Ageing, phases: tuple[CellModel | None, ...]) -> FlipChannel:
        return _charge_channel(study, cell, population, phases, centre.channel.planes)

    def of_chip(seed: int, map_index: int) -> tuple[Ageing, tuple[CellModel | None, ...]]:
        return conditions(device.draw_die(cell, seed=seed, map_index=map_index))

    def dies(seed: int, map_index: int) -> Conditions:
        population, phases = of_chip(seed, map_index)
        return _law_model(study, population), phases

    lot = [(share, conditions(die)) for share, die in device.dies_of_lot(cell)]
    return replace(
        centre,
        channel=FlipChannel.over_dies([(share, channel(*of_die)) for share, of_die in lot]),
        population=device.lot_population(cell),
        lot=tuple((share, population) for share, (population, _) in lot),
        dies=dies,
        channels=lambda seed, map_index: channel(*of_chip(seed, map_index)),
    )


def _stated_view(study: Study, planes: int) -> CellView:
    """Flips of a probability that the study states, without a cell behind them."""
    flips = study.flips
    source = "stated by the study: flips.p"
    channel = FlipChannel.uniform(float(flips.p or 0.0), planes, direction=flips.direction, source=source)
    cells = FixedCells(channel.p01, channel.p10, _structure(study, planes))
    return CellView(
        model=cells,
        channel=channel,
        direction=flips.direction,
        phases=(None,) * len(study.timeline.phases),
        structure={} if cells.structure is None else _structure_facts(study),
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
    channel = device.flip_channel(cell, exposure_s(study), planes, law, population)
    return CellView(
        model=FixedCells(channel.p01, channel.p10),
        channel=channel,
        direction=_DIRECTIONS[population.leaky_state],
        population=population,
        lot=((1.0, population),),
        phases=(None,) * len(study.timeline.phases),
        warnings=warnings,
    )


def _law_model(study: Study, population: Ageing) -> CellModel:
    """The population itself, or the memoryless cells of the same median."""
    if isinstance(population, device.CurvePopulation):
        return population.simulated()
    if study.flips.law == "poisson":
        return PoissonCells(population.memoryless[0], population.leaky_state)
    return population
