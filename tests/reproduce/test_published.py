"""Claims of published designs: the arithmetic by hand, verdicts from numbers, one design measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy.stats import norm

import qtaml_hw as q
from qtaml_hw.config.shipped import shipped
from qtaml_hw.errors import InputError
from qtaml_hw.reproduce.claimed import ARITHMETIC, Claim, Ours, arithmetic, claims, row_of, verdict_of
from qtaml_hw.reproduce.published import MEASURES


def found(design: str, measure: str) -> float:
    claim = next(one for one in claims() if (one.design, one.measure) == (design, measure))
    value = arithmetic(claim).value
    assert isinstance(value, float)
    return value


def test_every_design_is_a_study_with_a_claim_and_every_claim_has_a_measure_or_a_reason() -> None:
    assert {one.design for one in claims()} == set(shipped("published")) - {"bench"}  # which claims nothing
    for one in claims():
        assert bool(one.missing) != (one.measure in {*MEASURES, *ARITHMETIC}), one
        assert one.known_from.split(";")[0].split(" (")[0] in {
            "full text", "abstract", "code", "second hand", "recalled",
        }  # fmt: skip


def test_arithmetic_by_hand() -> None:
    assert found("kelle", "power") == pytest.approx(25.333, abs=1e-3)
    assert found("kelle", "area_per_bit") == pytest.approx(7.3 / (4 * 2**20 * 8) * 1e6, rel=1e-12)
    assert found("kelle", "harmonic_mean") == pytest.approx(1053.66, abs=0.01)
    assert found("msxfi", "normal_below_zero") == pytest.approx(39.35, abs=0.01)
    assert found("mcaimem", "cell_of_area") == pytest.approx(0.4514, abs=1e-4)
    assert found("hybrid_8t6t", "planes_of_area") == pytest.approx(2.2508, abs=1e-4)
    assert found("shield", "share") == 43.75
    x = 1 + 3.7 * norm.isf(3.7e-5)
    sigma2 = math.log(1 + 3.7**2)
    assert found("msxfi", "lognormal_twin") == pytest.approx(
        norm.sf((math.log(x) + sigma2 / 2) / math.sqrt(sigma2)), rel=1e-6
    )


@pytest.mark.parametrize(
    ("rule", "ours", "ci95", "word"),
    [
        ("number", 10.9, None, "holds"),
        ("number", 18.0, None, "same order"),
        ("number", 18.0, (9.0, 30.0), "holds"),
        ("number", 21.0, None, "not shown"),
        ("at least", 12.0, (10.5, 14.0), "holds"),
        ("at least", 12.0, (8.0, 14.0), "same order"),
        ("at least", 4.0, (3.0, 5.0), "not shown"),
        ("at most", 9.0, (8.0, 9.9), "holds"),
        ("at most", 15.0, (8.0, 19.0), "same order"),
        ("at most", 25.0, None, "not shown"),
    ],
)
def test_verdicts_follow_the_numbers(rule: str, ours: float, ci95: tuple[float, float] | None, word: str) -> None:
    claim = Claim("a", "b", 10.0, "code", rule=rule)  # type: ignore[arg-type]
    assert verdict_of(claim, Ours(ours, ci95)).startswith(f"{word}: ")


def test_an_order_holds_by_every_interval() -> None:
    claim = Claim("a", "b", "x > y", "code", rule="order")
    assert verdict_of(claim, Ours("", steps=((0.1, 0.05, 0.2),))).startswith("holds")
    assert verdict_of(claim, Ours("", steps=((0.1, 0.05, 0.2), (0.1, -0.05, 0.2)))).startswith("same order")
    assert verdict_of(claim, Ours("", steps=((0.1, 0.05, 0.2), (-0.1, -0.2, 0.2)))).startswith("not shown")


def test_what_contradicts_itself_is_said_so() -> None:
    (claim,) = (one for one in claims() if one.measure == "power")
    row = row_of(claim, arithmetic(claim)).as_dict()
    assert row.keys() >= {"design", "claim", "published", "ours", "ci95", "verdict", "known_from"}
    assert row["verdict"].startswith("not shown: contradicts itself, 25.33 beside at most 6.5")


def test_a_design_is_measured_and_its_page_written(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    few = ["evaluate.images=50", "evaluate.maps={min: 2, max: 2}"]
    result = q.reproduce("published", store=out, designs=["raidr"], overrides=few).as_dict()
    (row,) = result["rows"]
    assert row["design"] == "raidr"
    assert 0.0 < row["ours"] <= 75.0
    page = (out / "published.html").read_text(encoding="utf-8")
    assert "row refreshes saved" in page
    with pytest.raises(InputError, match="raidr"):
        q.reproduce("published", designs=["raidrr"])
    with pytest.raises(InputError, match="published"):
        q.reproduce("theorems", designs=["raidr"])
