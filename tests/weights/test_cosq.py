"""The quantiser made for a channel: its two conditions, its error against drawn flips, and a network with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import StudyError
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.weights import ChannelFormat, WeightFormat, quantise
from qtaml_hw.weights.cosq import Source, envelope, settle, transitions
from qtaml_hw.weights.network import weight_arrays
from tests import studies
from tests.realnets import real_network_or_skip


def form(p01: float, p10: float | None = None, source: Source = "gaussian") -> ChannelFormat:
    return ChannelFormat((p01,) * 8, (p01 if p10 is None else p10,) * 8, source)


def drawn(source: Source, count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(count) if source == "gaussian" else rng.laplace(scale=np.sqrt(0.5), size=count)
    return w.astype(np.float32)


def signal_to_noise_db(code: ChannelFormat, w: np.ndarray) -> float:
    step = np.float32(code.step_of_rms)
    codes = code.encode(w / step)
    return float(10.0 * np.log10((w.astype(np.float64) ** 2).mean() / code.squared_error(w, codes, step).mean()))


@pytest.mark.parametrize(("p", "least_db"), [(0.10, 9.6), (0.05, 13.3), (0.01, 20.7)])
def test_gaussian_weights_reach_the_known_ratio(p: float, least_db: float) -> None:
    found = signal_to_noise_db(form(p), drawn("gaussian", 400_000))
    assert least_db - 0.2 < found < least_db + 0.5
    plain = WeightFormat(8)
    best = 0.0
    for peak in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0):  # plain int8 at its best scale through the same flips
        w = drawn("gaussian", 20_000)
        levels = np.clip(w * (127 / peak), -127, 127)
        codes = plain.encode(levels)
        flips = transitions([p] * 8, [p] * 8)
        read, square = flips @ plain.decode_table, flips @ plain.decode_table**2
        step = peak / 127
        error = w**2 - 2 * w * read[codes] * step + square[codes] * step**2
        best = max(best, 10 * np.log10(float((w**2).mean() / error.mean())))
    assert found > best + 4.0


@pytest.mark.parametrize(("p01", "p10"), [(0.1, 0.1), (0.0, 0.1), (0.02, 0.1), (0.01, 0.01)])
@pytest.mark.parametrize("source", ["gaussian", "laplace"])
def test_the_expected_error_is_that_of_drawn_flips(p01: float, p10: float, source: Source) -> None:
    code, w = form(p01, p10, source), drawn(source, 300_000, 2)
    step = np.float32(code.step_of_rms)
    codes = code.encode(w / step)
    read = flip(codes, np.full(8, p01), np.full(8, p10), MapKey(3, 0, 0))
    lost = (code.decode_table[read] * float(step) - w) ** 2
    expected = code.squared_error(w, codes, step)
    assert abs(lost.mean() - expected.mean()) < 4.0 * (lost - expected).std() / np.sqrt(w.size)
    clean = code.decode_table[flip(codes, np.zeros(8), np.zeros(8), MapKey(3, 0, 0))]
    assert (clean == code.decode_table[codes]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(0.1, 0.1), (0.0, 0.05), (0.003, 0.02)]))
def test_the_encoder_takes_the_code_of_least_expected_error(seed: int, flips: tuple[float, float]) -> None:
    code = form(*flips)
    w = np.random.default_rng(seed).normal(0.0, 60.0, 50)
    costs = w[:, None] ** 2 - 2.0 * w[:, None] * code.means + code.squares
    chosen = code.squared_error(w, code.encode(w), np.ones(1))
    assert chosen == pytest.approx(costs.min(axis=1), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_the_envelope_is_that_of_all_lines(seed: int, lines: int) -> None:
    rng = np.random.default_rng(seed)
    means, squares = rng.integers(-4, 5, lines).astype(float), rng.integers(0, 30, lines).astype(float)
    codes, begins = envelope(means, squares)
    x = np.linspace(-20.0, 20.0, 401)
    at = codes[np.searchsorted(begins, x, side="right") - 1]
    assert squares[at] - 2 * x * means[at] == pytest.approx((squares - 2 * x[:, None] * means).min(axis=1))


@pytest.mark.parametrize("source", ["gaussian", "laplace"])
def test_the_decode_table_is_the_mean_of_what_was_written(source: Source) -> None:
    flips = transitions([0.05] * 8, [0.05] * 8)
    start = WeightFormat(8, "sign_magnitude").levels * (2.0 / 127)
    table, error = settle(start, flips, source)
    x = np.linspace(-14.0, 14.0, 200_001)
    density = np.exp(-0.5 * x**2) if source == "gaussian" else np.exp(-np.sqrt(2.0) * np.abs(x))
    density /= density.sum()
    codes = np.argmin((flips @ table**2)[:, None] - 2.0 * (flips @ table)[:, None] * x[None, ::50], axis=0)
    codes = np.repeat(codes, 50)[: x.size]
    written, moment = np.bincount(codes, density, 256), np.bincount(codes, density * x, 256)
    means = (moment @ flips) / (written @ flips)
    assert table == pytest.approx(means, abs=0.02)
    costs = x**2 - 2.0 * x * (flips @ table)[codes] + (flips @ table**2)[codes]
    assert error == pytest.approx(float((density * costs).sum()), rel=0.01)


def test_entries_are_integers_of_eight_bits_and_a_few_codes_are_written() -> None:
    code = form(0.01)
    assert (code.decode_table == np.rint(code.decode_table)).all()
    assert np.abs(code.decode_table).max() == 127
    assert 11 <= len(np.unique(code.encode(np.linspace(-200, 200, 20_001)))) <= 40
    assert code.decode_ge == 256 * 8 * 0.25
    assert form(0.0, 0.05).name == "cosq8/gaussian/0,0.05"
    with pytest.raises(ValueError, match="needs 8"):
        ChannelFormat((0.1,), (0.1,))
    with pytest.raises(ValueError, match="gaussian or laplace"):
        form(0.1, source="uniform")  # type: ignore[arg-type]


def test_every_channel_has_the_step_that_loses_least() -> None:
    rng = np.random.default_rng(4)
    w = (rng.standard_normal((6, 400)) * np.array([0.01, 0.1, 1, 2, 5, 0])[:, None]).astype(np.float32)
    code = form(0.01)
    image = quantise({"w": w}, code, "per_channel", clip="mse")
    stored = image.tensors[0]
    lost = code.squared_error(w, stored.codes.reshape(w.shape), stored.scale[:, None]).sum(axis=1)
    for factor in (0.8, 1.25):
        other = stored.scale[:, None] * np.float32(factor)
        assert (lost[:5] <= code.squared_error(w, code.encode(w / other), other).sum(axis=1)[:5] * 1.02).all()
    assert 10 * np.log10((w[:5] ** 2).sum(axis=1) / lost[:5]) == pytest.approx(np.full(5, 20.7), abs=1.0)


def test_a_study_stores_its_weights_for_its_own_flips() -> None:
    flips = {"flips": {"law": "fixed", "p": 0.01}, "protection.correction": "auto"}
    cosq = studies.design({**flips, "weights.format": "cosq", "weights.scale": "per_channel"}).facts
    assert cosq["weights_format"].startswith("cosq8/")
    assert cosq["weights_format"].endswith("/0.01")
    assert set(cosq["corrections"]) == {"none"}
    assert (cosq["decode_ge"], cosq["parity_bits_fraction"]) == (512.0, 0.0)
    again = studies.design({"flips": {"law": "fixed", "p": 0.02}, "weights.format": "cosq"}).facts
    assert again["weights_format"].endswith("/0.02")
    with pytest.raises(StudyError, match="rounding is nearest"):
        studies.study({"weights.format": "cosq", "weights.rounding": "learned"})
    with pytest.raises(StudyError, match="correction: none"):
        studies.study({"weights.format": "cosq", "protection.correction": "unbias"})


def test_ds_cnn_keeps_its_accuracy_at_one_flip_in_a_hundred_without_any_code() -> None:
    module, data = real_network_or_skip("dscnn")
    weights, chosen = weight_arrays(module), np.linspace(0, len(data.test_x) - 1, 200).astype(int)
    inputs, labels = torch.from_numpy(data.test_x[chosen]), torch.from_numpy(data.test_y[chosen])
    network = Network("dscnn", ServedNetwork(module), {}, inputs, labels, data.classes, "")
    kept = {}
    with single_thread():
        clean = network.score(weights)
        for name, code, clip in (("cosq", form(0.01), "mse"), ("int8", WeightFormat(8), "peak")):
            image = quantise(weights, code, "per_channel", clip=clip)  # type: ignore[arg-type]
            flips = FixedFlips(image, FlipChannel.uniform(0.01, 8), seed=1)
            plan = ProtectionPlan.unprotected(image.tensor_starts, 8)
            kept[name] = np.mean([network.score(image.decode(flips.read(plan, m))) for m in range(4)]) / clean
    assert kept["cosq"] >= 0.95
    assert kept["int8"] < 0.5
