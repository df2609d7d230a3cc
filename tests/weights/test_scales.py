"""Who shares a scale: layouts against plain loops, error bounds, metadata counted, clipping, learned rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qtaml_hw.accelerator.served import serving
from qtaml_hw.weights import GRANULARITIES, ScaleLayout, StoredTensor, WeightFormat, number_format, quantise
from qtaml_hw.weights.learned import learned_rounding
from qtaml_hw.weights.moments import input_moments
from qtaml_hw.weights.network import weight_arrays

SHAPES = [(3, 5, 2, 2), (4, 70), (2, 1, 3, 3), (1, 200)]


def owners(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Index of every weight's scale, one weight at a time."""
    found = np.zeros(shape, dtype=np.int64)
    inner = int(np.prod(shape[2:], dtype=np.int64))
    for place in np.ndindex(*shape):
        column = place[1] * inner + int(np.ravel_multi_index(place[2:], shape[2:])) if len(shape) > 2 else place[1]
        size = int(name.removeprefix("group-")) if name.startswith("group") else 0
        per_row = -(-shape[1] * inner // size) if size else 0
        found[place] = {
            "per_tensor": 0,
            "per_channel": place[0],
            "per_channel_log8": place[0],
            "per_input_channel": place[1],
        }.get(name, place[0] * per_row + (column // size if size else 0))
    return found


@pytest.mark.parametrize(("name", "step"), [("q1.6", 2.0**-6), ("step-2^-6", 2.0**-6), ("step-0.02", 0.02)])
def test_a_stated_step_is_that_of_every_tensor_and_takes_no_bit(name: str, step: float) -> None:
    draw = np.random.default_rng(1)
    tensors = {"a": draw.normal(size=(30, 40)).astype(np.float32), "b": draw.normal(size=50).astype(np.float32)}
    image = quantise(tensors, WeightFormat(8), name)
    for tensor in image.tensors:
        levels = np.clip(np.rint(tensors[tensor.name] / np.float32(step)), -127, 127)
        assert np.array_equal(tensor.decode(tensor.codes), levels.astype(np.float32) * np.float32(step))
    assert image.metadata_bits == 0
    assert image.storage_bits_per_weight == 8.0


@pytest.mark.parametrize("name", GRANULARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_layouts_are_those_of_plain_loops(name: str, shape: tuple[int, ...]) -> None:
    layout, owner = ScaleLayout.of(name), owners(name, shape)
    w = np.random.default_rng(0).normal(size=shape)
    assert layout.count(shape) == owner.max() + 1
    largest = [np.abs(w[owner == i]).max() for i in range(owner.max() + 1)]
    assert np.array_equal(layout.reduce(np.maximum, np.abs(w)), largest)
    scale = np.arange(layout.count(shape), dtype=np.float32)
    assert np.array_equal(np.broadcast_to(layout.spread(scale, shape), shape), owner)


@pytest.mark.parametrize("name", GRANULARITIES)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([2, 4, 8, 16]))
def test_the_error_is_at_most_half_a_step_of_the_weights_own_scale(name: str, seed: int, bits: int) -> None:
    w = np.random.default_rng(seed).standard_t(3, size=(4, 70)).astype(np.float32)
    image = quantise({"w": w}, WeightFormat(bits), name)
    step = np.broadcast_to(image.tensors[0].weight_scale(), w.size).reshape(w.shape)
    assert np.all(np.abs(image.decode()["w"] - w) <= 0.5 * step * (1 + 2e-5) + 1e-7 * np.abs(w))
    if not name.startswith("group"):  # whose scales are rounded up
        again = quantise(image.decode(), WeightFormat(bits), name)
        assert np.array_equal(again.tensors[0].codes, image.tensors[0].codes)


def test_finer_scales_leave_less_error_and_cost_more_bits() -> None:
    w = {"w": np.random.default_rng(2).standard_t(3, size=(64, 256)).astype(np.float32)}
    images = {name: quantise(w, WeightFormat(4), name) for name in GRANULARITIES}
    error = {name: float(np.mean((i.decode()["w"] - w["w"]) ** 2)) for name, i in images.items()}
    assert error["group-32"] < error["group-64"] < error["group-128"] < error["per_channel"] < error["per_tensor"]
    assert {name: i.metadata_bits for name, i in images.items()} == {
        "per_tensor": 32,
        "per_channel": 64 * 32,
        "per_channel_log8": 64 * 8 + 8,
        "per_input_channel": 256 * 32,
        "group-32": 64 * 8 * 16,
        "group-64": 64 * 4 * 16,
        "group-128": 64 * 2 * 16,
    }
    assert images["group-32"].storage_bits_per_weight == pytest.approx(4.5)


def test_scales_of_groups_are_bfloat16_and_never_too_small() -> None:
    w = np.random.default_rng(3).normal(size=(8, 64)).astype(np.float32)
    scale = quantise({"w": w}, WeightFormat(8), "group-32").tensors[0].scale
    exact = np.abs(w.reshape(8, 2, 32)).max(axis=2).reshape(-1) / np.float32(127)
    assert not np.any(scale.view(np.uint32) & 0xFFFF)
    assert np.all((scale >= exact) & (scale <= exact * (1 + 2**-7)))


def test_vectors_have_one_scale_and_two_byte_floats_none() -> None:
    tensors = {"w": np.ones((2, 40), np.float32), "bias": np.array([0.5, -2.0], np.float32)}
    image = quantise(tensors, WeightFormat(8), "group-32")
    assert [t.scale.size for t in image.tensors] == [4, 1]
    assert np.array_equal(image.decode()["bias"], np.array([32, -127], np.float32) * image.tensors[1].scale)
    assert quantise(tensors, number_format("bfloat16")).metadata_bits == 0
    with pytest.raises(ValueError, match="bfloat16 weights carry their own exponent"):
        quantise(tensors, number_format("bfloat16"), "per_channel")


def test_wrong_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown scale 'per_row'; allowed: per_tensor, per_channel"):
        ScaleLayout.of("per_row")
    with pytest.raises(ValueError, match="a group size goes with per_group"):
        ScaleLayout("per_channel", 32)
    with pytest.raises(ValueError, match=r"w: scale has shape \(3,\), per_channel needs \(2,\)"):
        StoredTensor(
            "w", (2, 2), np.zeros(4, np.uint8), WeightFormat(), np.ones(3, np.float32), ScaleLayout("per_channel")
        )


@pytest.mark.parametrize("name", ["int2", "int3", "int4", "int8", "e2m1", "power4"])
@pytest.mark.parametrize("scale", ["per_tensor", "per_channel", "group-32"])
def test_a_searched_clip_leaves_no_more_error(name: str, scale: str) -> None:
    w = {"w": np.random.default_rng(4).standard_t(3, size=(8, 300)).astype(np.float32)}
    form, layout = number_format(name), ScaleLayout.of(scale)
    left = []
    for clip in ("peak", "mse"):
        image = quantise(w, form, scale, clip=clip)
        left.append(layout.reduce(np.add, (image.decode()["w"].astype(np.float64) - w["w"]) ** 2))
    assert np.all(left[1] <= left[0] * (1 + 1e-6))
    if name in ("int2", "int3", "int4") and scale != "group-32":
        assert left[1].sum() < 0.8 * left[0].sum()


def test_the_clip_of_gaussian_weights_is_the_known_optimum() -> None:
    """Uniform quantisers of Gaussian values: Max, IRE Trans. 6 (1960) 7, table II: step 0.3352 sigma at 16 levels."""
    w = np.random.default_rng(5).normal(size=(1, 400_000)).astype(np.float32)
    found = float(quantise({"w": w}, WeightFormat(4), clip="mse").tensors[0].scale[0])
    assert found == pytest.approx(0.3352, rel=0.08)  # 15 levels here, and a grid of 7 %


def test_binary_weights_are_the_mean_magnitude() -> None:
    w = np.array([[1.0, -3.0], [0.5, 0.5]], np.float32)
    image = quantise({"w": w}, number_format("binary"), "per_channel")
    assert image.decode()["w"].tolist() == [[2.0, -2.0], [0.5, 0.5]]


def small() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, groups=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(2),
        nn.Conv1d(12, 6, 3, dilation=2),
        nn.Flatten(),
        nn.Linear(72, 10),
    ).eval()
    return net, torch.randn(64, 3, 8, 8)


def test_moments_predict_the_error_of_every_layer() -> None:
    """tr(D H D^T) is the mean squared change of a layer's outputs: for each kind of layer against running it."""
    net, x = small()
    weights = weight_arrays(net)
    moments = input_moments(net, set(weights), x)
    assert {name: m.shape for name, m in moments.items()} == {
        "0.weight": (1, 27, 27),
        "2.weight": (4, 18, 18),
        "5.weight": (1, 36, 36),
        "7.weight": (1, 72, 72),
    }
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for layer, place in ((net[2], 2), (net[5], 5), (net[7], 7)):
            shift = rng.normal(size=tuple(layer.weight.shape)).astype(np.float32)
            groups = moments[f"{place}.weight"].shape[0]
            rows = shift.reshape(groups, -1, moments[f"{place}.weight"].shape[1]).astype(np.float64)
            predicted = float(np.einsum("gri,gij,grj->", rows, moments[f"{place}.weight"], rows))
            given = net[:place](x)
            before = layer(given)
            layer.weight += torch.from_numpy(shift)
            change = (layer(given) - before).double().square()
            layer.weight -= torch.from_numpy(shift)
            per_place = change.sum(dim=1).mean() if change.dim() > 1 else change.mean()
            assert predicted == pytest.approx(float(per_place), rel=1e-3)


@pytest.mark.parametrize("name", ["int3", "e2m1", "power4", "binary"])
def test_learned_rounding_takes_a_third_of_the_outputs_error_and_more(name: str) -> None:
    net, x = small()
    weights = weight_arrays(net)
    nearest = quantise(weights, number_format(name), "per_channel")
    learned = learned_rounding(nearest, weights, net, x[:48])
    again = learned_rounding(nearest, weights, net, x[:48])
    assert all(np.array_equal(a, b) for a, b in zip(learned.codes(), again.codes(), strict=True))
    with torch.no_grad():
        clean = net(x[48:])
        error = []
        for image in (nearest, learned):
            with serving(net, image.decode()):
                error.append(float((net(x[48:]) - clean).square().mean()))
    assert error[1] < 0.67 * error[0]
    assert all(np.array_equal(a.scale, b.scale) for a, b in zip(nearest.tensors, learned.tensors, strict=True))


def test_learned_rounding_needs_inputs() -> None:
    net, x = small()
    weights = weight_arrays(net)
    with pytest.raises(ValueError, match="needs unlabelled calibration inputs"):
        learned_rounding(quantise(weights), weights, net, x[:0])


@pytest.mark.parametrize("scale", ["per_channel", "per_input_channel", "group-32"])
@pytest.mark.parametrize("form", ["int8", "int4", "e4m3", "power8"])
def test_a_zero_run_has_the_smallest_step_of_its_tensor(scale: str, form: str) -> None:
    rng = np.random.default_rng(5)
    w = rng.normal(size=(6, 64)).astype(np.float32)
    w[2], w[:, 5], w[4, 32:] = 0.0, 0.0, 0.0
    (tensor,) = quantise({"w": w}, number_format(form), scale).tensors  # type: ignore[arg-type]
    whole = ScaleLayout.of(scale)
    peaks = whole.reduce(np.maximum, np.abs(w))
    assert np.all(tensor.scale[peaks == 0.0] == tensor.scale[peaks > 0.0].min())
    decoded = tensor.decode(tensor.codes, number_format(form).decode_table)
    assert np.all(decoded[2] == 0.0)
    flipped = tensor.decode(tensor.codes ^ tensor.codes.dtype.type(1 << 3), number_format(form).decode_table)
    assert np.abs(flipped[2]).max() <= 8 / 7 * np.abs(w).max()


def test_a_tensor_of_zeros_has_next_to_no_step() -> None:
    (tensor,) = quantise({"w": np.zeros((2, 3), np.float32)}).tensors
    assert tensor.scale.tolist() == [np.finfo(np.float32).eps]
    (binary,) = quantise(
        {"w": np.array([[1.0, -3.0], [0, 0]], np.float32)}, number_format("binary"), "per_channel"
    ).tensors
    assert binary.scale.tolist() == [2.0, np.finfo(np.float32).eps]


@pytest.mark.parametrize(("scale", "axis"), [("per_channel", 0), ("per_input_channel", 1)])
def test_channels_that_lie_otherwise_have_the_scales_of_the_tensor_turned(scale: str, axis: int) -> None:
    rng = np.random.default_rng(6)
    w = rng.normal(size=(7, 5)).astype(np.float32) * np.logspace(-2, 2, 5, dtype=np.float32)
    turned = quantise({"w": w}, None, scale, channels={"w": ((1,), (0,))})  # type: ignore[arg-type]
    plain = quantise({"w": np.ascontiguousarray(w.T)}, None, scale)  # type: ignore[arg-type]
    np.testing.assert_array_equal(turned.decode()["w"], plain.decode()["w"].T)
    np.testing.assert_array_equal(turned.tensors[0].scale, plain.tensors[0].scale)
    assert turned.metadata_bits == 32 * w.T.shape[axis]


def test_every_expert_and_channel_has_a_scale() -> None:
    w = np.random.default_rng(7).normal(size=(3, 4, 6)).astype(np.float32)
    image = quantise({"w": w}, None, "per_channel", channels={"w": ((0, 2), (0, 1))})
    apart = {str(i): np.ascontiguousarray(w[i].T) for i in range(3)}
    expected = quantise(apart, None, "per_channel").decode()
    np.testing.assert_array_equal(image.decode()["w"], np.stack([expected[str(i)].T for i in range(3)]))
    assert image.tensors[0].weight_scale().shape == (72,)
