"""What a record says of its protection: the plan, how it came about, what it costs, and what may be taken for built."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.config.written import stated
from qtaml_hw.ecc import Code
from qtaml_hw.protection import MenuEntry, ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.protection.price import Pricing
from qtaml_hw.study.design.protection.protect import Protection
from qtaml_hw.study.design.protection.scoring import score_cost
from qtaml_hw.weights import StoredImage


def protection_facts(study: Study, image: StoredImage, protection: Protection) -> dict[str, Any]:
    """Fields of a record: what is protected by what, what is left, and :func:`plan_facts`."""
    plan, section = protection.plan, study.protection
    return {
        "policy": section.policy,
        "menu": list(plan.menu[1:]),
        "correction": section.correction,
        "corrections": list(protection.decoder.kinds),
        "zero_overhead": protection.decoder.zero_overhead,
        "budget_kind": protection.budget.kind,
        "budget": protection.budget.value,
        "stored_bits": plan.stored_bits,
        "protected_bits_fraction": plan.protected_bits_fraction,
        "parity_bits_fraction": plan.parity_bits_fraction,
        "layers": _layers(image, protection),
        "predicted_distortion": protection.predicted_distortion,
        "lower_bound": protection.lower_bound,
        "rho_star": protection.rho_star,
        **plan_facts(study, image, protection),
    }


def plan_facts(study: Study, image: StoredImage, protection: Protection) -> dict[str, Any]:
    """Fields of a record; None where the policy has nothing to say.

    ``spent`` : what the record grows by; in ``spent_unit`` and at the prices of planning, ``priced_spent`` is what the
    plan costs and ``least_spent`` the cost below which no plan reaches a wanted distortion.
    ``side_bits_fraction``: what tells groups and corrections apart, over the stored bits, counted beside the budget.
    """
    plan, optimum, section = protection.plan, protection.optimum, study.protection
    scored = section.row.scored
    return {
        "group": section.group if section.plan is None else plan.group_kind,
        "plan_policy": plan.policy,
        "plan_score": section.score if scored else None,
        "plan_score_output": section.output if scored else None,
        "plan_score_cost": score_cost(study, image) if scored else None,
        "solver": None if optimum is None else section.solver,
        "plan_gap": None if optimum is None else optimum.gap,
        "spent": asdict(protection.spent),
        "priced_spent": None if optimum is None else optimum.spent,
        "spent_unit": None if optimum is None else optimum.unit,
        "least_spent": None if optimum is None else optimum.least_spent,
        "side_bits_fraction": protection.planned_bits / plan.stored_bits,
    }


def _layers(image: StoredImage, protection: Protection) -> list[dict[str, Any]]:
    """Every tensor with its protected planes, averaged over its weights, its correction, and the planes it stores."""
    plan, rows = protection.plan, []
    planes = plan.planes_protected()
    for i, (t, layer) in enumerate(zip(image.tensors, protection.decoder.layers, strict=True)):
        first, last = plan.tensor_groups(i)
        sizes = plan.starts[first + 1 : last + 1] - plan.starts[first:last]
        mean = float((planes[first:last] * sizes).sum() / t.weights)
        row = {"name": t.name, "weights": t.weights, "protected_planes": mean, "correction": layer.kind}
        rows.append({**row, "stored_planes": int(plan.stored_planes[i].sum())})
    return rows


def plan_warnings(study: Study, protection: Protection) -> list[str]:
    """What the user may take for built and is not."""
    plan, budget, warnings = protection.plan, protection.budget, []
    if budget.value is not None and plan.protected_bits == 0:
        least = "" if budget.least is None else f"; one plane of one layer adds {budget.least:.3g} {budget.prices.unit}"
        warnings.append(f"the budget ({budget.kind} {budget.value:g}) buys no protection at all{least}")
    faster = [item.name for i, item in enumerate(plan.entries) if item.kind == "refresh" and (plan.choice == i).any()]
    if faster and study.array.placement == "row_major" and _planes_differ(plan, "refresh"):
        warnings.append(
            f"{', '.join(faster)} for single planes needs rows of its own: with array.placement row_major a row "
            "holds all planes, so these refresh classes are a bound; use placement: plane_separated"
        )
    warnings += _without_effect(study)
    if faster and plan.group_kind in ("channel", "word"):
        warnings.append(f"{', '.join(faster)}: a refresh class is a set of rows; group row or layer can be built")
    warnings += [_of_blocks(study, code) for code in plan.codes if code.whole]
    bits = plan.bits_by_entry()
    bounds = [item for item in plan.entries if item.kind == "ideal" and bits[item.name]]
    for item in bounds:
        shannon = item.name.startswith("shannon")
        price = f"{item.floor:.3g} check bits each{', the least that any code can have' * shannon}"
        price, what = price if item.floor else "no parity", "at Shannon's bound" if shannon else "ideal"
        warnings.append(f"protected bits are {what}: error-free by assumption, {price}, no codec; not buildable")
    return warnings


def _of_blocks(study: Study, code: Code) -> str:
    """What a code of long blocks asks of those who read, and what it does not allow."""
    asks = [f"a read waits for {code.n} bits", "single weights cannot be written in place"]
    if study.refresh.ecc_aware:
        asks.append("ECC-aware refresh decodes a block for every row, whose other rows it has to read beside")
    if study.scrub.interval_s is not None:
        asks.append("a scrub reads, decodes and encodes whole blocks")
    return f"{code.name} is decoded as whole blocks: {'; '.join(asks)}"


def _without_effect(study: Study) -> list[str]:
    """Options of the protection that its policy does not look at, where the user wrote both for this one study."""
    origins, policy = stated(study), study.protection.policy
    ranks = {"default": 0, "file": 1, "set": 2}
    own = origins.get("protection.policy")
    chosen = 0 if own is None else ranks.get(own.kind, len(ranks))  # a sweep chooses: others of its points may look
    idle = [
        path
        for path in (f"protection.{name}" for name in sorted(study.protection.row.unused))
        if path in origins and max(chosen, 1) <= ranks.get(origins[path].kind, 0)
    ]
    return [f"{', '.join(idle)} changes nothing: the policy {policy} does not look at it"] if idle else []


def hurting_codes(protection: Protection) -> list[str]:
    """Codes of the plan that are past their break-even at the cells' flip probabilities."""
    cells = protection.channel
    found = float(cells.p01.max() + cells.p10.max())
    hurt = [e.name for e in protection.plan.entries[1:] if e.kind == "code" and _left(e, cells) > found]
    return [f"{name} leaves more errors than it finds at this flip probability" for name in hurt]


def _left(item: MenuEntry, cells: FlipChannel) -> float:
    """p01 + p10 of a bit in words of the worst plane under a menu entry, mean over dies."""
    up, down = cells.mean_of_dies(lambda die: item.residual_channel(float(die.p01.max()), float(die.p10.max())))
    return float(up.sum() + down.sum())


def idle_switches(study: Study, protection: Protection, pricing: Pricing) -> list[str]:
    """Corrections that leave no fewer errors than decoding at reads does, and what is saved without them."""
    law, schedule = protection.channel.law, pricing.schedule
    same_cells = law in ("retention", "fixed") and not schedule.phases and schedule.on_uncorrectable is None
    if not same_cells or not protection.plan.parity_bits:
        return []
    now, warnings = pricing.cost(protection.plan, protection.planned_bits), []
    on = (
        ("refresh.ecc_aware: false", schedule.ecc_aware_refresh, replace(schedule, ecc_aware_refresh=False)),
        ("scrub: off", schedule.scrub_interval_s is not None, replace(schedule, scrub_interval_s=None)),
    )
    for name, without in ((name, without) for name, works, without in on if works):
        then = replace(pricing, schedule=without).cost(protection.plan, protection.planned_bits)
        area = 1.0 - then.areas[F.area_m2] / now.areas[F.area_m2]
        energy = 1.0 - then.energies[F.energy_per_inference_j] / now.energies[F.energy_per_inference_j]
        if energy > 0.0:
            warnings.append(
                f"{name} saves {area:.1%} of the area and {energy:.1%} of the energy per inference and gives up no "
                f"accuracy: under the law {law} the cells that are corrected there fail again before they are read"
            )
    return warnings


def _planes_differ(plan: ProtectionPlan, kind: str) -> bool:
    """Whether planes of one group are in different classes of a kind of entry."""
    own = [i for i, item in enumerate(plan.entries) if item.kind == kind]
    chosen = [(plan.choice == i).sum(axis=1) for i in own]
    return any(bool(((count > 0) & (count < plan.planes)).any()) for count in chosen)
