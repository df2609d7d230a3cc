"""What a training step sees: exact against the memory's own codes, noise of the stated strength, gradients straight."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from qtaml_hw.faults import flip_bits
from qtaml_hw.hardening import Hardening, practice
from qtaml_hw.hardening.steps import Disturbance
from qtaml_hw.weights import StoredImage, quantise
from qtaml_hw.workloads.training import PLAIN, plain_loss


def store(weights: Mapping[str, NDArray[np.float32]]) -> StoredImage:
    return quantise(weights)


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(12, 300), nn.ReLU(), nn.Linear(300, 4))


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(32, 12, generator=draw), torch.randint(0, 4, (32,), generator=draw)


def test_without_hardening_the_step_is_the_plain_one(net: nn.Sequential) -> None:
    assert practice(Hardening(), store) is PLAIN


def test_quantised_training_sees_the_decoded_codes_and_moves_the_weights(
    net: nn.Sequential, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    loss = practice(Hardening("qat"), store).loss(net, *batch)
    loss.backward()
    straight = net[0].weight.grad.clone()
    image = quantise({f"{i}.weight": net[i].weight.detach().numpy() for i in (0, 2)})
    copy = nn.Sequential(nn.Linear(12, 300), nn.ReLU(), nn.Linear(300, 4))
    copy.load_state_dict({**net.state_dict(), **{k: torch.from_numpy(v) for k, v in image.decode().items()}})
    wanted = plain_loss(copy, *batch)
    wanted.backward()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    assert torch.allclose(straight, copy[0].weight.grad, atol=1e-6)


@pytest.mark.parametrize(("method", "amplitude"), [("noise", 0.05), ("relative_noise", 0.2)])
def test_noise_has_the_stated_deviation(method: str, amplitude: float) -> None:
    weights = {"a": torch.full((400, 500), 0.5)}
    disturbance = Disturbance(Hardening(method, amplitude=amplitude), store)
    seen = disturbance.noisy(weights) if method == "noise" else disturbance.relatively_noisy(weights)
    deviation = amplitude if method == "noise" else amplitude * 0.5
    found = (seen["a"] - 0.5) / deviation
    count = found.numel()
    assert abs(float(found.mean())) < 5.0 / count**0.5
    assert abs(float(found.std()) - 1.0) < 5.0 / (2 * count) ** 0.5


def test_flips_are_those_of_the_engine_and_no_evaluated_map(net: nn.Sequential) -> None:
    weights = {f"{i}.weight": net[i].weight.detach() for i in (0, 2)}
    disturbance = Disturbance(Hardening("bit_error", p=0.02, seed=9), store)
    disturbance.step = 4
    image = quantise({name: w.numpy() for name, w in weights.items()})
    p = np.full(8, 0.02)
    wanted = image.decode(
        [flip_bits(t.codes, p, p, seed=9, map_index=2**29 + 4, tensor=i) for i, t in enumerate(image.tensors)]
    )
    for name, found in disturbance.flipped(weights).items():
        assert np.array_equal(found.numpy(), wanted[name])


def test_one_chip_is_an_evaluated_map_in_every_step(net: nn.Sequential) -> None:
    weights = {f"{i}.weight": net[i].weight.detach() for i in (0, 2)}
    disturbance = Disturbance(Hardening("bit_error", p=0.02, seed=9, map_index=3), store)
    first = disturbance.flipped(weights)
    disturbance.step = 4
    later = disturbance.flipped(weights)
    image, p = quantise({name: w.numpy() for name, w in weights.items()}), np.full(8, 0.02)
    wanted = image.decode(
        [flip_bits(t.codes, p, p, seed=9, map_index=3, tensor=i) for i, t in enumerate(image.tensors)]
    )
    for name in weights:
        assert np.array_equal(first[name].numpy(), wanted[name])
        assert np.array_equal(later[name].numpy(), wanted[name])


def test_a_curriculum_rises_by_epoch_in_a_straight_line() -> None:
    steps = practice(Hardening("bit_error", p=0.05, p_from=0.01), store)
    disturbance = Disturbance(Hardening("bit_error", p=0.05, p_from=0.01), store)
    weights, shares = {"w": torch.linspace(-1.0, 1.0, 100_000)}, []
    for epoch in range(5):
        disturbance.begin(epoch, 5)
        assert disturbance.p == pytest.approx(0.01 + 0.01 * epoch)
        image = quantise({"w": weights["w"].numpy()})
        changed = disturbance.flipped(weights)["w"].numpy() != image.decode()["w"]
        shares.append(float(changed.mean()))
    expected = [1.0 - (1.0 - p) ** 8 for p in (0.01, 0.02, 0.03, 0.04, 0.05)]
    assert all(abs(a - b) < 5.0 * (b / 100_000) ** 0.5 for a, b in zip(shares, expected, strict=True))
    assert steps.before_epoch is not PLAIN.before_epoch
    disturbance.begin(0, 1)
    assert disturbance.p == 0.05


def test_bit_errors_wait_until_something_is_learnt(
    net: nn.Sequential, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    images, labels = batch
    method = Hardening("bit_error", p=0.05)
    clean = practice(Hardening("qat"), store).loss(net, images, labels)
    late = practice(method, store).loss(net, images, labels)
    assert float(clean.detach()) < 1.75
    assert float(late.detach()) != float(clean.detach())
    wrong = functional.one_hot(net(images).argmin(1), 4).argmax(1)
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight *= 4.0
    unlearnt = practice(Hardening("qat"), store).loss(net, images, wrong)
    assert float(unlearnt.detach()) > 1.75
    assert float(practice(method, store).loss(net, images, wrong).detach()) == float(unlearnt.detach())


def test_clipping_holds_the_stored_weights_alone(net: nn.Sequential) -> None:
    bias = net[0].bias.detach().clone()
    practice(Hardening("qat", clip=0.01), store).after_step(net)
    assert float(net[0].weight.detach().abs().max()) == pytest.approx(0.01)
    assert torch.equal(net[0].bias, bias)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "dropout"}, "unknown hardening"),
        ({"method": "noise"}, "amplitude is the strength of noise"),
        ({"method": "qat", "p": 0.1}, "p is the strength of bit_error"),
        ({"method": "bit_error", "p": 0.6}, "at most 0.5"),
        ({"method": "noise", "amplitude": -1.0}, "positive"),
        ({"method": "qat", "map_index": 0}, "map_index is for bit_error"),
        ({"method": "bit_error", "p": 0.01, "p_from": 0.02}, "p_from is where p begins"),
        ({"method": "bit_error", "p": 0.01, "map_index": -1}, "counts fault maps from 0"),
        ({"method": "qat", "clip": 0.0}, "clip must be positive"),
    ],
)
def test_strengths_that_a_method_does_not_have_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hardening(**arguments)
