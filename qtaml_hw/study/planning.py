"""From the protection section to a plan and a decoder: the policy spends the budget, the correction decodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.memory import array_cost
from qtaml_hw.study.cell import array_cell, cost_temperature_k
from qtaml_hw.study.oracle import measured_importance
from qtaml_hw.study.subject import Subject

DEFAULT_BITS_BUDGET = 0.05


@dataclass(frozen=True, eq=False)
class Protection:
    """What a policy decided and what it predicts.

    Predictions are None without calibration inputs; ``rho_star`` is None too where nothing is protected.
    """

    plan: ProtectionPlan
    channel: FlipChannel
    decoder: tac.ImageDecoder
    budget_kind: str
    budget: float | None
    predicted_distortion: float | None
    lower_bound: float | None
    rho_star: float | None

    @property
    def gap(self) -> float:
        """Relative distance of the prediction to the LP bound; 0 for policies that do not optimise it."""
        if not self.lower_bound or self.predicted_distortion is None:
            return 0.0
        return (self.predicted_distortion - self.lower_bound) / self.lower_bound


def protect(study: Study, subject: Subject, channel: FlipChannel) -> Protection:
    """Plan and decoder of a study on its network.

    Raises ValueError when the budget cannot price the menu.
    """
    image, protection = subject.image, study.protection
    menu = tac.Menu.of(protection.menu)
    _check_law(channel, menu)
    kind, value, prices = _prices(study, subject, menu)
    plan, lower = _plan(study, subject, channel, menu, prices)
    protected = tac.ProtectedImage(image, plan, channel, menu)
    if protection.correction == "auto":
        decoder = protected.automatic(subject.importance, subject.calibration_outputs)
    else:
        decoder = protected.decoder(protection.correction)
    predicted = rho = None
    if subject.calibration is not None:
        predicted = tac.predicted_distortion(subject.damage(plan.group_kind), channel, plan, menu)
        rho = _rho_star(study, subject, plan, channel, menu, predicted)
    return Protection(plan, channel, decoder, kind, value, predicted, predicted if lower is None else lower, rho)


def _rho_star(
    study: Study, subject: Subject, plan: ProtectionPlan, channel: FlipChannel, menu: tac.Menu, predicted: float
) -> float | None:
    """Predicted overhead of Uniform-MSP over that of TAC, at the distortion that this plan leaves."""
    if plan.protected_bits == 0:
        return None
    allocated, layers = subject.damage(study.protection.group), subject.damage("layer")
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


def _prices(study: Study, subject: Subject, menu: tac.Menu) -> tuple[str, float | None, tac.Prices]:
    protection, image = study.protection, subject.image
    if protection.policy == "none":
        return "none", None, tac.bit_prices(menu, image, 0.0)
    if protection.planes is not None:
        share = min(protection.planes, image.planes) / image.planes
        return "planes", float(protection.planes), tac.bit_prices(menu, image, share)
    budget = protection.budget
    if budget is None:
        return "bits", DEFAULT_BITS_BUDGET, tac.bit_prices(menu, image, DEFAULT_BITS_BUDGET)
    if budget.kind == "bits":
        return "bits", budget.value, tac.bit_prices(menu, image, budget.value)
    if budget.kind == "parity":
        return "parity", budget.value, tac.parity_prices(menu, image, budget.value)
    return budget.kind, budget.value, _hardware_prices(study, subject, menu, budget.kind, budget.value)


def _hardware_prices(study: Study, subject: Subject, menu: tac.Menu, kind: str, value: float) -> tac.Prices:
    """Area (m2) or energy per inference (J) of one protected bit, and of having a decoder in every bank."""
    free = [e.name for e in menu.entries[1:] if e.code is None]
    if free:
        raise ValueError(
            f"an {kind} budget cannot price {', '.join(free)}: no hardware figures; use budget: {{bits: ..}}"
        )
    array, bits = study.array, subject.image.stored_bits
    bank = array_cost(
        max(bits / array.banks, float(array.word_bits)),
        array.word_bits,
        array.node_m,
        array_cell(study),
        array.periphery,
        cost_temperature_k(study),
    )
    per_bit, fixed = [0.0], [0.0]
    for item in menu.entries[1:]:
        assert item.code is not None  # entries without a code were refused above
        hardware = item.code.hardware(array.node_m)
        if kind == "area":
            per_bit.append(item.parity_per_bit * array.banks * bank.area_m2 / bits)
            fixed.append(array.banks * (hardware.encoder_area_m2 + hardware.decoder_area_m2))
        else:
            read_j = item.parity_per_bit * bank.read_energy_j / array.word_bits
            per_bit.append(read_j + hardware.decode_energy_j / item.code.k)
            fixed.append(0.0)
    return tac.Prices(tuple(per_bit), tuple(fixed), value, {"area": "m2", "energy": "J"}[kind])


def _plan(
    study: Study, subject: Subject, channel: FlipChannel, menu: tac.Menu, prices: tac.Prices
) -> tuple[ProtectionPlan, float | None]:
    """The plan, and the LP bound where the policy optimises the predicted distortion itself."""
    image, protection = subject.image, study.protection
    if protection.policy == "none":
        return ProtectionPlan.unprotected(image.tensor_starts, image.planes), None
    if protection.policy == "uniform":
        return tac.plan_uniform(image, channel, menu, prices), None
    kind = protection.group
    if protection.policy == "tac":
        damage = subject.damage(kind)
    else:
        damage = tac.damage_model(image, _importance(study, subject, channel), image.group_starts(kind))
    planned = tac.plan_by_damage(damage, channel, menu, prices, image=image, kind=kind, policy=protection.policy)
    return planned.plan, planned.lower_bound if protection.policy == "tac" else None


def _importance(study: Study, subject: Subject, channel: FlipChannel) -> NDArray[np.float64]:
    """What a baseline holds every weight to be worth."""
    policy = study.protection.policy
    if policy == "magnitude":
        return tac.magnitude_importance(subject.image)
    if policy == "random":
        return tac.random_importance(subject.image, study.protection.group, study.evaluate.seed)
    return measured_importance(subject, channel, study.evaluate.seed)
