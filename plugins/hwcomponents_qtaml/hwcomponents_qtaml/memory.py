"""A leaking memory of a study file: its area, its standing power with refresh, its reads and writes with the code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from hwcomponents import ActionCost, ComponentModel, action

import qtaml_hw as q


class LeakyMemory(ComponentModel):
    """SRAM, gain-cell or 1T1C eDRAM with refresh, ECC on the planes that the study protects, and bands.

    Everything is what ``qtaml_hw.price`` says of the study's memory with so many data bits.  Standing power is leakage
    (cells, periphery, codecs), refresh and scrub: the memory is refreshed whether it is read or not.  One action is an
    access of ``width`` bits in one of ``banks`` banks, decoding or encoding included.  Policies: none and uniform.

    Args:
        study: study file (YAML) of qtaml_hw.
        size: data bits; check bits come on top.
        tech_node: node in metres; None takes the study's.
        set_values: other changes, as of ``--set``: {"cell.t_ox": "1.8 nm"}.

    Attributes:
        width: bits of one access.
        area_band, read_energy_band, leak_power_band: (low, high) where tools disagree, m^2, J, W.
        refresh_power: the part of the standing power that refresh takes, W.
        refresh_share: share of a bank's time that refresh takes, 0 to 1.
        source: what the figures stand on.
    """

    component_name: ClassVar[list[str]] = ["LeakyMemory", "leaky_memory"]  # hwcomponents takes lists alone
    priority = 0.5

    def __init__(
        self,
        study: str,
        size: int,
        tech_node: float | None = None,
        set_values: Mapping[str, Any] | None = None,
    ) -> None:
        changes = dict(set_values or {})
        if tech_node is not None:
            changes["array.node"] = f"{round(float(tech_node) * 1e9, 6):g} nm"
        loaded = q.load(Path(study)).with_(changes)
        planes = q.price(loaded, weights=1).cost.array.plan.planes
        priced = q.price(loaded, weights=max(1, -(-int(size) // planes)))
        figures, whole, array = priced.as_dict(), priced.cost.whole, priced.cost.array
        access = figures["access"]
        standing = access["leakage_w"] + access["refresh_w"] + access["scrub_w"]
        super().__init__(leak_power=standing, area=figures["area_m2"])
        self.study, self.size = study, int(size)
        self.width, self.banks = int(access["word_bits"]), array.geometry.banks
        self.refresh_power, self.refresh_share = access["refresh_w"], figures["refresh_bandwidth_share"]
        self.area_band = (figures["area_low_m2"], figures["area_high_m2"])
        self.read_energy_band = tuple(
            end - whole.read_energy_j + access["read_energy_j"] for end in whole.band("read_energy_j")
        )
        ratios = [end / whole.leakage_w for end in whole.band("leakage_w")]
        self.leak_power_band = tuple(standing + (ratio - 1.0) * priced.cost.memory.leakage_w for ratio in ratios)
        self.source = figures["source"]
        self._read = (access["read_energy_j"], figures["read_latency_s"])
        self._write = (access["write_energy_j"], access["cycle_s"])
        self._per_second = self.banks * (1.0 - self.refresh_share) / access["cycle_s"]

    @action(bits_per_action="width")
    def read(self) -> ActionCost:
        """Read ``width`` bits, decoded: J, s, accesses per second of all banks beside refresh."""
        return ActionCost(*self._read, self._per_second)

    @action(bits_per_action="width")
    def write(self) -> ActionCost:
        """Write ``width`` bits, encoded."""
        return ActionCost(*self._write, self._per_second)
