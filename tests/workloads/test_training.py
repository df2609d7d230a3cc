"""Training: reproducible, alone in its effects, and good enough; the networks can be traced and folded."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
from torch import fx, nn

from qtaml_hw.workloads import load_data, load_network, names, network, state_digest
from qtaml_hw.workloads.catalogue import Recipe
from qtaml_hw.workloads.training import build, train

QUICK = ("digits-lenet", "digits-mlp")
SEED = 2025  # not that of the weights which the package ships


@pytest.mark.parametrize("name", names())
def test_clean_accuracy_on_digits(name: str) -> None:
    if name not in QUICK and not os.environ.get("QTAML_HW_TEST_ZOO"):
        pytest.skip("trains for ten seconds or more: set QTAML_HW_TEST_ZOO=1 to run it")
    seen: list[tuple[int, int, str]] = []
    loaded = load_network(name, seed=SEED, progress=lambda *step: seen.append(step))
    assert loaded.record is not None
    assert loaded.record.clean_accuracy >= 0.95
    epochs = network(name).recipe.epochs
    assert [(done, total) for done, total, _ in seen] == [(i + 1, epochs) for i in range(epochs)]
    assert not loaded.module.training
    data = load_data()
    with torch.inference_mode():
        right = loaded.module(torch.from_numpy(data.test_x)).argmax(1) == torch.from_numpy(data.test_y)
    assert float(right.double().mean()) == pytest.approx(loaded.record.clean_accuracy)


@pytest.mark.parametrize("name", ["digits-lenet", "digits-mobilenet"])
def test_the_same_seed_gives_the_same_weights_and_leaves_no_trace(name: str) -> None:
    spec, data = dataclasses.replace(network(name), recipe=Recipe(epochs=1, batch=256, shift=1)), load_data()
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = state_digest(train(spec, data, 1).state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(6)
    torch.set_num_threads(2)
    try:
        assert state_digest(train(spec, data, 1).state_dict()) == first
    finally:
        torch.set_num_threads(threads)
    assert state_digest(train(spec, data, 2).state_dict()) != first


@pytest.mark.parametrize("name", names())
def test_networks_can_be_traced_for_folding(name: str) -> None:
    spec = network(name)
    module = build(spec).eval()
    traced = fx.symbolic_trace(module)
    x = torch.rand(3, *spec.input_shape)
    with torch.inference_mode():
        assert torch.equal(traced(x), module(x))
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    norms = [node for node in calls if isinstance(traced.get_submodule(node.target), nn.BatchNorm2d)]
    for norm in norms:  # every batch norm follows a convolution of its own
        before = traced.get_submodule(norm.args[0].target)
        assert isinstance(before, nn.Conv2d)
        assert before.bias is None
    assert len(norms) == sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def test_builders_refuse_sizes_that_cannot_work() -> None:
    for name, message in (("digits-resnet", "at least 4 x 4"), ("digits-mobilenet", "at least 4 x 4")):
        with pytest.raises(ValueError, match=message):
            build(dataclasses.replace(network(name), input_shape=(1, 2, 2)))
    with pytest.raises(ValueError, match="multiple of 4"):
        build(dataclasses.replace(network("digits-transformer"), arguments={"width": 95}))


def test_networks_of_other_sizes_are_built_for_larger_images() -> None:
    for name in names():
        spec = dataclasses.replace(network(name), input_shape=(1, 28, 28), classes=7)
        with torch.inference_mode():
            assert build(spec).eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
