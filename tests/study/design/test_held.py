"""Studies with buffers: what is read without a flip, whose flips count, what protects, what refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qtaml_hw.activations import Held, Same
from qtaml_hw.arrays import Float64
from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import MapKey
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.buffers.placed import path_of, runs_of
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks
from tests.studies import design, study
from tests.workloads.tiny_llama import hugging_face


def buffers(p: str = "2 %", **more: str) -> str:
    own = "".join(f", {name}: {value}" for name, value in ({"protection": "{policy: none}"} | more).items())
    return f"[{{name: features, contents: activations, flips: {{law: fixed, p: {p}}}{own}}}]"


def held(p: str = "2 %", faulty: str = "[weights, buffers]", **more: str) -> DesignPoint:
    evaluate = f"{{at: [1 ms], images: 60, maps: {{min: 2, max: 2}}, faulty: {faulty}}}"
    return design(flips="{law: fixed, p: 1 %}", buffers=buffers(p, **more), evaluate=evaluate)


def test_without_a_flip_the_network_is_the_quantised_one_exactly() -> None:
    quiet = design(flips="{law: fixed, p: 0}", buffers=buffers("0"))
    record = quiet.record(0)
    assert record[F.score] == record[F.quantised_score]
    kept = quiet.buffers.memories[0].kept
    with torch.inference_mode(), Held(kept).hooked(quiet.network.served.module):
        by_hand = quiet.network.served.outputs(quiet.image.decode(), quiet.network.inputs)
    with quiet.buffers.reading(0):
        np.testing.assert_array_equal(quiet.network.served.outputs(quiet.image.decode(), quiet.network.inputs), by_hand)


def test_flips_of_each_memory_alone_and_of_both() -> None:
    found = {name: held(faulty=name).record(0) for name in ("weights", "buffers", "[weights, buffers.features]")}
    both = found["[weights, buffers.features]"]
    assert both[F.faulty] == ["features", "weights"]
    assert both[F.score] < min(found["weights"][F.score], found["buffers"][F.score])
    assert found["weights"][F.buffer_flips]["features"]["raw"] == 0
    assert found["weights"][F.flips_raw] == both[F.flips_raw] > 0
    for name in ("flips_raw", "flips_parity", "flips_residual", "words_corrected", "words_uncorrectable"):
        assert (found["buffers"][name], found["buffers"][f"{name}_series"]) == (0, [0]), name
    raw = found["buffers"][F.buffer_flips]["features"]["raw"]
    assert raw == both[F.buffer_flips]["features"]["raw"]
    wrong = np.array(found["buffers"][F.buffer_wrong]["features"])
    assert wrong.shape == (4, 8)
    assert wrong.sum() == raw == found["buffers"][F.buffer_flips]["features"]["left"]
    assert raw % 60 == 0  # the same cells for every image


def within_5_sigma(counted: Float64, trials: Float64, p: Float64) -> None:
    np.testing.assert_array_less(np.abs(counted - trials * p), 5.0 * np.sqrt(trials * p * (1.0 - p)) + 1e-9)


def test_rates_meet_the_closed_form_in_every_layer_and_plane() -> None:
    """Over 60 chips: cells of two kinds by plane, of values that live as long as the schedule says."""
    same = "preset: gain-cell-65nm, temperature: 85 degC, sigma_t_ox_die: 0 %"
    low, high = (
        f"{{planes: {planes}, {same}, t_ox: {t} nm}}" for planes, t in (([0, 1, 2, 3], 1.65), ([4, 5, 6, 7], 1.7))
    )
    own = f"contents: activations, batch: 2, cell: [{low}, {high}], refresh: off, protection: {{policy: none}}"
    point = design(buffers=f"[{{name: a, {own}}}]")
    (memory,) = point.buffers.memories
    p = np.stack([one.at()[1].max(axis=0) for one in memory.placed.rates()])
    found, numbers = np.zeros_like(p), np.array([[float(one.tap.values)] for one in memory.kept])
    for chip in range(60):
        for v, one in enumerate(memory.struck(MapKey(0, chip))):
            assert one.faults is None or isinstance(one.faults, Same)
            down = () if one.faults is None else one.faults.down[: one.tap.values]
            found[v] += [sum(int(bits) >> plane & 1 for bits in down) for plane in range(8)]
    assert (p[:, :4].min(axis=1) > 5.0 * p[:, 4:].max(axis=1)).all()
    assert len({*p[:, 0]}) > 1
    within_5_sigma(found, 60.0 * np.broadcast_to(numbers, p.shape), p)


def test_passes_read_the_rate_in_every_layer_and_plane() -> None:
    """A weak cell that flips either way is wrong for every image: counts are whole images, of a binomial of cells."""
    point = held("3 %", faulty="buffers")
    images, chips, wrong = 3, 40, np.zeros((4, 8))
    for chip in range(chips):
        with point.buffers.reading(chip) as passes:
            point.network.served.outputs(point.image.decode(), point.network.inputs[:images])
        wrong += point.buffers.measured(passes)[F.buffer_wrong]["features"]
    numbers = np.array([[float(one.tap.values)] for one in point.buffers.memories[0].kept])
    assert not (wrong % images).any()
    within_5_sigma(wrong / images, chips * np.broadcast_to(numbers, (4, 8)), np.full((4, 8), 0.03))


def test_top_planes_kept_by_a_code_and_by_a_bound() -> None:
    bare = held(faulty="buffers").record(0)
    bound = held(faulty="buffers", protection="{policy: uniform, planes: 3, menu: [ideal]}").record(0)
    coded = held(faulty="buffers", protection="{policy: uniform, planes: 3, menu: [secded-13-8]}").record(0)
    zeroed = held(
        faulty="buffers",
        protection="{policy: uniform, planes: 3, menu: [secded-13-8]}",
        array="{on_uncorrectable: zero}",
    ).record(0)[F.buffer_flips]["features"]
    assert bare[F.score] < bound[F.score]
    tally = coded[F.buffer_flips]["features"]
    assert 0 < tally["left"] < tally["raw"]
    assert tally["corrected"] > 0 < tally["parity"]
    assert [zeroed[name] for name in ("raw", "flagged")] == [tally[name] for name in ("raw", "flagged")]
    assert zeroed["left"] > tally["left"]  # a zero differs from what was written in more bits than an error
    assert bound[F.buffers][0]["protected_planes"] == [3, 3, 3, 3]
    assert coded[F.buffers][0]["parity_bits_fraction"] == pytest.approx(3 / 8 * 5 / 8, rel=0.02)


def test_two_codes_on_one_value_have_numbers_of_their_own() -> None:
    (memory,) = held(protection="{policy: uniform, planes: 2, menu: [secded-13-8]}", refresh="off").buffers.memories
    choice = np.zeros_like(memory.plan.choice)
    choice[:, 7], choice[:, 6] = 1, 2
    plan = replace(memory.plan, menu=("none", "secded-13-8", "secded-22-16"), choice=choice)
    both = replace(memory, placed=memory.placed.protected(plan)).struck(MapKey(7))
    assert [[(word.number, word.planes, word.code.k) for word in one.guards] for one in both] == [
        [(0, 128, 8), (1, 64, 16)]
    ] * 4


def test_the_budget_goes_where_flips_do_most_damage() -> None:
    tac = held(faulty="buffers", protection="{policy: tac, menu: [ideal], budget: {bits: 20 %}}")
    plan = tac.buffers.memories[0].plan
    assert 0.15 < plan.protected_bits / plan.stored_bits <= 0.2
    assert plan.choice[:, 7].all()
    assert not plan.choice[:, :4].any()


def test_values_age_by_the_schedule_and_no_longer_than_an_interval() -> None:
    cells = "{preset: gain-cell-65nm, t_ox: 1.8 nm, temperature: 85 degC, sigma_t_ox_die: 0 %}"
    own = "[{{name: a, contents: [conv1, fc1], lifetime: {}, cell: {}, refresh: {}, protection: {{policy: none}}}}]"
    off, on = (design(buffers=own.format("30 us", cells, refresh)) for refresh in ("off", "10 us"))
    longer, shorter = (one.buffers.memories[0].placed.rates()[0].p[1].max() for one in (off, on))
    assert longer > shorter > 0.0
    assert shorter == pytest.approx(off.cell.population.flip_probability(10e-6), rel=1e-9)  # type: ignore[union-attr]
    record = off.record(1)
    raw = record[F.buffer_flips]["a"]["raw"]
    assert raw > 0
    assert record[F.buffers][0]["values"] == ["conv1.output", "fc1.output"]


def test_a_buffer_lies_on_the_die_of_its_chip() -> None:
    """Flips of every chip within 5 sigma of what the cells of its die lose over the lifetime; dies differ."""
    cells = "{preset: gain-cell-65nm, t_ox: 1.8 nm, temperature: 85 degC, sigma_t_ox_die: 3 %}"
    own = f"[{{name: a, contents: conv1, lifetime: 3 us, cell: {cells}, refresh: off, protection: {{policy: none}}}}]"
    (memory,) = design(buffers=own).buffers.memories
    found = []
    for map_index in range(4):
        (faults,) = (one.faults for one in memory.struck(MapKey(0, map_index)))
        assert faults is None or isinstance(faults, Same)  # None: no cell of this chip is weak
        model = memory.placed.cell.of_chip(0, map_index).of_class(0).model
        p = float(np.max(model.flip_probability(3e-6)))  # type: ignore[union-attr]
        flips = 0 if faults is None else int(np.bitwise_count(faults.down).sum())
        bits = 8 * memory.kept[0].tap.values
        assert abs(flips - p * bits) < 5 * np.sqrt(bits * p * (1 - p))
        found.append(p)
    assert max(found) > 2.0 * min(found)


def test_what_no_later_layer_reads_is_there_while_its_own_layer_runs() -> None:
    """The network's answer, and what only an activation function reads; a layer's calls are told apart."""
    own = "[{name: a, contents: [conv1, conv2, fc3], protection: {policy: none}}]"
    found = design(buffers=own)
    layers = {path_of(one): one.cycles for one in found.network.layers(found.study.accelerator)}
    lives = [place.value.lifetimes_s[0] for place in found.buffers.memories[0].placed.allocation.places]
    clock_hz = found.study.accelerator.clock_hz
    assert lives == pytest.approx([layers[name] / clock_hz for name in ("conv1", "conv2", "fc3")])
    first = found.network.layers(found.study.accelerator)[0]
    twice = [first, replace(first, name=f"{first.name}#2")]
    assert runs_of(twice, ["conv1#2"]) == ["conv1", "conv1#2"]
    assert runs_of(twice, ["conv1"]) == ["conv1", "conv1"]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("[{name: a, contents: conv9}]", "buffer a: no module 'conv9'"),
        ("[{name: a, contents: kv}]", "buffer a: the network has no kv"),
    ],
)
def test_what_a_buffer_cannot_hold_is_said(written: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        design(buffers=written)


def test_memories_that_are_not_there_and_protection_that_there_is_not() -> None:
    with pytest.raises(StudyError, match=r"evaluate\.faulty: unknown memory 'buffers.kv'.*features"):
        held(faulty="buffers.kv")
    for protection, complaint in (
        ("{policy: magnitude}", "none, uniform, tac"),
        ("{policy: uniform, planes: 1, menu: [robust-cell]}", "robust-cell"),
        ("{policy: tac, budget: {area: 0.1 mm2}, menu: [ideal]}", "no price for ideal"),
    ):
        with pytest.raises(InputError, match=complaint):
            held(protection=protection)


def test_studies_without_buffers_are_what_they_were() -> None:
    assert "faulty" not in study().resolved()["evaluate"]
    assert not {F.buffers, F.buffer_flips, F.faulty} & design().record(0).keys()


def test_a_record_prices_a_buffer_whose_values_share_cells() -> None:
    """Four values of LeNet one after another: fewer words than numbers, and no refresh where all die in time."""
    found = {}
    for rule in ("always", "outlived"):
        own = f"[{{name: a, contents: activations, refresh: 200 us, refreshed: {rule}, protection: {{policy: none}}}}]"
        record = design(buffers=own).record(0)
        (found[rule],) = record[F.buffers]
    a, b = found["always"], found["outlived"]
    assert max(a["numbers"]) <= a["words_used"] < sum(a["numbers"])
    assert (a["refresh_saved"], b["refresh_saved"]) == (0.0, 1.0)
    assert b["energy_j"] == pytest.approx(a["energy_j"] - a["refresh_j"])
    assert a["area_m2"] > 0.0
    assert a["p10"] == b["p10"]


def test_keys_and_values_alone_flip_under_the_perplexity_of_a_language_model(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="language models need transformers")
    hugging_face(tmp_path)
    text = """study: kv
flips: {law: fixed, p: 0.05}
refresh: off
protection: {policy: none, correction: none}
network: {folder: FOLDER}
data: {texts: dataset-descriptions, tokens: 12, stride: 12, calibration: 2, take: spread}
accelerator: {inferences_per_second: 1}
buffers: [{name: kv, contents: kv, format: int8, scale: per_token, protection: {policy: none}}]
evaluate: {metric: perplexity, images: 6, maps: {min: 2, max: 2}, faulty: [FAULTY]}
"""
    found = {}
    for memories in ("buffers", "weights", "weights, buffers"):
        given = text.replace("FOLDER", str(tmp_path)).replace("FAULTY", memories)
        found[memories] = prepare(parse_study(given, name=str(tmp_path / "kv.yaml")), Networks()).record(0)
    scores = {name: record[F.score] for name, record in found.items()}
    assert all(0.0 < score <= 1.0 for score in scores.values())
    assert len({*scores.values(), found["buffers"][F.quantised_score]}) == 4
    assert found["buffers"][F.buffer_flips]["kv"]["raw"] > 0 == found["weights"][F.buffer_flips]["kv"]["raw"]
    cells = "tokens_per_second: 1e5, cell: {preset: gain-cell-65nm, t_ox: 1.8 nm, temperature: 85 degC}, refresh: off"
    given = text.replace("FOLDER", str(tmp_path)).replace("FAULTY", "buffers").replace("scale: per_token", cells)
    aged = prepare(parse_study(given, name=str(tmp_path / "kv.yaml")), Networks())
    kept = aged.buffers.memories[0].struck(MapKey(aged.study.evaluate.seed, 0))
    assert all(one.tap.grows and one.faults is not None and one.faults.grows for one in kept)
    assert aged.record(0)[F.buffer_flips]["kv"]["raw"] > 0
