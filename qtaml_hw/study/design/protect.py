"""From the protection section to a plan and a decoder: the policy spends the budget, the correction decodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.calibration import Calibration
from qtaml_hw.study.design.groups import group_starts
from qtaml_hw.study.design.oracle import measured_importance
from qtaml_hw.study.design.plan_files import study_plan
from qtaml_hw.study.design.prices import prices_of
from qtaml_hw.study.design.scoring import first_order, scored_damage
from qtaml_hw.weights import StoredImage


@dataclass(frozen=True, eq=False)
class Protection:
    """What a policy decided and what it predicts.

    Predictions are None without calibration inputs; ``rho_star`` is None too where nothing is protected.  Distortions
    are squared changes of the logits to first order, whatever the score; ``planned`` is what the policy optimised, in
    the units of its own score (None for policies that optimise nothing).
    """

    plan: ProtectionPlan
    channel: FlipChannel
    decoder: tac.ImageDecoder
    budget_kind: str
    budget: float | None
    predicted_distortion: float | None
    lower_bound: float | None
    rho_star: float | None
    planned: tac.Planned | None = None

    @property
    def gap(self) -> float:
        """Relative distance of what the policy optimised to its bound; 0 for policies that optimise nothing."""
        return 0.0 if self.planned is None else self.planned.gap


def protect(study: Study, image: StoredImage, calibration: Calibration, channel: FlipChannel) -> Protection:
    """Plan and decoder of a study on its network.

    Raises ValueError when the budget cannot price the menu, the menu cannot reach a wanted distortion, or a plan's
    file does not fit the network.
    """
    protection = study.protection
    if protection.plan is not None:
        plan, kind, value, planned = study_plan(study, image), "plan", None, None
        menu = tac.Menu.of(plan.menu[1:])
        _check_law(channel, menu)
    else:
        menu = tac.Menu.of(protection.menu)
        _check_law(channel, menu)
        kind, value, prices = prices_of(study, image, menu)
        plan, planned = _plan(study, image, calibration, channel, menu, prices)
    protected = tac.ProtectedImage(image, plan, channel)
    if protection.correction == "auto":
        decoder = protected.automatic(calibration.importance, calibration.outputs)
    else:
        decoder = protected.decoder(protection.correction)
    predicted = lower = rho = None
    if calibration.inputs is not None:
        predicted = tac.predicted_distortion(calibration.damage_at(image, plan.starts), channel, plan)
        bounded = planned is not None and protection.policy == "tac" and first_order(study)
        lower = min(planned.lower_bound, predicted) if planned is not None and bounded else predicted
        rho = _rho_star(image, calibration, plan, channel, menu, predicted)
    return Protection(plan, channel, decoder, kind, value, predicted, lower, rho, planned)


def _rho_star(
    image: StoredImage,
    calibration: Calibration,
    plan: ProtectionPlan,
    channel: FlipChannel,
    menu: tac.Menu,
    predicted: float,
) -> float | None:
    """Predicted overhead of Uniform-MSP over that of TAC, at the distortion that this plan leaves."""
    if plan.protected_bits == 0:
        return None
    allocated, layers = calibration.damage_at(image, plan.starts), calibration.damage(image, "layer")
    found = tac.saturation_ratio_at(allocated, layers, channel, menu, predicted)
    return None if found is None else found.rho_star


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


def _plan(
    study: Study,
    image: StoredImage,
    calibration: Calibration,
    channel: FlipChannel,
    menu: tac.Menu,
    prices: tac.Prices,
) -> tuple[ProtectionPlan, tac.Planned | None]:
    """The plan, and what was optimised where the policy optimises anything."""
    protection = study.protection
    if protection.policy == "none":
        return ProtectionPlan.unprotected(image.tensor_starts, image.planes), None
    if protection.policy == "uniform":
        if prices.target is not None:
            return tac.plan_uniform_reaching(image, calibration.damage(image, "layer"), channel, menu, prices), None
        return tac.plan_uniform(image, channel, menu, prices), None
    kind, starts = protection.group, group_starts(study, image)

    def spend(damage: tac.DamageModel) -> tac.Planned:
        return tac.plan_by_damage(
            damage,
            channel,
            menu,
            prices,
            image=image,
            kind=kind,
            policy=protection.policy,
            solver=protection.solver,
        )

    if protection.policy == "tac" and first_order(study):
        planned = spend(calibration.damage_at(image, starts))
    elif protection.policy == "tac":
        planned = spend(scored_damage(study, image, calibration, channel, starts, lambda damage: spend(damage).plan))
    else:
        planned = spend(tac.damage_model(image, _importance(study, image, calibration, channel), starts))
    return planned.plan, planned


def _importance(
    study: Study, image: StoredImage, calibration: Calibration, channel: FlipChannel
) -> NDArray[np.float64]:
    """What a baseline holds every weight to be worth."""
    policy = study.protection.policy
    if policy == "magnitude":
        return tac.magnitude_importance(image)
    if policy == "random":
        return tac.random_importance(image, group_starts(study, image), study.evaluate.seed)
    return measured_importance(image, calibration, channel, study.evaluate.seed)
