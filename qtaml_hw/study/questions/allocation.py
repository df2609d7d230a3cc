"""The protection plan of a study on its network, with its predictions, before any fault map is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.protection import PlanRow, ProtectionPlan, plan_table, save_plan
from qtaml_hw.protection.menu import ABSENT
from qtaml_hw.records.fields import FORMER, F
from qtaml_hw.study.design.contents import Contents
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.protection.plan_facts import plan_facts, plan_warnings
from qtaml_hw.study.design.protection.protect import Protection
from qtaml_hw.study.questions.forecast import Forecast
from qtaml_hw.study.questions.tensors import tensor_rows
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.inventory import TensorEntry


@dataclass(frozen=True, eq=False)
class AllocationResult:
    """A protection plan with its predictions, for tables and JSON."""

    protection: Protection
    image: StoredImage
    inventory: tuple[TensorEntry, ...]
    node_m: float
    clock_hz: float
    forecast: Forecast
    facts: dict[str, Any] = field(default_factory=dict)

    def _code_row(self, row: PlanRow) -> dict[str, Any]:
        """One entry in one layer; variance saved per check bit is None where no check bit is paid."""
        plain = {**asdict(row), "tensor": self.image.tensors[row.tensor].name}
        saved = row.lsb2_saved_per_parity_bit
        return {**plain, "lsb2_saved_per_parity_bit": saved if np.isfinite(saved) else None}

    @property
    def plan(self) -> ProtectionPlan:
        """The plan itself."""
        return self.protection.plan

    def save(self, path: Path) -> None:
        """Write the plan and the number format it is for as JSON, for ``protection: {plan: ..}``.

        Raises StoreError when the file cannot be written.
        """
        save_plan(self.plan, path, self.image.format_name)

    def as_dict(self) -> dict[str, Any]:
        """Groups with their weights and protected planes, overheads, prediction, bound, gap, rho*, how it was found.

        With ``Forecast.as_dict``, which takes noisy passes over the calibration inputs.
        """
        plan, protection = self.plan, self.protection
        names = group_names(plan, self.image.names)
        sizes, planes = np.diff(plan.starts), plan.planes_protected()
        return {
            "policy": plan.policy,
            "menu": list(plan.menu),
            "tensors": tensor_rows(self.inventory, self.image.planes),
            "groups": [
                {
                    "group": name,
                    "weights": int(n),
                    "planes": int(k),
                    "stored_planes": sum(plan.menu[c] != ABSENT for c in row),
                    "choice": [plan.menu[c] for c in row],
                }
                for name, n, k, row in zip(names, sizes, planes, plan.choice, strict=True)
            ],
            "corrections": list(protection.decoder.kinds),
            "codes": [self._code_row(row) for row in plan_table(plan, protection.channel, self.node_m, self.clock_hz)],
            "protected_bits_fraction": plan.protected_bits_fraction,
            "parity_bits_fraction": plan.parity_bits_fraction,
            "predicted_distortion": protection.predicted_distortion,
            "lower_bound": protection.lower_bound,
            "gap": 0.0 if protection.optimum is None else protection.optimum.gap,
            "rho_star": protection.rho_star,
            **self.forecast.as_dict(),
            **self.facts,
            **{name: self.facts[row] for name, row in FORMER.items() if row in self.facts},  # as they were called
        }


def group_names(plan: ProtectionPlan, tensors: Sequence[str]) -> list[str]:
    """``conv.weight``, ``conv.weight[3]`` (channel), ``conv.weight[word 12]``, ``conv.weight[row 3]``."""
    prefix = {"layer": None, "channel": "", "word": "word ", "row": "row "}[plan.group_kind]
    names = []
    for tensor, name in enumerate(tensors):
        first, last = plan.tensor_groups(tensor)
        names += [name if prefix is None else f"{name}[{prefix}{i}]" for i in range(last - first)]
    return names


@takes_study
def allocate(study: Study, *, predict: bool | None = None, progress: Progress | None = None) -> AllocationResult:
    """The protection plan of a study on its network, without evaluating any fault map.

    ``predict`` : whether ``as_dict`` predicts the budgets that keep accuracy; None: where that takes seconds.

    Raises InputError when the network cannot be loaded or the budget cannot price the menu.
    """
    stored = Networks(progress).load(study)
    try:
        layers = stored.network.layers(study.accelerator)
        contents = Contents.of(study, stored.image, stored.calibration, layers)
    except ValueError as error:
        raise InputError(str(error)) from error
    image, protection = contents.image, contents.protection
    price = contents.pricing.cost(protection.plan, protection.planned_bits)
    facts = {
        **plan_facts(study, image, protection),
        F.stored_bits_per_weight: price.stored_bits_per_weight,
        "warnings": plan_warnings(study, protection),
    }
    inventory, node_m, clock_hz = stored.network.inventory, study.array.node_m, study.accelerator.clock_hz
    forecast = Forecast(study, stored, contents, layers, predict)
    return AllocationResult(protection, image, inventory, node_m, clock_hz, forecast, facts)
