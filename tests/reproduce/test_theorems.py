"""The joint-histogram statistics against plain ones; a wrong closed form is seen."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.faults import flip_bits
from qtaml_hw.reproduce.theorems import (
    OTHER_CODES,
    SEED,
    Case,
    case_rows,
    dominance_rows,
    gaussian_codes,
    sample,
    unbias_rows,
)
from qtaml_hw.tac import value_statistics


@pytest.mark.parametrize("direction", ["symmetric", "1to0", "0to1"])
@pytest.mark.parametrize("encoding", ["twos_complement", "offset_binary"])
@pytest.mark.parametrize("protected", [0, 2])
def test_every_theorem_holds(direction: str, encoding: str, protected: int) -> None:
    case = Case(encoding, direction, 0.1, protected)
    found = sample(case, gaussian_codes(case.form, 400_000, 1), map_index=3)
    rows = [*case_rows(found), *(unbias_rows(found) if protected == 0 else ())]
    assert all(row.verdict.startswith("holds") for row in rows), [row.verdict for row in rows]


@pytest.mark.parametrize("direction", ["symmetric", "1to0", "0to1"])
@pytest.mark.parametrize("code", OTHER_CODES)
def test_formats_without_significances_have_their_moments_too(direction: str, code: str) -> None:
    case = Case(code, direction, 0.1, 0)
    found = sample(case, gaussian_codes(case.form, 400_000, 1), map_index=3)
    rows = [*case_rows(found), *unbias_rows(found)]
    assert len(rows) == 4
    assert all(row.verdict.startswith("holds") for row in rows), [row.verdict for row in rows]


def test_the_histogram_is_what_plain_arithmetic_finds() -> None:
    case = Case("twos_complement", "1to0", 0.1, 0)
    codes = gaussian_codes(case.form, 50_000, 2)
    found = sample(case, codes, map_index=5)
    read = flip_bits(codes, case.channel.p01, case.channel.p10, seed=SEED, map_index=5)
    table = case.form.decode_table
    statistics = value_statistics(case.form, case.channel.p01, case.channel.p10)
    mean, variance = found.moments(table, statistics.mean, statistics.variance)
    assert mean.measured == pytest.approx(table[read].mean())
    assert variance.measured == pytest.approx(np.mean((table[read] - statistics.mean[codes]) ** 2))
    assert found.slope().measured == pytest.approx(np.polyfit(table[codes], table[read], 1)[0])


def test_a_wrong_closed_form_fails() -> None:
    case = Case("twos_complement", "symmetric", 0.1, 0)
    found = sample(case, gaussian_codes(case.form, 400_000, 1), map_index=3)
    wrong = value_statistics(case.form, case.channel.p01 * 1.02, case.channel.p10 * 1.02)
    _, variance = found.moments(case.form.decode_table, wrong.mean, wrong.variance)
    assert abs(variance.z) > 4
    assert variance.row("x").verdict.startswith("FAILS")


def test_the_top_plane_holds_three_quarters_of_the_variance() -> None:
    case = Case("twos_complement", "symmetric", 0.1, 0)
    rows = list(dominance_rows(sample(case, gaussian_codes(case.form, 400_000, 4), map_index=1)))
    assert [row.published for row in rows] == [pytest.approx(0.75, abs=1e-4), pytest.approx(0.9375, abs=1e-4)]
    assert all(row.verdict.startswith("holds") for row in rows)
