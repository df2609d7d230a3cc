"""One layer at a time: what it is measured with, what it is predicted by, and what the figure holds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.config import Study
from qtaml_hw.records.interval import score_interval
from qtaml_hw.report.answers import write_layers
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.layers import layers
from qtaml_hw.verbs import run
from tests import studies

FIXED = {"flips.law": "fixed", "flips.p": 0.03, "evaluate.maps": {"min": 3, "max": 3}}


@pytest.fixture(scope="module")
def flipped(small: Study) -> Study:
    return small.with_(FIXED)


def test_a_layer_alone_is_that_tensor_of_every_fault_map(flipped: Study) -> None:
    found = layers(flipped)
    design = studies.design(FIXED)
    clean = design.image.decode()
    maps = [design.cell.live(design.chip, flipped.evaluate.seed, index).read_out[-1] for index in range(3)]
    assert {row["name"] for row in found["layers"]} == set(design.image.names)
    for row in found["layers"]:
        tensor = design.image.tensors[design.image.names.index(row["name"])]
        codes = [read[design.image.names.index(row["name"])] for read in maps]
        faulty = [tensor.decode(c, design.image.format.decode_table) for c in codes]
        scores = [design.network.score({**clean, row["name"]: weights}) for weights in faulty]
        expected = score_interval(scores)
        assert (row["score_mean"], row["ci95_low"], row["ci95_high"]) == (expected.mean, expected.low, expected.high)
        flips = [np.bitwise_xor(c, tensor.codes) for c in codes]
        assert row["flips"] == pytest.approx(np.mean([np.unpackbits(f).sum() for f in flips]))
        assert row["harm"] == pytest.approx(found["quantised_accuracy"] - expected.mean)


def test_layers_together_are_a_run_and_their_predictions_add_up(flipped: Study) -> None:
    found, whole = layers(flipped), run(flipped)
    assert found["together"]["score_mean"] == pytest.approx(whole.accuracy.mean)
    assert sum(row["predicted"] for row in found["layers"]) == pytest.approx(whole.predicted_distortion)
    harms = [row["harm"] for row in found["layers"]]
    assert harms == sorted(harms, reverse=True)


def test_channel_groups_are_added_up_by_layer(flipped: Study, networks: Networks) -> None:
    menu = {"protection.menu": ["secded-72-64"], "protection.budget.bits": "20 %", "protection.policy": "tac"}
    by_channel = layers(flipped.with_({**menu, "protection.group": "channel"}))
    whole = studies.design({**FIXED, **menu, "protection.group": "channel"})
    assert sum(r["predicted"] for r in by_channel["layers"]) == pytest.approx(whole.protection.predicted_distortion)


def test_without_flips_nothing_is_lost_and_little_is_left_open(small: Study) -> None:
    found = layers(small.with_({**FIXED, "flips.p": 0.0}))
    for row in found["layers"]:
        assert (row["harm"], row["flips"], row["predicted"]) == (0.0, 0.0, 0.0)
        assert row["ci95_low"] == row["ci95_high"] == found["quantised_accuracy"]


def test_the_figure_holds_every_number(flipped: Study, tmp_path: Path) -> None:
    found = layers(flipped)
    written = write_layers(tmp_path, found)
    assert [path.name for path in written] == ["layers.json", "layers.png", "layers.svg", "layers.csv"]
    rows = list(csv.DictReader((tmp_path / "figures" / "layers.csv").open(encoding="utf-8")))
    assert [row["name"] for row in rows] == [row["name"] for row in found["layers"]]
    assert float(rows[0]["predicted"]) == pytest.approx(found["layers"][0]["predicted"])
