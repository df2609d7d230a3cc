"""What a record says of how its plan came about: the score, the solver, what was spent, what the plan itself costs."""

from __future__ import annotations

from typing import Any

from qtaml_hw import tac
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.protect import Protection
from qtaml_hw.study.design.scoring import score_cost
from qtaml_hw.weights import StoredImage


def plan_facts(study: Study, image: StoredImage, protection: Protection) -> dict[str, Any]:
    """Fields of a record; None where the policy has nothing to say.

    ``spent`` is in ``spent_unit``; ``least_spent`` is the cost below which no plan reaches a wanted distortion.
    ``side_bits_fraction``: what tells groups and corrections apart, over the stored bits, counted beside the budget.
    """
    plan, planned, section = protection.plan, protection.planned, study.protection
    scored = section.policy == "tac"
    return {
        "group": plan.group_kind if section.plan is not None else section.group,
        "plan_policy": plan.policy,
        "score": section.score if scored else None,
        "score_output": section.output if scored else None,
        "score_cost": score_cost(study, image) if scored else None,
        "solver": None if planned is None else section.solver,
        "plan_gap": None if planned is None else planned.gap,
        "spent": None if planned is None else planned.spent,
        "spent_unit": None if planned is None else planned.unit,
        "least_spent": None if planned is None else planned.least_spent,
        "side_bits_fraction": side_fraction(protection),
    }


def side_fraction(protection: Protection) -> float:
    """Bits that tell groups and corrections apart, over the stored bits."""
    return max(tac.side_information(protection.plan, kind).fraction for kind in set(protection.decoder.kinds))


def plan_warnings(study: Study, protection: Protection) -> list[str]:
    """What the user may take for built and is not."""
    plan = protection.plan
    found = []
    faster = [item.name for i, item in enumerate(plan.entries) if item.kind == "refresh" and (plan.choice == i).any()]
    if faster and study.array.placement == "row_major" and _planes_differ(plan, "refresh"):
        found.append(
            f"{', '.join(faster)} for single planes needs rows of its own: with array.placement row_major a row "
            "holds all planes, so these refresh classes are a bound; use placement: plane_separated"
        )
    if faster and plan.group_kind in ("channel", "word"):
        found.append(f"{', '.join(faster)}: a refresh class is a set of rows; group row or layer can be built")
    return found


def _planes_differ(plan: ProtectionPlan, kind: str) -> bool:
    """Whether planes of one group are in different classes of a kind of entry."""
    own = [i for i, item in enumerate(plan.entries) if item.kind == kind]
    chosen = [(plan.choice == i).sum(axis=1) for i in own]
    return any(bool(((count > 0) & (count < plan.planes)).any()) for count in chosen)
