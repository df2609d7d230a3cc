"""What runs from which supply and stands for which technology, and what of that does not go together."""

from __future__ import annotations

from collections.abc import Iterator

from qtaml_hw.accelerator.energy import MacEnergy, mac_energy
from qtaml_hw.config import Study
from qtaml_hw.config.sections.timeline import PhaseSection
from qtaml_hw.memory import ArrayCost
from qtaml_hw.units import show


def array_supply_v(study: Study, phase: PhaseSection | None = None) -> float:
    """Supply of array and codecs: the array's own, else that of all cells, the highest."""
    return max(own_supply_v(one.study, phase) for one in study.classes)


def own_supply_v(study: Study, phase: PhaseSection | None = None) -> float:
    """The same of the study's own cell, whatever other planes are made of."""
    if study.array.v_dd_v is not None:
        return study.array.v_dd_v
    return study.cell.v_dd_v if phase is None or phase.v_dd_v is None else phase.v_dd_v


def mac_supply_v(study: Study) -> float:
    """Supply of the multiply-accumulates: their own, else the array's."""
    return array_supply_v(study) if study.accelerator.v_dd_v is None else study.accelerator.v_dd_v


def mac_at(study: Study) -> MacEnergy:
    """A multiply-accumulate at its supply."""
    return mac_energy(study.accelerator.mac).at(mac_supply_v(study))


def rail_warnings(study: Study, bank: ArrayCost) -> Iterator[str]:
    """Supplies and nodes that differ within a design, and where a law of the supply is a guess."""
    array_v, mac_v, cell_v = array_supply_v(study), mac_supply_v(study), study.cell.v_dd_v
    if array_v != cell_v:
        yield (
            f"the cells are at {show(cell_v, 'voltage')}, array and codecs at {show(array_v, 'voltage')}: "
            "level shifters between them are not priced"
        )
    if mac_v != array_v:
        yield (
            f"the multiply-accumulates run at {show(mac_v, 'voltage')}, the array at {show(array_v, 'voltage')}: level "
            "shifters between them are not priced"
        )
    if bank.bank.supply.near_threshold:
        yield (
            f"at {show(array_v, 'voltage')} the array's periphery is within 0.1 V of its threshold of "
            f"{show(bank.bank.supply.v_th_v, 'voltage')} or below it: its delay is a guess within the band"
        )
    yield from _nodes(study)
    yield from _phases(study, array_v)


def _nodes(study: Study) -> Iterator[str]:
    node_m, mac = study.array.node_m, mac_energy(study.accelerator.mac)
    node = show(node_m, "length")
    if study.cell.node_m is not None and abs(study.cell.node_m - node_m) > 1e-12:
        yield f"the cell's values are those of {show(study.cell.node_m, 'length')}, the array is one of {node}"
    if abs(mac.node_m - node_m) > 1e-12:
        yield (
            f"multiply-accumulates are priced at {show(mac.node_m, 'length')} ({mac.name}), the array at {node}: their "
            "energy is not scaled to it"
        )


def _phases(study: Study, array_v: float) -> Iterator[str]:
    """Commands keep their times in every phase."""
    for phase in study.timeline.phases:
        there_v = array_supply_v(study, phase)
        if there_v != array_v:
            yield (
                f"in the phase {phase.name} the array runs at {show(there_v, 'voltage')}: "
                f"its energy and leakage follow, commands keep the times that they take at {show(array_v, 'voltage')}"
            )
