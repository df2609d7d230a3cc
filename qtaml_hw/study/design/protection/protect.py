"""From the protection section to a plan and a decoder: the policy spends the budget, the correction decodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np

from qtaml_hw import tac
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.config.written import stated
from qtaml_hw.names import CalibratedKind
from qtaml_hw.protection import ProtectionPlan, plan_for
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.protection.price import Pricing, Spent
from qtaml_hw.study.design.protection.prices import Costs, budget_of, menu_of
from qtaml_hw.study.design.protection.scoring import first_order, scored_damage
from qtaml_hw.study.design.protection.widths import agreement, joint_problem
from qtaml_hw.weights import ScaleLayout, StoredImage


@dataclass(frozen=True, eq=False, kw_only=True)
class Protection(tac.Planned):
    """What a policy decided, how the rest is decoded, and what is predicted.

    ``planned_bits`` : bits that tell the plan's groups and corrections apart; ``spent`` : what the record grows by over
    that of the same study with nothing protected.  Predictions are None without calibration inputs; ``rho_star`` is
    None too where nothing is protected.  Distortions are squared changes of the logits to first order, whatever the
    score; ``optimum`` is in the units of the policy's, at the prices of planning.
    """

    channel: FlipChannel
    decoder: tac.ImageDecoder
    budget: tac.Budget
    planned_bits: float
    spent: Spent
    predicted_distortion: float | None
    lower_bound: float | None
    rho_star: float | None


def protect(
    study: Study,
    image: StoredImage,
    calibration: Calibration,
    channel: FlipChannel,
    pricing: Pricing,
    others: tuple[tac.Share, ...] = (),
) -> Protection:
    """Plan and decoder of a study on its network; ``others`` : memories that spend the same budget.

    Raises ValueError when the budget cannot price the menu, the menu cannot reach a wanted distortion, or a plan's
    file does not fit the network.
    """
    section = study.protection
    planning, planned = planned_by(study, image, calibration, channel, pricing, others)
    if planned.image is not None:
        return _with_codes(study, image, calibration, planned, planning, pricing)
    plan, optimum = planned.plan, planned.optimum
    if not np.array_equal(plan.stored_planes, ~image.absent):
        raise ValueError("the plan stores fewer planes than the weights have: its codes come from the policy joint")
    decoder = _decoder(study, tac.ProtectedImage(image, plan, channel), calibration)
    planned_bits = side_bits(plan, decoder.kinds) + decoder.side_bits
    spent = Spent()
    if plan.protected_bits > 0:
        nothing = _bare(plan).limited(image.absent)
        bare = _decoder(study, tac.ProtectedImage(image, nothing, channel), calibration)
        spent = pricing.spent(plan, planned_bits, side_bits(nothing, bare.kinds) + bare.side_bits)
    predicted = lower = rho = None
    if calibration.inputs is not None:
        predicted = tac.predicted_distortion(calibration.damage_at(image, plan.starts), channel, plan)
        bounded = section.row.scored and first_order(study) and not others  # the bound is that of all memories
        lower = min(optimum.lower_bound, predicted) if optimum is not None and bounded else predicted
        rho = _rho_star(planning, plan, calibration.damage_at(image, plan.starts), predicted)
    return Protection(
        plan=plan,
        optimum=optimum,
        beside=planned.beside,
        channel=channel,
        decoder=decoder,
        budget=planning.budget,
        planned_bits=planned_bits,
        spent=spent,
        predicted_distortion=predicted,
        lower_bound=lower,
        rho_star=rho,
    )


def _with_codes(
    study: Study,
    image: StoredImage,
    calibration: Calibration,
    planned: tac.Planned,
    planning: tac.Planning,
    pricing: Pricing,
) -> Protection:
    """Of a policy that chose the codes too: predictions are of rounding and flips together, at the first order.

    ``image`` : as the codes were before, whose scales an unprotected study of the same file may store otherwise.
    """
    plan, optimum, stored = planned.plan, planned.optimum, planned.image
    assert stored is not None
    protected = tac.ProtectedImage(stored, plan, planning.channel)
    decoder = protected.decoder("planes")
    if study.protection.correction in get_args(CalibratedKind):
        decoder = calibrated(study, protected, decoder, calibration)
    bare = side_bits(_bare(plan), ("planes",))
    own = "weights.scale" not in stated(study)  # of the policy
    plain = ScaleLayout.of("per_tensor" if own else study.weights.scale)
    bare += sum(plain.bits(t.shape) - t.layout.bits(t.shape) for t in image.tensors)
    planned_bits = side_bits(plan, ("planes",)) + decoder.side_bits
    bare += decoder.side_bits
    return Protection(
        plan=plan,
        optimum=optimum,
        image=stored,
        channel=planning.channel,
        decoder=decoder,
        budget=planning.budget,
        planned_bits=planned_bits,
        spent=pricing.spent(plan, planned_bits, bare),
        predicted_distortion=None if optimum is None else optimum.predicted_distortion,
        lower_bound=None if optimum is None else optimum.lower_bound,
        rho_star=None,
    )


def planned_by(
    study: Study,
    image: StoredImage,
    calibration: Calibration,
    channel: FlipChannel,
    pricing: Pricing,
    others: tuple[tac.Share, ...] = (),
) -> tuple[tac.Planning, tac.Planned]:
    """What a study's policy is asked, and what it decides; nothing is decoded or predicted yet.

    Raises ValueError as :func:`protect`.
    """
    section = study.protection
    saved = None
    if section.plan is not None:
        saved = plan_for(study.folder / section.plan, image.tensor_starts, image.planes, image.format_name)
    menu = menu_of(study, channel) if saved is None else tac.Menu.of(saved.menu[1:])
    _check_law(channel, menu)
    planning = tac.Planning(
        policy=section.policy,
        image=image,
        channel=channel,
        menu=menu,
        budget=budget_of(study, image, menu, Costs.of_weights(pricing, partial(_most_spent, study, pricing))),
        group=section.group,
        solver=section.way,
        damage=_damage_by_worth(study, image, calibration, channel),
        saved=saved,
        widths=lambda asked: joint_problem(study, image, calibration, channel, menu, asked.budget.prices.budget),
        agreement=lambda found: agreement(found, calibration, channel, study.evaluate.seed),
        others=others,
    )
    planned = tac.POLICIES[section.policy](planning)
    return planning, replace(planned, plan=planned.plan.limited(image.absent))


def side_bits(plan: ProtectionPlan, kinds: Iterable[tac.CorrectionKind]) -> float:
    """Bits that tell a plan's groups and the corrections of its layers apart."""
    return max(tac.side_information(plan, kind).fraction for kind in set(kinds)) * plan.stored_bits


def possible_kinds(asked: str) -> tuple[tac.CorrectionKind, ...]:
    """What a layer's weights may be corrected by under ``protection.correction``; matched channels go on top."""
    if asked == "auto":
        return tac.FOLDING_KINDS
    return tuple(kind for kind in tac.KINDS if kind == asked) or ("none",)


def _decoder(study: Study, protected: tac.ProtectedImage, calibration: Calibration) -> tac.ImageDecoder:
    """The corrections that the study asks for."""
    kind = study.protection.correction
    if kind == "auto":
        return calibration.automatic(protected.image).decoder(protected)
    if kind == "calibrate" or kind == "per_chip":
        return calibrated(study, protected, protected.decoder("none"), calibration)
    return protected.decoder(kind)


def calibrated(
    study: Study, protected: tac.ProtectedImage, base: tac.ImageDecoder, calibration: Calibration
) -> tac.CalibratedDecoder:
    """A decoder with every layer's channels matched, over drawn chips or on each chip.

    Raises ValueError without unlabelled inputs, and per chip where the cells that fail are others at every read.
    """
    if calibration.inputs is None:
        raise ValueError(f"the correction {study.protection.correction} needs unlabelled calibration inputs")
    match = tac.ChannelMatch(calibration.served.module, calibration.names, calibration.inputs)
    if study.protection.correction == "per_chip":
        if protected.channel.law == "poisson":
            raise ValueError(
                "per_chip matches a chip on the cells that fail on it, and under the law poisson others fail at every "
                "read; use calibrate"
            )
        return tac.CalibratedDecoder.of(base, match, None)
    rng = np.random.default_rng([study.evaluate.seed, 0xCA1])
    read = [tac.drawn_codes(protected.image, protected.plan, protected.channel, rng) for _ in range(tac.MATCHED_DRAWS)]
    return tac.CalibratedDecoder.of(base, match, read)


def _most_spent(study: Study, pricing: Pricing, plan: ProtectionPlan) -> Spent:
    """What a plan spends at most, whichever corrections its layers will take."""
    if plan.protected_bits == 0:
        return Spent()
    kinds = possible_kinds(study.protection.correction)
    bare = min(side_bits(_bare(plan), (one,)) for one in kinds)
    return pricing.spent(plan, side_bits(plan, kinds), bare)


def _bare(plan: ProtectionPlan) -> ProtectionPlan:
    return ProtectionPlan.unprotected(plan.tensor_starts, plan.planes)


def _rho_star(
    planning: tac.Planning, plan: ProtectionPlan, allocated: tac.DamageModel, predicted: float
) -> float | None:
    """Predicted overhead of Uniform-MSP over that of TAC, at the distortion that this plan leaves."""
    if plan.protected_bits == 0 or planning.image.absent.any():
        return None
    layers = planning.damage("first_order", planning)
    ratio = tac.saturation_ratio_at(allocated, layers, planning.channel, planning.menu, predicted)
    return None if ratio is None else ratio.rho_star


def _check_law(channel: FlipChannel, menu: tac.Menu) -> None:
    """Options that move retention times need a law that has any.

    Raises ValueError with the reason.
    """
    laws = {"refresh": ("retention",), "cell": ("retention", "poisson")}
    for item in menu.entries:
        if channel.law not in laws.get(item.kind, (channel.law,)):
            raise ValueError(
                f"{item.name} changes nothing under the law {channel.law}: "
                "it lengthens retention or shortens the refresh interval, which only the law retention follows"
            )


def _damage_by_worth(
    study: Study, image: StoredImage, calibration: Calibration, channel: FlipChannel
) -> Callable[[tac.Worth, tac.Planning], tac.DamageModel]:
    """The damage models that policies ask for by what a weight is held to be worth."""
    seed = study.evaluate.seed

    def by_group(importance: Float64) -> tac.DamageModel:
        return tac.damage_model(image, importance, group_starts(study, image))

    def by_score(planning: tac.Planning) -> tac.DamageModel:
        starts = group_starts(study, image)
        return scored_damage(study, image, calibration, channel, starts, lambda damage: planning.spend(damage).plan)

    ways: dict[tac.Worth, Callable[[tac.Planning], tac.DamageModel]] = {
        "first_order": lambda _: calibration.damage(image, "layer"),
        "score": by_score,
        "magnitude": lambda _: by_group(tac.magnitude_importance(image)),
        "random": lambda _: by_group(tac.random_importance(image, group_starts(study, image), seed)),
        "measured": lambda _: by_group(tac.measured_importance(image, calibration.outputs, channel, seed)),
    }
    return lambda worth, planning: ways[worth](planning)


def group_starts(study: Study, image: StoredImage) -> Int64:
    """First global weight of every group, and the total: int64 [groups + 1].

    Raises ValueError for rows that do not hold neighbouring weights.
    """
    kind = study.protection.group
    return row_starts(study, image) if kind == "row" else image.group_starts(kind)


def row_starts(study: Study, image: StoredImage) -> Int64:
    """First weight of every memory row, cut at tensors: int64 [rows + 1]; rows of one class where planes are apart.

    Raises ValueError when neighbouring words lie in different banks: a row's weights are then no neighbours.
    """
    array = study.array
    if array.interleave != "block":
        raise ValueError("group row needs array.interleave block: with word, a row's weights are not neighbours")
    planes = image.planes
    if array.placement == "plane_separated":
        planes = max(np.bincount(array.plane_class)) if array.plane_class else 1
    per_row = max(1, array.row_bits // int(planes))
    share = -(-image.weights // array.banks)  # of a bank, as ArrayLayout.stride
    banks = [np.arange(start, min(start + share, image.weights), per_row) for start in range(0, image.weights, share)]
    starts: Int64 = np.unique(np.concatenate([*banks, image.tensor_starts]))
    return starts
