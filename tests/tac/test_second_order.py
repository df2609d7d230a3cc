"""Importance to second order: exact where outputs are bilinear, and the draws are those of the plan."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw.accelerator.served import ServedNetwork, serving
from qtaml_hw.channel import FlipChannel
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac import Draws, jacobian_energy, refine
from qtaml_hw.tac.worth.second_order import drawn_codes, noisy_importance, second_order_importance
from qtaml_hw.weights import StoredImage, quantise
from qtaml_hw.weights.network import weight_arrays


def two_layers() -> tuple[nn.Module, StoredImage, torch.Tensor]:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False)).eval()
    return net, quantise(weight_arrays(net)), torch.randn(1, 3)


def energies(net: nn.Module, image: StoredImage, inputs: torch.Tensor) -> NDArray[np.float64]:
    names = [t.name for t in image.tensors]
    return jacobian_energy(net, names, inputs, probes=1).values  # one output of one input: every probe is exact


def test_the_variance_of_a_bilinear_output_is_met_exactly() -> None:
    net, image, inputs = two_layers()
    levels = np.concatenate([image.format.decode_table[t.codes] for t in image.tensors]).astype(np.int64)
    scale = np.concatenate([np.broadcast_to(t.weight_scale(), t.weights) for t in image.tensors]).astype(np.float64)
    served, step = ServedNetwork(net), 12
    read, changes = [], []
    reference = served.outputs(image.decode(), inputs)
    for signs in itertools.product((-step, step), repeat=image.weights):
        moved = np.clip(levels + np.array(signs), -127, 127)
        codes = np.split(image.format.encode(np.where(np.abs(levels) > 127 - step, levels, moved)), [6])
        read.append(codes)
        changes.append(float((served.outputs(image.decode(codes), inputs) - reference).item()))

    def at(weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        with serving(net, weights) as module:
            return energies(module, image, inputs)

    with serving(net, image.decode()) as module:
        clean = energies(module, image, inputs)
    variance = np.where(np.abs(levels) > 127 - step, 0.0, (step * scale) ** 2)
    noisy = noisy_importance(image, at, read)
    measured = float(np.mean(np.square(changes)))
    assert second_order_importance(clean, noisy) @ variance == pytest.approx(measured, rel=1e-4)
    assert clean @ variance < measured < noisy @ variance


def test_draws_have_the_plans_own_residual_channel() -> None:
    rng = np.random.default_rng(0)
    image = quantise({"a": rng.normal(size=(50, 400)).astype(np.float32), "b": np.ones((10, 50), np.float32)})
    plan = ProtectionPlan.uniform_msb(image.tensor_starts, 8, 2, "ideal")
    channel = FlipChannel.uniform(0.1, 8, direction="1to0")
    read = drawn_codes(image, plan, channel, np.random.default_rng(1))
    assert [codes.shape for codes in read] == [(20000,), (500,)]
    changed = np.concatenate(read) ^ np.concatenate(image.codes())
    stored = np.concatenate(image.codes())
    assert not np.any(changed & 0xC0)
    assert not np.any(changed & ~stored)
    for plane in range(6):
        ones = int(((stored >> plane) & 1).sum())
        flips = int(((changed >> plane) & 1).sum())
        assert abs(flips - 0.1 * ones) < 5 * np.sqrt(0.09 * ones)


def test_refinement_is_seeded_and_asks_for_the_plan_of_what_it_found() -> None:
    net, image, inputs = two_layers()
    clean, asked = energies(net, image, inputs), []

    def plan_of(worth: NDArray[np.float64]) -> ProtectionPlan:
        asked.append(worth)
        return ProtectionPlan.uniform_msb(image.tensor_starts, 8, 1, "ideal")

    def at(weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        with serving(net, weights) as module:
            return energies(module, image, inputs)

    channel = FlipChannel.uniform(0.2, 8)
    one = refine(image, clean, at, plan_of, channel, Draws(3, 2, 7))
    two = refine(image, clean, at, plan_of, channel, Draws(3, 2, 7))
    assert np.array_equal(one, two)
    assert np.array_equal(asked[0], clean)
    assert not np.array_equal(asked[1], clean)


def test_networks_that_overflow_do_not_count() -> None:
    _, image, _ = two_layers()
    answers = iter([np.full(image.weights, np.inf), np.full(image.weights, 2.0)])
    assert noisy_importance(image, lambda _: next(answers), [image.codes()] * 2).tolist() == [2.0] * image.weights
    with pytest.raises(ValueError, match="every noisy network overflows"):
        noisy_importance(image, lambda _: np.full(image.weights, np.nan), [image.codes()])
    with pytest.raises(ValueError, match="at least one draw"):
        Draws(draws=0)
