"""The correction ``auto``: the choice of a plain search over every kind, once for equal flips, seldom by passes."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw import tac
from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Direction
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.weights import StoredImage, number_format, quantise

RNG = np.random.default_rng(7)
WEIGHTS = {name: RNG.normal(0.1, 0.3, (12, 12)).astype(np.float32) for name in ("first", "second")}
INPUTS = RNG.normal(0.5, 1.0, (24, 12))
WORTH = np.repeat([1.0, 1e-2], 144)  # what a layer is worth decides whether noise or drift counts
DIRECTIONS: tuple[Direction, ...] = ("1to0", "0to1", "symmetric")
MENU = tac.Menu.of(("ideal", "secded-72-64"))


class Passes:
    """Two layers with a ReLU between them, and how often they were asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, weights: Mapping[str, Float32]) -> Float64:
        self.count += 1
        hidden = np.maximum(INPUTS @ weights["first"].astype(np.float64).T, 0.0)
        return np.asarray(hidden @ weights["second"].astype(np.float64).T)


def plainly(protected: tac.ProtectedImage, worth: Float64, forward: Passes) -> list[str]:
    """Every kind tried in every layer; the first of the best."""
    alone, found = tac.OneLayer(protected.image, forward), []
    for i, tensor in enumerate(protected.image.tensors):
        kinds = [kind for kind in tac.FOLDING_KINDS if kind != "unbias" or tensor.format.linear]
        layers = [protected.layer(i, kind) for kind in kinds]
        distortions = [protected.distortion(i, layer, worth, alone) for layer in layers]
        found.append(kinds[int(np.argmin(distortions))])
    return found


def plans(image: StoredImage) -> list[ProtectionPlan]:
    flips = FlipChannel.uniform(0.02, image.planes)
    bare = ProtectionPlan.unprotected(image.tensor_starts, image.planes)
    return [bare, tac.plan_uniform(image, flips, MENU, tac.bit_prices(MENU, image, 0.3))]


@pytest.mark.parametrize("name", ["int8", "bfloat16"])
def test_it_is_the_choice_of_a_plain_search_over_all_kinds(name: str) -> None:
    image = quantise(WEIGHTS, number_format(name))
    worth, chosen = WORTH, set[str]()
    auto = tac.Automatic(image, worth, Passes())
    for p in (1e-4, 0.01, 0.2):
        for plan in plans(image):
            for flips in (FlipChannel.uniform(p, image.planes, direction="1to0"), FlipChannel.uniform(p, image.planes)):
                protected = tac.ProtectedImage(image, plan, flips)
                kinds = auto.decoder(protected).kinds
                assert list(kinds) == plainly(protected, worth, Passes())
                chosen |= set(kinds)
    assert len(chosen) > 1


def test_equal_flips_are_judged_once_and_decode_alike() -> None:
    image = quantise(WEIGHTS, number_format("int8"))
    forward = Passes()
    auto = tac.Automatic(image, np.ones(image.weights), forward)
    flips, bare = FlipChannel.uniform(0.05, 8, direction="1to0"), plans(image)[0]
    first = auto.decoder(tac.ProtectedImage(image, bare, flips))
    asked = forward.count
    assert 0 < asked <= 1 + 2 * len(tac.FOLDING_KINDS)
    again = auto.decoder(tac.ProtectedImage(image, bare, FlipChannel.uniform(0.05, 8, direction="1to0")))
    assert forward.count == asked
    for a, b in zip(first.layers, again.layers, strict=True):
        np.testing.assert_array_equal(a.tables, b.tables)
    auto.decoder(tac.ProtectedImage(image, bare, FlipChannel.uniform(0.06, 8, direction="1to0")))
    assert forward.count > asked


def two_layers() -> nn.Sequential:
    """The same network for torch."""
    net = nn.Sequential(nn.Linear(12, 12, bias=False), nn.ReLU(), nn.Linear(12, 12, bias=False))
    for layer, weights in zip((net[0], net[2]), WEIGHTS.values(), strict=True):
        layer.weight.data = torch.from_numpy(weights)
    return net


def tables(image: StoredImage) -> dict[int, Float64]:
    """G of both layers, from the Jacobian of every output with respect to the value of every code, in float64."""
    found = {}
    for place, t in enumerate(image.tensors):
        other = [image.decode()[one.name].astype(np.float64) for one in image.tensors]
        hidden, step = INPUTS @ other[0].T, float(t.scale[0])
        codes = t.codes.reshape(t.shape).astype(int)
        jacobian = np.zeros((24, 12, 256))
        for out in range(12):
            if place == 1:
                for i in range(12):
                    jacobian[:, out, codes[out, i]] += step * np.maximum(hidden[:, i], 0.0)
                continue
            for unit in range(12):
                back = other[1][out, unit] * (hidden[:, unit] > 0.0)
                for i in range(12):
                    jacobian[:, out, codes[unit, i]] += step * back * INPUTS[:, i]
        found[place] = np.einsum("noc,nod->cd", jacobian, jacobian) / 24
    return found


def test_the_tables_are_the_jacobian_s_within_their_probes() -> None:
    image = quantise(WEIGHTS, number_format("int8"))
    net = two_layers()
    for layer, weights in zip((net[0], net[2]), image.decode().values(), strict=True):
        layer.weight.data = torch.from_numpy(weights)
    named = {"0.weight": WEIGHTS["first"], "2.weight": WEIGHTS["second"]}
    inputs = torch.from_numpy(INPUTS.astype(np.float32))
    found = tac.drift_tables(quantise(named, number_format("int8")), net, inputs)
    bias = np.random.default_rng(0).normal(1.0, 0.2, 256)  # all weights move, as they do under flips one way
    for place, table in tables(image).items():
        drifts = np.array([tac.drift(one[place], bias) for one in (found, {place: table})])
        # of 24 inputs x 2 probes of 12 outputs each the standard error is sqrt(2 / 48) of the drift at most
        assert drifts[0] == pytest.approx(drifts[1], rel=3 * np.sqrt(2 / 48))
        one_output = np.trace(found[place]) / np.trace(table)
        assert one_output == pytest.approx(1.0, rel=0.2)


def test_small_drifts_take_no_pass_and_the_choice_is_that_of_passes() -> None:
    image = quantise(WEIGHTS, number_format("int8"))
    forward, chosen = Passes(), set[str]()
    auto = tac.Automatic(image, WORTH, forward, tables(image))
    for p in (1e-5, 1e-4, 1e-3, 0.002):
        for plan in plans(image):
            for way in DIRECTIONS:
                protected = tac.ProtectedImage(image, plan, FlipChannel.uniform(p, 8, direction=way))
                kinds = auto.decoder(protected).kinds
                assert list(kinds) == plainly(protected, WORTH, Passes())
                chosen |= set(kinds)
    assert len(chosen) > 1
    assert forward.count == 1  # the clean outputs, whose spread says what is small


def test_strong_drifts_are_measured_where_the_outputs_are_not_lost() -> None:
    image = quantise(WEIGHTS, number_format("int8"))
    bare, worth = plans(image)[0], np.full(image.weights, 0.1)
    for p, passes in ((0.02, 1), (0.1, 5), (0.3, 5), (0.9, 1)):  # the clean outputs, and none and offset of both layers
        forward = Passes()
        auto = tac.Automatic(image, worth, forward, tables(image))
        protected = tac.ProtectedImage(image, bare, FlipChannel.uniform(p, 8, direction="1to0"))
        kinds = auto.decoder(protected).kinds
        assert forward.count == passes
        assert list(kinds) == plainly(protected, worth, Passes())


def test_what_is_judged_is_bounded_and_what_was_dropped_is_judged_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtaml_hw.tac.decoding.automatic.KEPT", 3)
    image = quantise(WEIGHTS, number_format("int8"))
    auto, bare = tac.Automatic(image, WORTH, Passes()), plans(image)[0]
    points = [tac.ProtectedImage(image, bare, FlipChannel.uniform(p, 8, direction="1to0")) for p in (0.02, 0.05, 0.1)]
    first = [auto.decoder(point).kinds for point in points]
    assert [auto.decoder(point).kinds for point in points] == first
    assert len(auto._known) == 3
