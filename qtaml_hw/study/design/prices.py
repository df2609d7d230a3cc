"""What one protected bit costs under every entry of a study's menu, in the currency of its budget."""

from __future__ import annotations

from typing import Final

from qtaml_hw import tac
from qtaml_hw.config import Study
from qtaml_hw.memory import ArrayCost, ArrayGeometry
from qtaml_hw.protection import MenuEntry
from qtaml_hw.study.design.array import geometry_of
from qtaml_hw.weights.sizes import StoredSizes

DEFAULT_BITS_BUDGET = 0.05
_UNITS: Final = {"area": "m2", "energy": "J"}


def budget_of(study: Study, image: StoredSizes, menu: tac.Menu) -> tac.Budget:
    """The budget of a study as stated, and what it buys.

    Raises ValueError when an entry has no price in the currency.
    """
    protection = study.protection
    if not protection.row.spends:
        return tac.Budget(protection.policy, None, tac.bit_prices(menu, image, 0.0))
    if protection.planes is not None:
        share = min(protection.planes, image.planes) / image.planes
        return tac.Budget("planes", float(protection.planes), tac.bit_prices(menu, image, share))
    budget = protection.budget
    if budget is None:
        return tac.Budget("bits", DEFAULT_BITS_BUDGET, tac.bit_prices(menu, image, DEFAULT_BITS_BUDGET))
    if budget.kind != "distortion":
        return tac.Budget(budget.kind, budget.value, _in_currency(study, image, menu, budget.kind, budget.value))
    coded = all(e.parity_per_bit > 0.0 for e in menu.entries[1:])
    currency = budget.paid_in or ("parity" if coded else "bits")
    prices = _in_currency(study, image, menu, currency, 0.0).to_reach(budget.value)
    return tac.Budget(budget.kind, budget.value, prices)


def _in_currency(study: Study, image: StoredSizes, menu: tac.Menu, kind: str, value: float) -> tac.Prices:
    if kind == "bits":
        return tac.bit_prices(menu, image, value)
    if kind == "parity":
        return tac.parity_prices(menu, image, value)
    geometry = geometry_of(study)
    per_bit, fixed = [0.0], [0.0]
    for item in menu.entries[1:]:
        price = (_area if kind == "area" else _energy)(study, item, geometry, image.stored_bits)
        if price is None:
            other = {"area": "energy", "energy": "area"}[kind]
            priced = (other, "bits") if item.kind in ("cell", "refresh") else ("bits",)
            buys = study.protection.budget is not None and study.protection.budget.kind == "distortion"
            advice = " or ".join(f"paid_in: {name}" if buys else f"{{{name}: ..}}" for name in priced)
            raise ValueError(f"the {kind} model has no price for {item.name}; use {'' if buys else 'budget: '}{advice}")
        per_bit.append(price[0])
        fixed.append(price[1])
    return tac.Prices(tuple(per_bit), tuple(fixed), value, _UNITS[kind])


def _built_bits(geometry: ArrayGeometry, stored_bits: int) -> float:
    return float(geometry.capacity_bits or stored_bits)


def _area(study: Study, item: MenuEntry, geometry: ArrayGeometry, bits: int) -> tuple[float, float] | None:
    """m2 per protected bit: check cells, or larger cells; m2 of an encoder and a decoder in every bank.

    None for what takes no area: ideal protection is not buildable, faster refresh is paid in energy.
    """
    bank: ArrayCost = geometry.bank_cost(bits)
    cell_m2 = geometry.banks * bank.area_m2 / _built_bits(geometry, bits)
    if item.kind == "cell":
        return item.extra_area_per_bit * cell_m2, 0.0
    if item.code is None:
        return None
    hardware = item.code.hardware(study.array.node_m)
    codecs = study.array.banks * (hardware.encoder_area_m2 + hardware.decoder_area_m2)
    return item.parity_per_bit * cell_m2, codecs


def _energy(study: Study, item: MenuEntry, geometry: ArrayGeometry, bits: int) -> tuple[float, float] | None:
    """J per protected bit and inference: reading check bits and decoding, or the additional refreshes.

    None for what the energy model does not charge: ideal protection, and larger cells.
    """
    bank: ArrayCost = geometry.bank_cost(bits)
    if item.kind == "refresh":
        interval_s = study.refresh.shortest_s
        if interval_s is None:
            return None
        per_refresh_j = geometry.banks * bank.refresh_energy_j / _built_bits(geometry, bits)
        inferences = interval_s * study.accelerator.inferences_per_second
        return (item.refresh_factor - 1.0) * per_refresh_j / inferences, 0.0
    if item.code is None:
        return None
    read_j = item.parity_per_bit * bank.read_energy_j / study.array.word_bits
    hardware = item.code.hardware(study.array.node_m)
    return read_j + hardware.decode_energy_j / item.code.k, 0.0
