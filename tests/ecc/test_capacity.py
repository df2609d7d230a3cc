"""Shannon's bound: the closed form against the capacity's definition, and as an entry of the menu."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import qtaml_hw as q
from qtaml_hw import ecc, protection
from qtaml_hw.channel import FlipChannel
from tests import studies


def entropy(p: float) -> float:
    return 0.0 if p in (0.0, 1.0) else float(-p * np.log2(p) - (1.0 - p) * np.log2(1.0 - p))


def mutual_information(ones: float, p01: float, p10: float) -> float:
    read = (1.0 - ones) * p01 + ones * (1.0 - p10)
    return entropy(read) - (1.0 - ones) * entropy(p01) - ones * entropy(p10)


@given(st.floats(0.0, 0.6), st.floats(0.0, 0.6))
def test_capacity_is_the_most_that_any_share_of_ones_carries(p01: float, p10: float) -> None:
    best = minimize_scalar(
        lambda ones: -mutual_information(ones, p01, p10), bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-10}
    )
    assert ecc.capacity(p01, p10) == pytest.approx(-best.fun, abs=2e-9)
    assert ecc.capacity(p01, p10) == pytest.approx(ecc.capacity(p10, p01), abs=1e-9)


def test_capacity_of_known_channels() -> None:
    assert ecc.capacity(0.0, 0.0) == 1.0
    assert ecc.capacity(0.11, 0.11) == pytest.approx(0.5, abs=1e-3)  # the textbook half
    assert ecc.capacity(0.0, 0.5) == pytest.approx(np.log2(1.25))  # the Z-channel at one half
    assert [round(ecc.parity_floor(p, p), 3) for p in (0.10, 0.05, 0.01)] == [0.883, 0.401, 0.088]
    with pytest.raises(ValueError, match="carries nothing"):
        ecc.parity_floor(0.5, 0.5)


@pytest.mark.parametrize("name", ["secded-72-64", "bch-63-45", "golay-24-12", "repeat-5"])
def test_codes_that_are_nearly_error_free_cost_more(name: str) -> None:
    code = ecc.code(name)
    ps = np.geomspace(1e-6, 0.1, 25)
    reached = [p for p in ps if code.residual(p).bit_error < 1e-9]
    assert reached
    assert all(code.parity_fraction > ecc.parity_floor(p, p) for p in reached)


def test_the_entry_has_the_price_of_the_channel_and_leaves_nothing() -> None:
    item = protection.entry_at("shannon", FlipChannel.uniform(0.1, 8))
    assert (item.name, item.kind) == ("shannon-0.1", "ideal")
    assert item.parity_per_bit == ecc.parity_floor(0.1, 0.1)
    assert item.residual_channel(0.1, 0.2) == (0.0, 0.0)
    down = protection.entry_at("shannon", FlipChannel.uniform(0.1, 8, direction="1to0"))
    assert down.name == "shannon-0-0.1"
    assert protection.entry(down.name).parity_per_bit == ecc.parity_floor(0.0, 0.1) < item.parity_per_bit
    assert protection.entry_at("shannon", FlipChannel.uniform(0.0, 8)).parity_per_bit == 0.0
    assert protection.entry_at("secded-72-64", FlipChannel.uniform(0.1, 8)).name == "secded-72-64"
    with pytest.raises(ValueError, match="shannon-P01-P10"):
        protection.entry("shannon")


def test_planes_that_differ_are_bounded_by_the_best_that_flips() -> None:
    p = np.array([0.1, 0.05, 0.0, 0.2])
    item = protection.entry_at("shannon", FlipChannel(p, p, "fixed", "test"))
    assert item.name == "shannon-0.05"


def test_check_bits_of_the_bound_are_rounded_up_per_tensor() -> None:
    plan = protection.ProtectionPlan.uniform_msb([0, 77, 130], 8, 3, "shannon-0.1")
    floor = ecc.parity_floor(0.1, 0.1)
    assert plan.parity_bits == np.ceil(3 * 77 * floor) + np.ceil(3 * 53 * floor)
    assert plan.protected_bits == 3 * 130
    assert protection.ProtectionPlan.from_json(plan.to_json()) == plan
    p01, p10 = plan.residual(FlipChannel.uniform(0.1, 8))
    assert not (p01[:, 5:] + p10[:, 5:]).any()
    assert np.all(p01[:, :5] == 0.1)


def test_a_study_pays_for_the_bound_and_says_that_it_is_one() -> None:
    changes = {"flips": {"law": "fixed", "p": 0.1}, "protection.policy": "uniform", "protection.planes": 2}
    bound = studies.design({**changes, "protection.menu": ["shannon"]})
    ideal = studies.design({**changes, "protection.menu": ["ideal"]})
    price = ecc.parity_floor(0.1, 0.1)
    assert bound.facts["menu"] == ["shannon-0.1"]
    paid = price * ideal.facts["protected_bits_fraction"]
    assert bound.facts["parity_bits_fraction"] == pytest.approx(paid, rel=1e-3)
    assert bound.facts["area_m2"] > ideal.facts["area_m2"]
    assert any("Shannon's bound" in text and "not buildable" in text for text in bound.facts["warnings"])


def test_the_table_prices_it_at_every_probability() -> None:
    rows = q.ecc_table(p=[0.01, 0.1], codes=["shannon"])
    assert [(r.code, r.p, r.residual_p) for r in rows] == [("shannon", 0.01, 0.0), ("shannon", 0.1, 0.0)]
    assert [r.parity_fraction for r in rows] == [ecc.parity_floor(p, p) for p in (0.01, 0.1)]
