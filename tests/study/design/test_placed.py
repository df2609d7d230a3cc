"""Buffers of a study with the values of a small network in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw import device, memory
from qtaml_hw.accelerator.topology import Product, costs_of
from qtaml_hw.config import Study, parse_study
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.faults import MapKey
from qtaml_hw.memory.buffers import Produced
from qtaml_hw.protection import entry
from qtaml_hw.study.design.buffers.placed import Placed
from qtaml_hw.study.design.protection.price import codecs_of

LAYERS = costs_of(
    (Product("a", 64, 32, 32), Product("b", 4096, 32, 32), Product("c", 4096, 32, 32)), 32, 32, "weight_stationary"
)
MADE = (
    Produced("x", 2048, "a", "b", "b"),
    Produced("y", 131_072, "b", "c", "c"),
    Produced("k", 512, "a", "c", "c", tokens=8),
)
HEAD = """study: a
cell: {preset: gain-cell-65nm}
accelerator: {clock: 500 MHz, inferences_per_second: 1000}
buffers:
  - {name: act, contents: activations, cell: {preset: gain-cell-65nm, t_ox: 2 nm}, REST}
"""


def placed(rest: str = "refresh: 4 us", made: tuple[Produced, ...] = MADE) -> tuple[Study, Placed]:
    study = parse_study(HEAD.replace("REST", rest))
    return study, Placed.of(study.beside[0], 0, made, LAYERS, study)


def test_probabilities_are_those_of_the_cell_at_the_age_of_the_value() -> None:
    study, found = placed("refresh: 4 us", MADE[:2])
    population = device.population(build_cell(study.beside[0].study))
    assert isinstance(population, device.RetentionPopulation)
    for place, (up, down) in zip(found.allocation.places, (one.at() for one in found.rates()), strict=True):
        age_s = float(place.value.lifetimes_s[0])
        wanted = float(population.flip_probability(min(age_s, 4e-6)))
        assert not up.any()
        assert down == pytest.approx(np.full((1, 8), wanted), rel=1e-12)
    life = [place.value.lifetimes_s[0] for place in found.allocation.places]
    assert life == pytest.approx([layer.cycles / 500e6 for layer in LAYERS[1:]])


def test_planes_and_tokens_have_their_own_intervals() -> None:
    lists = (
        "contents: [kv], format: float16, tokens_per_second: 1e5, array: {placement: plane_separated, "
        "plane_class: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]}, refresh: {interval: [20 us, 5 us]}, "
        "tokens: {score: age, relaxed: [{share: 50 %, interval: [off, 30 us]}]}"
    )
    study, found = _kv(lists)
    population = device.population(build_cell(study.beside[0].study))
    assert isinstance(population, device.RetentionPopulation)
    _, down = found.rates()[0].at()
    ages_s = np.arange(8, 0, -1) * 1e-5
    low = np.where(np.arange(8) < 4, ages_s, np.minimum(ages_s, 20e-6))
    high = np.minimum(ages_s, np.where(np.arange(8) < 4, 30e-6, 5e-6))
    assert down[:, 0] == pytest.approx(population.flip_probability(low))
    assert down[:, 15] == pytest.approx(population.flip_probability(high))


def _kv(rest: str) -> tuple[Study, Placed]:
    study = parse_study(HEAD.replace("contents: activations, ", "").replace("REST", rest))
    return study, Placed.of(study.beside[0], 0, MADE[2:], LAYERS, study)


def test_masks_are_nested_over_refresh_and_replayed() -> None:
    slow, fast = placed("refresh: off")[1], placed("refresh: 4 us")[1]
    draw = MapKey(1, 5)
    many, few = slow.masks(draw, slow.rates()), fast.masks(draw, fast.rates())
    again = slow.masks(draw, slow.rates())
    assert sum(int(np.bitwise_count(pair[1]).sum()) for pair in few if pair) > 0
    for a, b, c in zip(many, few, again, strict=True):
        assert a is not None
        assert b is not None
        assert c is not None
        assert not (b[1] & ~a[1]).any()
        assert np.array_equal(a[1], c[1])


def test_a_buffer_too_small_without_a_store_behind_is_refused() -> None:
    with pytest.raises(ValueError, match="y takes 131072 words of 8 bit and the buffer of 16384 words"):
        placed("refresh: 4 us, array: {capacity: 131072 bit}")
    _, found = placed("refresh: 4 us, array: {capacity: 131072 bit, backing: {bandwidth: 10 GB/s}}")
    assert found.facts["spilled"] == ["y"]
    assert found.facts["backing_j"] == pytest.approx(2 * 131_072 * 8 * 30e-12)


def test_refresh_is_saved_where_values_die_in_time() -> None:
    rules = {rule: placed(f"refresh: 40 us, refreshed: {rule}", MADE[:2])[1].facts for rule in ("always", "outlived")}
    assert rules["always"]["refresh_saved"] == 0.0
    assert rules["outlived"]["refresh_saved"] == 1.0
    saved = rules["always"]["energy_j"] - rules["outlived"]["energy_j"]
    assert saved == pytest.approx(rules["always"]["refresh_j"])


def test_tokens_are_ranked_by_the_scores_that_are_handed_over_and_never_by_others() -> None:
    rest = "contents: [kv], tokens: {relaxed: [{share: 50 %, interval: off}]}, refresh: 5 us"
    with pytest.raises(ValueError, match=r"buffer act: tokens\.score: attention has no attention weights of k"):
        _kv(rest)
    study = parse_study(HEAD.replace("contents: activations, ", "").replace("REST", rest))
    paid = {"k": np.array([9.0, 1, 8, 2, 7, 3, 6, 0])}
    found = Placed.of(study.beside[0], 0, MADE[2:], LAYERS, study, paid)
    assert found.classes[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


def test_check_bits_and_codecs_are_priced_as_those_of_the_weights() -> None:
    """The same plan of the same sizes in an array of weights: area, and energy per number read, of its codecs."""
    found = placed("refresh: 4 us", MADE[:2])[1]
    choice = np.zeros((2, 8), dtype=np.uint8)
    choice[:, 7] = 1
    plan = replace(found.plan, menu=("none", "secded-72-64"), choice=choice)
    guarded = found.protected(plan)
    words = [2048 // 64, 131_072 // 64]
    assert [p.value.check_bits for p in guarded.allocation.places] == [8 * n for n in words]
    cost, bare = guarded.cost(), found.cost()
    schedule = memory.Schedule(horizon_s=1e-3, refresh_interval_s=4e-6)
    weights = codecs_of(memory.PlannedArray(plan, found.geometry, schedule), ("x", "y"))
    assert cost.codec_area_m2 == pytest.approx(weights.area_m2, rel=1e-12)
    hardware = entry("secded-72-64").code.hardware(found.geometry.node_m, found.geometry.v_dd_v)  # type: ignore[union-attr]
    dynamic = sum(words) * (hardware.decode_energy_j + hardware.encode_energy_j)
    assert cost.codec_j == pytest.approx(weights.leakage_w * 1e-3 + dynamic, rel=1e-9)
    assert bare.codec_area_m2 == bare.codec_j == 0.0
    assert cost.area_m2 > bare.area_m2 + cost.codec_area_m2
    np.testing.assert_array_equal(guarded.rates()[0].p, found.rates()[0].p)


def test_partitions_have_intervals_of_their_own_and_banks_where_they_ask_for_them() -> None:
    """x in half of the banks and refreshed at 1 us, k among the rest without refresh, y as the buffer says."""
    rest = (
        "contents: [kv], refresh: 4 us, array: {banks: 4, capacity: 512 KB}, partitions: "
        "[{holds: x, interval: 1 us, banks: 2}, {holds: 'k*', interval: off}]"
    )
    study = parse_study(HEAD.replace("contents: activations, ", "").replace("REST", rest))
    found = Placed.of(study.beside[0], 0, MADE, LAYERS, study)
    assert [place.address for place in found.allocation.places] == [0, 262_144 + 512, 262_144]
    population = device.population(build_cell(study.beside[0].study))
    assert isinstance(population, device.RetentionPopulation)
    ages_s = [place.value.lifetimes_s[0] for place in found.allocation.places]
    limits_s = (1e-6, 4e-6, np.inf)
    for rates, age_s, limit_s in zip(found.rates(), ages_s, limits_s, strict=True):
        assert rates.at()[1][0, 0] == pytest.approx(float(population.flip_probability(min(age_s, limit_s))))


@pytest.mark.parametrize(
    ("partitions", "complaint"),
    [
        ("[{holds: z, interval: 1 us}]", "buffer act: partitions: unknown value 'z'; allowed: x, y, k"),
        ("[{holds: x, interval: 1 us}, {holds: ['*'], interval: 2 us}]", "x is in two partitions; a value lies in one"),
        ("[{holds: x, interval: 1 us, banks: 9}]", "partitions take 9 banks, the array has 8"),
        ("[{holds: x, interval: 1 us, banks: 8}]", "take all 8 banks of the array, and y is in none"),
        ("[{holds: x, interval: [1 us, 2 us]}]", "2 intervals are given and the array has 1 row classes"),
    ],
)
def test_partitions_that_cannot_be_are_refused(partitions: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        placed(f"refresh: 4 us, partitions: {partitions}")[1].rates()
