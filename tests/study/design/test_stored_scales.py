"""Scales in the leaking memory: brute force of flipped scales, what they are worth, what protecting them costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw import tac
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.weights import ScaleLayout, StoredImage, WeightFormat, number_format, quantise
from qtaml_hw.weights.given import given_integers

STUDY = """
cell: {kind: gain_cell}
flips: {law: fixed, p: 0.01}
network: {name: digits-lenet, store: {scales: true}}
data: {name: digits}
weights: {format: int4, scale: group-32}
protection: {policy: none, correction: none}
evaluate: {images: 60, maps: {min: 2, max: 2}}
"""


def stored(form: str, scale: str, shape: tuple[int, int] = (6, 32), shift: float = 0.3) -> StoredImage:
    w = np.random.default_rng(3).normal(shift, size=shape).astype(np.float32)
    layout = ScaleLayout.of(scale)
    layout = replace(layout, stored=True)
    return quantise({"weight": w}, number_format(form), layout).with_stored_scales()


@pytest.mark.parametrize("form", ["int4", "uint4", "e2m1"])
@pytest.mark.parametrize(
    "scale", ["per_tensor", "per_channel", "per_channel_log8", "group-32", "group-32-e8m0", "group-16-e4m3"]
)
def test_scales_have_codes_that_stand_for_them_and_a_flip_moves_their_group(form: str, scale: str) -> None:
    image = stored(form, scale)
    weight, *parts = image.tensors
    assert np.array_equal(image.decode()["weight"], weight.decode(weight.codes))  # to the bit
    assert image.metadata_bits == 0
    assert image.stored_bits == 192 * 4 + sum(t.weights * t.format.bits for t in parts)
    own = weight.scale_of_weight().reshape(weight.shape)
    for place, part in enumerate(parts, start=1):
        for plane in range(part.format.bits):
            read = [c.copy() for c in image.codes()]
            read[place][0] ^= read[place].dtype.type(1 << plane)
            numbers = {
                t.name: t.format.decode_table.astype(np.float32)[c] for t, c in zip(parts, read[1:], strict=True)
            }
            scales = np.ones(weight.scale.size, np.float32)
            zeros = np.zeros(weight.scale.size, np.float32)
            for t in parts:
                spread = np.resize(numbers[t.name], weight.scale.size)
                scales, zeros = (scales * spread, zeros) if ":scale" in t.name else (scales, spread)
            levels = weight.format.decode_table.astype(np.float32)[weight.codes].reshape(weight.shape)
            with np.errstate(over="ignore"):
                wanted = (levels - zeros[own]) * scales[own]
            np.testing.assert_array_equal(image.decode(read)["weight"], wanted)


def given(kind: str, zero: float | None = None) -> StoredImage:
    """Codes, float32 scales and zero points as a file brings them, each with codes of its own."""
    rng = np.random.default_rng(4)
    levels = rng.integers(0, 16, (6, 32)).astype(np.uint8)
    scale = rng.uniform(0.01, 0.1, 12 if kind == "group" else 6).astype(np.float32)
    layout = ScaleLayout("per_group", 16) if kind == "group" else ScaleLayout("per_channel")
    zeros = None if zero is None else np.full(scale.size, zero, np.float32)
    low = scale if kind == "minimum" else None
    tensor = given_integers("weight", (6, 32), levels, scale, layout, bits=4, zero=zeros, minimum=low)
    return StoredImage((tensor,)).with_stored_scales()


@pytest.mark.parametrize(("kind", "zero"), [("channel", None), ("group", 7.0), ("channel", 7.25), ("minimum", None)])
def test_float32_scales_are_two_codes_each_and_a_flip_is_one_of_their_pattern(kind: str, zero: float | None) -> None:
    image = given(kind, zero)
    weight, *parts = image.tensors
    assert np.array_equal(image.decode()["weight"], weight.decode(weight.codes))  # to the bit
    bits = [t.format.bits for t in parts]
    assert bits == [16, 16] + {None: [], 7.0: [4], 7.25: [16, 16]}[zero] + [16, 16] * (kind == "minimum")
    assert image.stored_bits == 192 * 4 + sum(b * t.weights for b, t in zip(bits, parts, strict=True))
    names = ["scale", "zero", "minimum"]
    numbers = {n: getattr(weight, n) for n in names if getattr(weight, n) is not None}
    for place, part in enumerate(parts, start=1):
        what = part.name.partition(":")[2][:-1]
        for plane in range(part.format.bits):
            read = [c.copy() for c in image.codes()]
            read[place][1] ^= read[place].dtype.type(1 << plane)
            own = {n: a.copy() for n, a in numbers.items()}
            if part.format.bits == 16:
                up = plane + (0 if part.format.name == "float32-low" else 16)
                own[what].view(np.uint32)[1] ^= np.uint32(1 << up)
                if not np.isfinite(own[what][1]):  # reads as the largest bfloat16 of that sign
                    own[what][1] = np.copysign(np.float32(3.3895314e38), own[what][1])
            else:
                own[what][1] = float(int(own[what][1]) ^ (1 << plane))
            levels = weight.format.decode_table.astype(np.float32)[weight.codes].reshape(weight.shape)
            at = weight.scale_of_weight().reshape(weight.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                wanted = (levels - own["zero"][at] if "zero" in own else levels) * own["scale"][at]
                wanted = wanted + own["minimum"][at] if "minimum" in own else wanted
            np.testing.assert_array_equal(image.decode(read)["weight"], wanted)


def test_planes_of_a_float32_are_worth_what_their_flips_do() -> None:
    """Mantissa, exponent and sign planes of 192 weights' scales, one after the other: the closed form of a linear layer
    meets the mean over the scales to the low bits that a bfloat16 lacks (2^-7)."""
    image = given("channel", 7.0)
    layer, x = nn.Linear(32, 6, bias=False), torch.rand(50, 32, generator=torch.Generator().manual_seed(1))
    clean = image.decode()["weight"]
    layer.weight.data = torch.from_numpy(clean.copy())
    found = tac.jacobian_energy(layer, ["weight"], x, along=tac.directions(image))
    damage = tac.damage_model(image, tac.with_scales(image, found.values, found.along), image.group_starts("layer"))
    for place in (1, 2):
        for plane in (0, 3, 6, 7, 12, 15):
            exact = 0.0
            for i in range(6):
                read = [c.copy() for c in image.codes()]
                read[place][i] ^= np.uint16(1 << plane)
                moved = torch.from_numpy(image.decode(read)["weight"] - clean)
                exact += float(((x @ moved.T) ** 2).sum(1).mean())
            told = damage.zeros[place, plane] + damage.ones[place, plane]
            assert told == pytest.approx(exact, rel=2e-2), (place, plane)


@pytest.mark.parametrize("form", ["int4", "uint4"])
def test_the_predicted_distortion_of_a_scale_plane_is_that_of_drawn_flips(form: str) -> None:
    """One group of a linear layer per output: the closed form is exact, and 1500 draws meet it within five sigma"""
    image, p = stored(form, "group-32"), 0.02
    layer, x = nn.Linear(32, 6, bias=False), torch.rand(50, 32, generator=torch.Generator().manual_seed(1))
    clean = image.decode()["weight"]
    layer.weight.data = torch.from_numpy(clean.copy())
    found = tac.jacobian_energy(layer, ["weight"], x, along=tac.directions(image))
    worth = tac.with_scales(image, found.values, found.along)
    damage = tac.damage_model(image, worth, image.group_starts("layer"))
    rng, bits = np.random.default_rng(7), image.planes
    for place, part in enumerate(image.tensors[1:], start=1):
        for plane in (part.format.bits - 1, part.format.bits - 3):
            on = np.zeros(bits)
            on[plane] = p
            predicted = float(damage.distortion(on, on)[place, plane])
            drawn = []
            for _ in range(1500):
                read = [c.copy() for c in image.codes()]
                read[place] ^= (rng.random(part.weights) < p).astype(read[place].dtype) << plane
                moved = torch.from_numpy(image.decode(read)["weight"] - clean)
                drawn.append(float(((x @ moved.T) ** 2).sum(1).mean()))
            sigma = np.std(drawn) / np.sqrt(len(drawn))
            assert abs(np.mean(drawn) - predicted) < 5.0 * sigma, (part.name, plane)


def test_gradients_along_scales_are_those_of_autograd() -> None:
    """Through layers that explain single inputs and one that does not, against the definition"""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)).eval()
    x = torch.rand(5, 1, 6, 6)
    weights = {n: p.detach().numpy() for n, p in net.named_parameters() if p.ndim > 1}
    image = quantise(weights, WeightFormat(4), ScaleLayout("per_channel", stored=True)).with_stored_scales()
    ways = tac.directions(image)
    found = tac.jacobian_energy(net, list(weights), x, probes=2000, along=ways)
    for way, energy in zip(ways, found.along, strict=True):
        parameter = dict(net.named_parameters())[way.of]
        exact = np.zeros(way.numbers)
        for one in x:
            for output in net(one[None])[0]:
                (g,) = torch.autograd.grad(output, parameter, retain_graph=True)
                exact += np.bincount(way.owner, g.numpy().reshape(-1) * way.step, way.numbers) ** 2
        np.testing.assert_allclose(energy, exact / len(x), rtol=0.15)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


def test_zero_flips_read_the_same_network_and_scales_are_paid_for(networks: Networks) -> None:
    study = parse_study(STUDY)
    inside = prepare(study, networks)
    outside = prepare(study.with_({"network.store.scales": None}), networks)
    weights = inside.network.weights
    read = inside.protection.decoder.decode(inside.image.codes())
    assert list(read) == list(weights)
    assert inside.facts["quantised_score"] == outside.facts["quantised_score"]
    assert inside.image.metadata_bits == 0
    assert inside.facts["stored_bits"] == outside.facts["stored_bits"] + outside.image.metadata_bits
    per_weight = outside.facts["stored_bits_per_weight"]  # and a bit per layer that tells scales from weights
    assert inside.facts["stored_bits_per_weight"] == pytest.approx(per_weight, rel=1e-3)
    assert inside.facts["weight_read_energy_j"] > outside.facts["weight_read_energy_j"]
    assert inside.record(0)["flips_raw"] > outside.record(0)["flips_raw"]


def test_the_allocation_protects_scale_planes_first_and_says_what_they_cost(networks: Networks) -> None:
    study = parse_study(STUDY).with_(
        {"protection.policy": "tac", "protection.menu": ["ideal"], "protection.budget": {"bits": "4 %"}}
    )
    design = prepare(study, networks)
    rows = {row["name"]: row for row in design.facts["layers"]}
    scales = {name: row for name, row in rows.items() if ":scale" in name}
    assert len(scales) == len(rows) / 2
    spent = sum(row["protected_planes"] * row["weights"] for row in rows.values())
    on_scales = sum(row["protected_planes"] * row["weights"] for row in scales.values())
    assert spent / design.facts["stored_bits"] == pytest.approx(design.facts["protected_bits_fraction"])
    scale_bits = 16 * sum(row["weights"] for row in scales.values())
    weight_bits = design.facts["stored_bits"] - scale_bits
    assert on_scales / scale_bits > 20.0 * (spent - on_scales) / weight_bits
    assert all(row["stored_planes"] == (16 if name in scales else 4) for name, row in rows.items())
    bare = prepare(parse_study(STUDY), networks)
    assert design.facts["predicted_distortion"] < 1e-6 * bare.facts["predicted_distortion"]


def test_what_scales_in_the_memory_do_not_go_with(networks: Networks) -> None:
    study = parse_study(STUDY)
    with pytest.raises(InputError, match="invert_planes needs tensors of one number format"):
        prepare(study.with_({"weights.transforms": ["invert_planes"]}), networks)
