"""A design in closed form, without its memory: what it costs, what its flips are predicted to do, what it is a kin of.

Costs are those of the one cost function; what neighbouring designs have in common is worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.buffers.held import Buffers
from qtaml_hw.study.design.buffers.planned import shares_budget
from qtaml_hw.study.design.cells.array import geometry_of
from qtaml_hw.study.design.cells.cell import CellView, view_cell
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.transforms import storage_of_steps, stored_image
from qtaml_hw.study.design.protection.price import Pricing, SideStorage
from qtaml_hw.study.design.protection.protect import planned_by, possible_kinds, side_bits
from qtaml_hw.weights import StoredImage

Key = tuple[Any, ...]
COSTS: Final = (F.area_m2, F.area_low_m2, F.area_high_m2, F.energy_per_inference_j, F.energy_low_j, F.energy_high_j)


@dataclass(frozen=True, eq=False)
class Screened:
    """What is known of a design before any fault map is drawn.

    ``facts`` : fields of its record: flip probabilities, costs with their bands, stored bits.  ``distortion`` : the
    predicted one with what the plan leaves; None without calibration inputs.  ``kin`` : designs of equal ``kin`` differ
    in the flip probability of their cells alone, so that their fault maps are nested.
    """

    facts: dict[str, Any]
    distortion: float | None
    kin: int


@dataclass(eq=False)
class Screening:
    """Prices designs of any study whose network ``networks`` load; keeps what several of them share."""

    networks: Networks
    _cells: dict[Key, CellView] = field(default_factory=dict)
    _left: dict[Key, float] = field(default_factory=dict)
    _prices: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, study: Study) -> Screened:
        """The design of a study at its one point.

        Raises ValueError (InputError) when it cannot be built, with the reason.
        """
        stored = self.networks.load(study)
        cell = self._cell(study, stored.image.planes)
        image = stored_image(stored.image, stored.calibration, study, cell.channel)
        bits, gates = storage_of_steps(study, image)
        side = SideStorage(image.metadata_bits + bits, image.decode_ge + gates)
        layers = stored.network.layers(study.accelerator)
        pricing = Pricing.of(study, image.names, image, cell, side, layers)
        others = Buffers.of(study, image, stored.calibration, layers).shares if shares_budget(study) else ()
        planned = planned_by(study, image, stored.calibration, cell.channel, pricing, others)[1]
        plan = planned.plan
        bought = (plan.group_kind, plan.menu, plan.choice.tobytes()) if plan.protected_bits else ()
        content: Key = (id(stored), study.protection.correction, *bought)
        if planned.image is not None:  # codes chosen for these flips: no other design stores them
            content = (*content, study.protection.model_dump_json(), id(cell))
            left = None if planned.optimum is None else planned.optimum.predicted_distortion
        else:
            left = self._distortion(image, stored.calibration, cell.channel, plan, content)
        return Screened(
            facts={
                F.p01: float(cell.channel.p01.max()),
                F.p10: float(cell.channel.p10.max()),
                **self._price(study, pricing, planned, content),
            },
            distortion=left,
            kin=hash((content, cell.direction, *_kept(study))),
        )

    def _cell(self, study: Study, planes: int) -> CellView:
        """The cell of a study; a law that states its flips looks at no cell."""
        array = study.array if study.array.placement != "row_major" else None
        parts = (study.cell, study.flips, study.refresh, study.timeline, *(() if array is None else (array,)))
        key = (planes, study.evaluate.at_s, *(part.model_dump_json() for part in parts))
        if key not in self._cells:
            self._cells[key] = view_cell(study, planes)
        return self._cells[key]

    def _price(self, study: Study, pricing: Pricing, planned: tac.Planned, content: Key) -> dict[str, Any]:
        """Costs by the one cost function; they know the cells by what these spend, not by when they fail."""
        aware = study.cell.model_dump_json() if study.refresh.retention_aware is not None else ""
        parts = (study.array, study.refresh, study.scrub, study.timeline, study.accelerator)
        key = (*content, geometry_of(study), study.evaluate.at_s, aware, *(part.model_dump_json() for part in parts))
        if key not in self._prices:
            plan, kinds = planned.plan, possible_kinds(study.protection.correction)
            cost = pricing.cost(plan, side_bits(plan, kinds if planned.image is None else ("planes",)))
            figures: dict[str, Any] = {**cost.areas, **cost.energies}
            bits: dict[str, Any] = {F.stored_bits_per_weight: cost.stored_bits_per_weight}
            self._prices[key] = {**{name: figures[name] for name in COSTS}, **bits}
        return self._prices[key]

    def _distortion(
        self, image: StoredImage, calibration: Calibration, channel: FlipChannel, plan: ProtectionPlan, content: Key
    ) -> float | None:
        if calibration.inputs is None:
            return None
        key = (*content, id(image), id(channel))  # both live as long as this: in the networks, and in a cell
        if key not in self._left:
            damage = calibration.damage_at(image, plan.starts)
            self._left[key] = tac.predicted_distortion(damage, channel, plan)
        return self._left[key]


def _kept(study: Study) -> Key:
    """What else decides what a flip does, or which cells a fault map makes weak."""
    array, law = study.array, (study.cell.kind, study.flips.law)
    parts = (study.flips.structure, study.scrub, study.timeline)
    return (
        *law,
        array.on_uncorrectable,
        study.evaluate.at_s,
        *(None if p is None else p.model_dump_json() for p in parts),
    )
