"""One budget for the weights and a buffer, as a study states it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.buffers.planned import shares_budget
from qtaml_hw.study.design.design import DesignPoint
from qtaml_hw.study.questions.allocation import allocate
from tests.studies import design, study

PROTECTION = "{policy: tac, correction: none, menu: [secded-13-8], budget: %s}"


def buffers(p: str, **more: str) -> str:
    own = {"protection": "{policy: tac, menu: [secded-13-8], budget: shared}"} | more
    written = "".join(f", {name}: {value}" for name, value in own.items())
    return f"[{{name: features, contents: activations, flips: {{law: fixed, p: {p}}}{written}}}]"


@cache
def shared(budget: str, p: str = "0.5 %", **more: str) -> DesignPoint:
    protection = PROTECTION % budget
    return design(flips="{law: fixed, p: 1 %}", protection=protection, buffers=buffers(p, **more))


@pytest.mark.parametrize(
    ("budget", "field", "most"), [("{area: 0.01 mm2}", "area_m2", 1e-8), ("{energy: 3 nJ}", "energy_j", 3e-9)]
)
def test_what_both_memories_add_is_within_the_budget(budget: str, field: str, most: float) -> None:
    """By the one cost function of records: less what the study without protection says."""
    point = shared(budget)
    record, split = point.record(0), point.facts[F.budget_split]
    bare = design(flips="{law: fixed, p: 1 %}", buffers=buffers("0.5 %", protection="{policy: none}")).record(0)
    of_weights = {"area_m2": F.area_m2, "energy_j": F.energy_per_inference_j}[field]
    added = {
        "weights": record[of_weights] - bare[of_weights],
        "features": record[F.buffers][0][field] - bare[F.buffers][0][field],
    }
    for memory, value in added.items():
        assert split[memory][field] == pytest.approx(value, rel=1e-9)
        assert value > 0.0
    assert 0.7 * most < sum(added.values()) <= most * (1.0 + 1e-9)
    assert sum(one["spent"] for one in split.values()) == pytest.approx(sum(added.values()))


def test_a_share_of_bits_is_of_all_that_is_stored_and_of_every_inference_of_a_batch() -> None:
    for batch in (1, 3):
        point = shared("{bits: 10 %}", batch=str(batch))
        weights, values = point.protection.plan, point.buffers.memories[0].plan
        spent = weights.protected_bits + batch * values.protected_bits
        limit = 0.1 * (weights.stored_bits + batch * values.stored_bits)
        assert 0.99 * limit < spent <= limit
        assert {name: one["spent"] for name, one in point.facts[F.budget_split].items()} == {
            "weights": weights.protected_bits, "features": batch * values.protected_bits,
        }  # fmt: skip


def test_no_bit_moved_from_one_memory_to_the_other_would_serve_better() -> None:
    """Water-filling by layer and plane: the optimum against a sweep of splits, each spent by its memory alone."""
    point = shared("{bits: 10 %}")
    found, alone = point.facts, point.buffers.memories[0].share
    assert alone is not None
    left = sum(one["predicted_distortion"] for one in found[F.budget_split].values())
    weights, values = found[F.stored_bits], 8 * sum(found[F.buffers][0]["numbers"])
    total = 0.1 * (weights + values)
    for part in (0.1, 0.4, 0.6):
        own = f"{{policy: tac, menu: [secded-13-8], budget: {{bits: {part}}}}}"
        beside = f"{{bits: {(total - part * values) / weights}}}"
        split = design(
            flips="{law: fixed, p: 1 %}", protection=PROTECTION % beside, buffers=buffers("0.5 %", protection=own)
        )
        (memory,) = split.buffers.memories
        assert split.protection.optimum is not None
        other = split.protection.optimum.predicted_distortion + alone.left(memory.plan)
        assert left <= other * (1.0 + 1e-9), part


def test_a_buffer_that_loses_nothing_leaves_the_weights_their_plan() -> None:
    alone = design(flips="{law: fixed, p: 1 %}", protection=PROTECTION % "{area: 0.01 mm2}")
    point = shared("{area: 0.01 mm2}", p="0")
    np.testing.assert_array_equal(point.protection.plan.choice, alone.protection.plan.choice)
    assert point.buffers.memories[0].plan.protected_bits == 0
    assert F.budget_split not in alone.facts


def test_a_wanted_distortion_and_the_fisher_score_are_of_both() -> None:
    found = shared("{distortion: 10 %}").facts[F.budget_split]
    bare = shared("{bits: 0 %}").facts[F.budget_split]
    left, before = (sum(one["predicted_distortion"] for one in split.values()) for split in (found, bare))
    assert 0.0 < left <= 0.1 * before * (1.0 + 1e-9)
    fisher = design(
        flips="{law: fixed, p: 1 %}",
        protection=PROTECTION % "{bits: 10 %}, score: fisher",
        buffers=buffers("0.5 %"),
    )
    assert fisher.buffers.memories[0].plan.protected_bits > 0


def test_allocate_says_the_same_plan() -> None:
    written = study(flips="{law: fixed, p: 1 %}", protection=PROTECTION % "{bits: 10 %}", buffers=buffers("0.5 %"))
    plan = allocate(written, predict=False).plan
    np.testing.assert_array_equal(plan.choice, shared("{bits: 10 %}").protection.plan.choice)
    told = allocate(written).as_dict()
    assert told["protected_bits_fraction"] == plan.protected_bits_fraction
    assert "predictions are of weights alone" in str(told)


@pytest.mark.parametrize(
    ("own", "weights", "place", "words"),
    [
        ("{policy: uniform, budget: shared}", "{policy: tac}", "buffers[0].protection.policy", "write 'policy: tac'"),
        ("{policy: tac, budget: shared}", "{policy: uniform}", "buffers[0].protection.budget", "theirs is uniform"),
        (
            "{policy: tac, budget: {shared: true}}",
            "{policy: tac, score: magnitude}",
            "buffers[0].protection.budget",
            "theirs is score magnitude",
        ),
        ("{policy: none}", "{policy: tac, budget: shared}", "f:3:", "they state it"),
        ("{policy: tac, budget: {shared: true, bits: 5 %}}", "{policy: tac}", "buffers[0].protection.budget", "one of"),
        ("{policy: tac, budget: shred}", "{policy: tac}", "buffers[0].protection.budget", "got 'shred'"),
    ],
)
def test_budgets_that_cannot_be_shared_are_refused_where_they_stand(
    own: str, weights: str, place: str, words: str
) -> None:
    text = f"study: a\ncell: {{preset: gain-cell-65nm}}\nprotection: {weights}\n"
    with pytest.raises(StudyError) as caught:
        parse_study(f"{text}buffers:\n  - {{name: b, contents: activations, protection: {own}}}\n", name="f")
    assert len(caught.value.errors) == 1, caught.value
    assert place in str(caught.value)
    assert words in str(caught.value)


def test_a_shared_budget_is_part_of_the_identity_and_gives_way_to_another() -> None:
    text = f"study: a\ncell: {{preset: gain-cell-65nm}}\nprotection: {{policy: tac}}\nbuffers: {buffers('1 %')}\n"
    one = parse_study(text)
    other = one.with_({"buffers.0.protection.budget.bits": "5 %"})
    assert (shares_budget(one), shares_budget(other)) == (True, False)
    assert one.identity() != other.identity()
    assert other.with_({"buffers.0.protection.budget": "shared"}).identity() == one.identity()
