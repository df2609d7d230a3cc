"""Fault maps judged on some images: scores without bias, verdicts of chips that are those of all images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qtaml_hw.config import StudyError
from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import Looks, images_judged, whole_identity
from qtaml_hw.study.design.design import DesignPoint
from qtaml_hw.study.design.looking import check_looks, looked
from tests import studies

MAPS = 30
EDGE = {"cell.t_ox": "1.85 nm", "cell.sigma_t_ox_die": "1 %"}
EVALUATE = "{at: [20 us, 1 ms], images: 360}"


@pytest.fixture(scope="module")
def edge() -> DesignPoint:
    return studies.design(EDGE, evaluate=EVALUATE)


@pytest.fixture(scope="module")
def whole(edge: DesignPoint) -> list[Record]:
    return [edge.record(chip) for chip in range(MAPS)]


def at(records: list[Record], time: int) -> Any:
    return np.array([record[F.score_series][time][1] for record in records])


def test_a_few_images_give_the_score_without_bias(edge: DesignPoint, whole: list[Record]) -> None:
    """Map by map, at both times: the mean difference to all images lies within three of its standard errors."""
    some = [looked(edge, chip, Looks()) for chip in range(MAPS)]
    for time in (0, 1):
        apart = at(some, time) - at(whole, time)
        assert abs(apart.mean()) <= 3.0 * apart.std(ddof=1) / math.sqrt(MAPS)
        assert apart.std() > 0.0
    assert {record[F.judged_images] for record in some} == {2 * 32}
    assert images_judged(some) == MAPS * 2 * 32
    assert images_judged(whole) == MAPS * 2 * 360
    assert {whole_identity(record[F.identity]) for record in some} == {edge.identity}
    assert [record[F.flips_raw] for record in some] == [record[F.flips_raw] for record in whole]


def test_a_chip_told_without_error_is_told_by_all_images(edge: DesignPoint, whole: list[Record]) -> None:
    keep, clean = 0.95, float(edge.facts[F.clean_score])
    verdicts = [all(Yield.of([score], keep, clean).good for _, score in record[F.score_series]) for record in whole]
    last = [bool(Yield.of([record[F.score]], keep, clean).good) for record in whole]
    assert 0 < sum(last) < MAPS
    certain = [looked(edge, chip, Looks(keep, 0.0)) for chip in range(MAPS)]
    assert [record[F.keeps] for record in certain] == verdicts
    at_end = [looked(edge, chip, Looks(keep, 0.0, at_end=True)) for chip in range(MAPS)]
    assert [record[F.keeps] for record in at_end] == last
    called = [looked(edge, chip, Looks(keep)) for chip in range(MAPS)]
    assert all(record[F.keeps] for record, good in zip(called, verdicts, strict=True) if good)
    assert images_judged(called) < images_judged(certain) < images_judged(whole)


def test_images_of_a_map_are_its_own_and_always_the_same(edge: DesignPoint) -> None:
    assert looked(edge, 3, Looks()) == looked(edge, 3, Looks())
    clean = studies.design({"flips.law": "fixed", "flips.p": 0.0}, evaluate=EVALUATE)
    scores = [looked(clean, chip, Looks())[F.score] for chip in range(4)]
    assert scores == pytest.approx([clean.facts[F.quantised_score]] * 4, abs=0.04)


def test_small_test_sets_are_looked_at_whole() -> None:
    small = studies.design(EDGE, evaluate="{at: [1 ms], images: 30}")
    for chip in range(6):
        assert looked(small, chip, Looks())[F.score] == pytest.approx(small.record(chip)[F.score])


def test_what_counts_no_images_is_refused() -> None:
    """What the file tells is refused where it is read; the network alone tells it of a user's own metric."""
    check_looks(studies.study(), studies.NETWORKS)
    with pytest.raises(StudyError, match=r"evaluate\.verdicts: early counts images, and embedding_cosine"):
        check_looks(studies.study({"evaluate.metric": "embedding_cosine"}), studies.NETWORKS)
