"""A whole measurement on a tiny network: overheads, ratios, rho*, the store, the claims' verdicts, bad names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qtaml_hw import tac
from qtaml_hw.errors import InputError
from qtaml_hw.records.interval import Interval
from qtaml_hw.reproduce import reproduce
from qtaml_hw.reproduce.claims import overhead_row
from qtaml_hw.reproduce.paper import Effort, channel_of, measure, overhead_rows, range_verdict, search_on
from qtaml_hw.reproduce.paths import INTEGER, MAGNITUDE, TAC_LAYER, TAC_WORD, UNIFORM, PlanPath, Policy
from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.reproduce.trial import AccuracyStore, accuracy_store
from qtaml_hw.study.design.networks.network import StoredNetwork

SMALL = Effort(images=120, maps=3, per_octave=3, other_p=())


def test_overheads_keep_the_target_and_less_does_not(stored: StoredNetwork) -> None:
    search = search_on(stored, 0.1, SMALL, AccuracyStore())
    for policy in (UNIFORM, INTEGER, MAGNITUDE, TAC_LAYER, TAC_WORD):
        path = PlanPath(stored, search.trial.channel, policy)
        found = search.overheads(path)
        assert found is not None
        assert 0.0 < found.interval.low <= found.value <= found.interval.high <= 1.0
        below = search.accuracies(path, 0.7 * found.value).mean()
        above = search.accuracies(path, 1.3 * found.value).mean()  # two rungs: the crossing lies between plans
        assert above >= search.target - 0.01
        assert search.target > below - 0.02


def test_rows_say_what_was_measured(stored: StoredNetwork) -> None:
    found = measure(search_on(stored, 0.1, SMALL, AccuracyStore()), (UNIFORM, INTEGER, MAGNITUDE, TAC_LAYER, TAC_WORD))
    assert found is not None
    rows = overhead_rows(found)
    assert len(rows) == 5 + 2 * 3
    ratio = found.ratio(TAC_LAYER)
    assert ratio.mean == pytest.approx(found.overheads[UNIFORM.title].value / found.overheads[TAC_LAYER.title].value)
    assert any("rho* predicted" in row.verdict for row in rows)
    json.dumps(ReproductionResult("x", tuple(rows)).as_dict(), allow_nan=False)


def test_a_second_run_measures_nothing_again(stored: StoredNetwork, tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        with accuracy_store(tmp_path / "store") as kept:
            found = measure(search_on(stored, 0.1, SMALL, kept), (UNIFORM, TAC_LAYER))
            assert found is not None
            runs.append((found.overheads[TAC_LAYER.title].value, kept.measured))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] > 0
    assert runs[1][1] == 0


def test_real_codes_go_through_the_memory(stored: StoredNetwork) -> None:
    trial = search_on(stored, 0.005, SMALL, AccuracyStore()).trial
    path = PlanPath(stored, trial.channel, UNIFORM, tac.Menu.of(["bch-63-45"]))
    plan = path.plan(0.1)
    assert plan.parity_bits > 0
    assert path.overhead(plan) == plan.parity_bits_fraction
    assert 0.5 < trial.accuracy(plan, 0) <= 1.0


def test_the_aware_policy_uses_its_correction(stored: StoredNetwork) -> None:
    policy = Policy("aware", "channel", "aware", "steps")
    path = PlanPath(stored, channel_of(0.1, 8), policy)
    plan = path.plan(0.2)
    assert 0.1 < plan.protected_bits_fraction <= 0.2
    assert (plan.group_kind, plan.policy) == ("channel", "aware")


def test_operations_do_not_grow(stored: StoredNetwork) -> None:
    row = overhead_row(stored)
    assert row.ours == 1.0
    assert row.verdict.startswith("holds")


@pytest.mark.parametrize(
    ("mean", "low", "high", "word"),
    [
        (5.0, 4.0, 6.0, "reached"),
        (50.0, 40.0, 60.0, "above the claimed range"),
        (2.0, 1.5, 2.5, "NOT reached"),
        (4.0, 2.0, 8.0, "reached on average, interval reaches below"),
        (3.0, 2.0, 4.0, "not reached on average"),
    ],
)
def test_verdicts_use_the_interval(mean: float, low: float, high: float, word: str) -> None:
    assert range_verdict(Interval(mean, low, high, 3)) == word


def test_bad_names_and_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'theorems'"):
        reproduce("theorem")
    with pytest.raises(InputError, match="--data DIR"):
        reproduce("compact", True)
    with pytest.raises(InputError, match=r"lenet_cifar10.safetensors, which is not there"):
        reproduce("compact", True, data=tmp_path)


def test_infinities_are_null_in_json() -> None:
    row = Row("x", None, float("inf"), (0.0, float("inf")), "y").as_dict()
    assert row["ours"] is None
    assert row["ci95"] == [0.0, None]
