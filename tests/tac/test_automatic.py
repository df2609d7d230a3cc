"""The correction ``auto``: the choice of a plain search over every kind, made once for equal flips."""

from collections.abc import Mapping

import numpy as np
import pytest

from qtaml_hw import tac
from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.weights import StoredImage, number_format, quantise

RNG = np.random.default_rng(7)
WEIGHTS = {name: RNG.normal(0.1, 0.3, (12, 12)).astype(np.float32) for name in ("first", "second")}
INPUTS = RNG.normal(0.5, 1.0, (24, 12))
WORTH = np.repeat([1.0, 1e-2], 144)  # what a layer is worth decides whether noise or drift counts
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
