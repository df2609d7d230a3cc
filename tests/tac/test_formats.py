"""Any format: statistics against the full transition matrix, damage against brute force, planes bought by damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import flip_bits
from qtaml_hw.tac.decoding.statistics import codes_read, read_moments
from qtaml_hw.weights import FloatFormat, NumberFormat, StoredImage, WeightFormat, number_format, quantise

NAMES = ["int5", "e2m1", "e2m3", "e4m3", "power6", "binary"]
FORMS = [
    *(number_format(name) for name in NAMES),
    *(number_format("int8", encoding=e) for e in ("twos_complement", "offset_binary", "sign_magnitude", "gray")),
]
anything = st.integers(0, 2**32 - 1)


def channel(form: NumberFormat, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.0, 0.4, form.bits), rng.uniform(0.0, 0.4, form.bits)


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "a": (0.1 * rng.normal(size=(6, 2, 5, 5))).astype(np.float32),
        "b": (0.03 * rng.normal(size=(10, 96))).astype(np.float32),
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@settings(max_examples=15)
@given(seed=anything)
def test_moments_are_those_of_the_transition_matrix(form: NumberFormat, seed: int) -> None:
    p01, p10 = channel(form, seed)
    transition = tac.channel_matrix(p01, p10)
    found, table = tac.value_statistics(form, p01, p10), form.decode_table
    size = form.largest**2
    np.testing.assert_allclose(found.mean, transition @ table, atol=1e-12 * size)
    spread = (table[None, :] - (transition @ table)[:, None]) ** 2
    np.testing.assert_allclose(found.variance, (transition * spread).sum(axis=1), atol=1e-12 * size)
    by_plane = read_moments(table, p01, p10)
    np.testing.assert_allclose(by_plane.mean, found.mean, atol=1e-12 * size)
    np.testing.assert_allclose(by_plane.variance, found.variance, atol=1e-12 * size)
    share = np.random.default_rng(seed).uniform(size=table.size)
    np.testing.assert_allclose(codes_read(share, p01, p10), share @ transition, rtol=1e-12)


@pytest.mark.parametrize("name", ["int16", "float16"])
@pytest.mark.parametrize("direction", ["symmetric", "1to0"])
def test_sixteen_planes_against_the_engine(name: str, direction: str) -> None:
    """300,000 reads of one code each: mean within 4 standard errors, variance within 4 of its own."""
    form = number_format(name, encoding="gray") if name == "int16" else number_format(name)
    flips = FlipChannel.uniform(0.03, 16, direction=direction)
    found = tac.value_statistics(form, flips.p01, flips.p10)
    for i, code in enumerate(form.encode(np.array([0.01, -0.4, 0.9]) * min(form.largest, 4.0))):
        stored = np.full(300_000, code, dtype=np.uint16)
        read = form.decode_table[flip_bits(stored, flips.p01, flips.p10, seed=7, map_index=i)]
        mean, variance = found.mean[code], found.variance[code]
        assert abs(read.mean() - mean) < 4.0 * np.sqrt(variance / read.size)
        square = (read - mean) ** 2
        assert abs(square.mean() - variance) < 4.0 * square.std() / np.sqrt(read.size)


def test_a_rare_flip_keeps_its_variance() -> None:
    """p = 1e-14: the variance is p (change)^2, which a difference of second moments would lose."""
    form = number_format("e4m3")
    p = np.zeros(8)
    p[6] = 1e-14
    variance = tac.value_statistics(form, p, p).variance
    np.testing.assert_allclose(variance, 1e-14 * form.flip_damage[:, 6], rtol=1e-9)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_unbias_leaves_no_drift_and_the_table_the_least_error(form: NumberFormat) -> None:
    p01, p10 = (0.5 * p for p in channel(form, 3))
    histogram = np.exp(-0.5 * (6.0 * form.decode_table / form.largest) ** 2)
    left = {}
    for kind in tac.KINDS:
        bias, variance = tac.corrected_noise(form, p01, p10, tac.correction(kind, form, p01, p10, histogram).table)
        left[kind] = float(histogram @ (bias**2 + variance))
        if kind == "unbias":
            np.testing.assert_allclose(bias, 0.0, atol=1e-9 * form.largest)
    assert left["table"] <= min(left.values()) * (1 + 1e-12)
    assert left["shrink"] <= left["offset"] <= left["none"]
    joint = histogram[:, None] * tac.channel_matrix(p01, p10)
    bayes = (form.decode_table @ joint) / joint.sum(axis=0)
    found = tac.correction("table", form, p01, p10, histogram).table
    np.testing.assert_allclose(found, bayes, atol=1e-9 * form.largest)


@pytest.mark.parametrize("name", ["int8", "e4m3", "float16", "power8", "binary"])
def test_damage_is_what_single_flips_do(name: str) -> None:
    image = quantise(weights(), number_format(name), "per_channel" if name != "float16" else "per_tensor")
    importance = np.random.default_rng(1).uniform(size=image.weights)
    starts = image.group_starts("channel")
    found = tac.damage_model(image, importance, starts)
    table = image.format.decode_table
    for plane in (0, image.planes // 2, image.planes - 1):
        change, stored = [], []
        for t in image.tensors:
            flipped = t.codes ^ t.codes.dtype.type(1 << plane)
            scale = np.broadcast_to(t.weight_scale(), t.weights).astype(np.float64)
            change.append((scale * (table[flipped] - table[t.codes])) ** 2)
            stored.append((t.codes >> plane) & 1)
        hurt, one = importance * np.concatenate(change), np.concatenate(stored)
        ones, total = np.add.reduceat(hurt * one, starts[:-1]), np.add.reduceat(hurt, starts[:-1])
        np.testing.assert_allclose(found.ones[:, plane], ones, rtol=1e-12)
        np.testing.assert_allclose(found.zeros[:, plane], total - ones, rtol=1e-9, atol=1e-12 * total.max())


def planned(image: StoredImage, fraction: float, direction: str = "symmetric") -> np.ndarray:
    flips = FlipChannel.uniform(0.01, image.planes, direction=direction)
    damage = tac.damage_model(image, np.ones(image.weights), image.group_starts("layer"))
    menu = tac.Menu.of(("ideal",))
    prices = tac.bit_prices(menu, image, fraction)
    found = tac.plan_by_damage(damage, flips, menu, prices, image=image, kind="layer", policy="tac")
    return found.plan.choice != 0


@pytest.mark.parametrize(("name", "exponent"), [("bfloat16", range(7, 15)), ("float16", range(10, 15))])
def test_allocation_finds_that_exponent_bits_come_first(name: str, exponent: range) -> None:
    image = quantise({"a": weights()["a"]}, number_format(name))
    top = exponent[-1]
    one_plane = planned(image, 1.0 / 16.0 + 1e-9)
    assert one_plane[:, top].all()
    assert one_plane.sum() == 1
    most = planned(image, (len(exponent) + 1) / 16.0 + 1e-9)
    assert np.nonzero(most[0])[0].tolist() == [*exponent, 15]


def test_planes_are_ordered_by_damage() -> None:
    def order(form: NumberFormat) -> list[int]:
        return quantise(weights(), form).plane_order.tolist()

    assert order(number_format("int8")) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert order(number_format("int8", encoding="offset_binary")) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert order(number_format("int8", encoding="sign_magnitude")) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert order(number_format("bfloat16"))[0] == 14
    assert order(number_format("bfloat16"))[-7:] == [6, 5, 4, 3, 2, 1, 0]
    assert order(number_format("e2m1"))[-1] == 0
    brute = quantise(weights(), FloatFormat("e5m2"))
    scale = [np.full(t.weights, float(t.scale[0])) for t in brute.tensors]
    hurt = np.concatenate(scale)[:, None] ** 2 * brute.format.flip_damage[np.concatenate(brute.codes())]
    assert brute.plane_order.tolist() == np.argsort(-hurt.sum(axis=0), kind="stable").tolist()


@pytest.mark.parametrize("name", ["bfloat16", "e4m3"])
def test_uniform_buys_planes_in_that_order(name: str) -> None:
    image = quantise(weights(), number_format(name))
    flips, menu = FlipChannel.uniform(0.01, image.planes), tac.Menu.of(("ideal",))
    plan = tac.plan_uniform(image, flips, menu, tac.bit_prices(menu, image, 3 / image.planes))
    assert set(np.nonzero(plan.choice.any(axis=0))[0]) == set(image.plane_order[:3].tolist())
    assert plan.choice.sum() == 3 * len(image.tensors)


def test_the_chosen_correction_is_finite_where_flips_make_huge_weights() -> None:
    image = quantise(weights(), number_format("bfloat16"))
    flips, menu = FlipChannel.uniform(0.01, 16), tac.Menu.of(("ideal",))
    plan = tac.plan_uniform(image, flips, menu, tac.bit_prices(menu, image, 1 / 16))
    decoder = tac.Automatic(
        image,
        np.ones(image.weights),
        lambda w: np.stack([w["a"].reshape(-1)[:5], w["b"].reshape(-1)[:5]]).astype(np.float64),
    ).decoder(tac.ProtectedImage(image, plan, flips))
    assert "unbias" not in decoder.kinds
    assert all(np.all(np.isfinite(layer.tables)) for layer in decoder.layers)


def test_groups_of_the_damage_model_end_where_tensors_do() -> None:
    image = quantise({"a": np.ones((2, 3), np.float32), "b": np.ones((4, 2), np.float32)}, WeightFormat(4))
    with pytest.raises(ValueError, match="go on into the next"):
        tac.damage_model(image, np.ones(14), np.array([0, 5, 14]))
