"""Steps before storage change no output; each does what it is for; what it cannot do it says."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import flip_bits
from qtaml_hw.names import Direction
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac import ProtectedImage, damage_model
from qtaml_hw.weights import number_format, quantise
from qtaml_hw.weights.network import fold_batch_norm, weight_arrays
from qtaml_hw.weights.transforms import Evidence, rewritten
from qtaml_hw.weights.transforms_graph import chains
from qtaml_hw.weights.transforms_order import sensitivity_order
from qtaml_hw.weights.transforms_planes import inversion_cost, inversion_masks, inverted
from qtaml_hw.weights.transforms_scale import activation_scale, equalise
from qtaml_hw.workloads import network
from qtaml_hw.workloads.training import build

FOLDABLE = ("digits-lenet", "digits-vgg", "digits-resnet", "digits-mobilenet", "digits-mlp")
ZOO = (*FOLDABLE, "digits-transformer")
SMALL = {
    "digits-lenet": {},
    "digits-vgg": {"width": 6, "hidden": 40},
    "digits-resnet": {"width": 8},
    "digits-mobilenet": {"width": 8},
    "digits-mlp": {"hidden": 48},
    "digits-transformer": {"width": 16, "depth": 2, "hidden": 24},
}


def net(name: str, folded: bool = False) -> tuple[nn.Module, torch.Tensor]:
    """A network whose norms are as trained ones are, far from the identity."""
    torch.manual_seed(4)
    module = build(dataclasses.replace(network(name), arguments=SMALL[name])).eval()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(part.weight, 0.3, 2.0)
            nn.init.normal_(part.bias, std=0.3)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    x = torch.rand(16, 1, 8, 8)
    return (fold_batch_norm(module) if folded else module), x


def energies(module: nn.Module) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {name: draw.exponential(size=w.shape) for name, w in weight_arrays(module).items()}


def same(before: nn.Module, after: nn.Module, x: torch.Tensor) -> float:
    """Largest change of an output, relative to the largest output."""
    with torch.inference_mode():
        a, b = before(x), after(x)
    return float((a - b).abs().max() / a.abs().max())


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("step", ["equalise", "activation_scale", "sensitivity_order"])
def test_no_step_changes_an_output(name: str, step: str) -> None:
    module, x = net(name, folded=name in FOLDABLE)
    if (name, step) == ("digits-transformer", "equalise"):
        with pytest.raises(ValueError, match="equalise finds no two layers"):
            equalise(module)
        return
    state = {key: value.clone() for key, value in module.state_dict().items()}
    after = rewritten(module, step, Evidence(x, energies))
    assert same(module, after, x) < 2e-5
    one, two = weight_arrays(module), weight_arrays(after)
    assert step == "activation_scale" or any(not np.array_equal(one[name], two[name]) for name in one)
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", ["digits-vgg", "digits-mobilenet"])
def test_channels_move_through_batch_norm_and_depthwise_convolutions(name: str) -> None:
    module, x = net(name)
    assert same(module, sensitivity_order(module, energies(module)), x) < 2e-5
    assert all("depthwise" not in chain.maker for chain in chains(module, through_depthwise=True))


def test_equalised_layers_fill_their_ranges_alike() -> None:
    module, _ = net("digits-lenet")
    with torch.no_grad():
        module.conv1.weight[3] *= 50.0
    after = equalise(module)
    for chain in chains(after):
        made = after.get_submodule(chain.maker).weight.detach().flatten(1).abs().amax(1)
        user = after.get_submodule(chain.users[0]).weight.detach()
        taken = user.view(user.shape[0], -1, chain.block).abs().amax((0, 2)) if chain.block > 1 else None
        taken = user.transpose(0, 1).flatten(1).abs().amax(1) if taken is None else taken
        assert torch.allclose(made, taken, rtol=5e-3)


def test_batch_norm_between_the_layers_is_named() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    with pytest.raises(ValueError, match="fold_batch_norm"):
        equalise(module)
    assert same(module.eval(), equalise(fold_batch_norm(module)), torch.rand(2, 1, 8, 8)) < 1e-5


def test_a_dead_channel_stays_dead_and_does_no_harm() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    with torch.no_grad():
        module[0].weight[2] = 0.0
        module[0].bias[2] = 0.0
        module[2].weight[:, 4] = 0.0
    after = equalise(module)
    assert all(torch.isfinite(p).all() for p in after.parameters())
    assert same(module, after, torch.randn(8, 4)) < 1e-5


def test_large_activations_get_large_weights_only_when_that_is_predicted_to_help() -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with torch.no_grad():
        module[0].weight[1] *= 30.0
        module[2].weight[:, 1] /= 30.0
    x = torch.randn(64, 6)
    after = activation_scale(module, x)
    assert float(after[2].weight[:, 1].detach().abs().max()) > 3.0 * float(module[2].weight[:, 1].detach().abs().max())

    def error(net: nn.Module) -> float:
        """Mean squared change of the outputs when every weight is off by 1 % of its tensor's peak."""
        draw = torch.Generator().manual_seed(2)
        total = 0.0
        for _ in range(100):
            faulty = copy.deepcopy(net)
            with torch.no_grad():
                for layer in (faulty[0], faulty[2]):
                    layer.weight += 0.01 * layer.weight.abs().max() * torch.randn(layer.weight.shape, generator=draw)
                total += float(((faulty(x) - net(x)) ** 2).mean())
        return total

    assert error(after) < 0.5 * error(module)


def test_channels_run_from_the_most_sensitive_to_the_least() -> None:
    module, _ = net("digits-mlp")
    worth = energies(module)
    after = sensitivity_order(module, worth)
    order = np.argsort(-(worth["fc1.weight"].sum(1) + worth["fc2.weight"].sum(0)), kind="stable")
    assert np.array_equal(weight_arrays(after)["fc1.weight"], weight_arrays(module)["fc1.weight"][order])


def test_what_cannot_move_is_said() -> None:
    alone = nn.Sequential(nn.Linear(4, 2)).eval()
    for step in ("equalise", "activation_scale", "sensitivity_order"):
        with pytest.raises(ValueError, match=step):
            rewritten(alone, step, Evidence(torch.rand(3, 4), energies))
    with pytest.raises(ValueError, match="needs unlabelled calibration inputs"):
        activation_scale(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), torch.empty(0, 4))
    with pytest.raises(ValueError, match="no step that rewrites a module"):
        rewritten(alone, "invert_planes", Evidence(torch.rand(3, 4), energies))


def test_layers_that_share_a_channel_with_a_sum_are_left_alone() -> None:
    module, _ = net("digits-resnet", folded=True)
    assert {chain.maker.rpartition(".")[2] for chain in chains(module)} <= {"conv1"}
    assert all(len(chain.users) == 1 for chain in chains(module))


@pytest.mark.parametrize("name", ["int8", "int4", "int16", "e4m3", "power6"])
@pytest.mark.parametrize("encoding", ["twos_complement", "sign_magnitude", "gray"])
def test_inverted_planes_decode_to_the_same_weights_bit_for_bit(name: str, encoding: str) -> None:
    draw = np.random.default_rng(3)
    tensors = {"a": draw.normal(size=(6, 20)).astype(np.float32), "b": draw.normal(size=(3, 2, 3)).astype(np.float32)}
    image = quantise(tensors, number_format(name, encoding=encoding))
    masks = (0b1001, (1 << image.planes) - 1)
    other = inverted(image, masks)
    for a, b in zip(image.decode().values(), other.decode().values(), strict=True):
        assert np.array_equal(a, b)
    for one, two, mask in zip(image.tensors, other.tensors, masks, strict=True):
        assert np.array_equal(one.codes ^ two.codes, np.full(one.weights, mask))
        assert np.array_equal(one.codes, two.meant_codes)
    assert other.digest != image.digest
    assert inversion_cost(other) == (2 * image.planes, image.planes * 2.0)
    with pytest.raises(ValueError, match="inverted already"):
        inverted(other, masks)
    with pytest.raises(ValueError, match="masks of"):
        inverted(image, (0, 1 << image.planes))


def test_planes_are_inverted_where_that_lowers_the_expected_damage() -> None:
    zeros, ones = np.array([[1.0, 5.0, 2.0], [3.0, 0.0, 0.0]]), np.array([[4.0, 1.0, 2.0], [1.0, 7.0, 0.0]])
    up, down = np.full(3, 0.1), np.full(3, 0.3)
    assert inversion_masks(zeros, ones, up, down) == (0b001, 0b010)
    assert inversion_masks(zeros, ones, down, up) == (0b010, 0b001)
    assert inversion_masks(zeros, ones, up, up) == (0, 0)


@pytest.mark.parametrize("direction", ["1to0", "0to1"])
def test_damage_and_corrections_of_inverted_planes_are_those_of_swapped_flips(direction: Direction) -> None:
    draw = np.random.default_rng(5)
    tensors = {"a": draw.normal(size=(40, 20)).astype(np.float32)}
    image = quantise(tensors, number_format("int8", encoding="sign_magnitude"))
    worth = draw.exponential(size=image.weights)
    channel = FlipChannel.uniform(0.1, 8, direction=direction)
    other = inverted(image, (0xFF,))
    starts = image.group_starts("layer")
    plain, swapped = damage_model(image, worth, starts), damage_model(other, worth, starts)
    assert np.allclose(swapped.distortion(channel.p01, channel.p10), plain.distortion(channel.p10, channel.p01))
    mirror = FlipChannel.uniform(0.1, 8, direction="0to1" if direction == "1to0" else "1to0")
    plan = ProtectionPlan.unprotected(image.tensor_starts, 8)
    for kind in ("offset", "shrink", "table"):
        one = ProtectedImage(image, plan, mirror).decoder(kind)
        two = ProtectedImage(other, plan, channel).decoder(kind)
        assert np.allclose(one.layers[0].tables, two.layers[0].tables)
        read = flip_bits(other.tensors[0].codes, channel.p01, channel.p10, seed=1)
        assert np.array_equal(two.decode([read])["a"], one.decode([read ^ np.uint8(0xFF)])["a"])
