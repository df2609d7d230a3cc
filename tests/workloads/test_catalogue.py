"""The list of networks: names, sizes, digests, and what it imports."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from qtaml_hw import workloads
from qtaml_hw.workloads import names, network
from qtaml_hw.workloads.training import build

PARAMETERS = {
    "digits-lenet": 31_294,
    "digits-vgg": 4_648_898,
    "digits-resnet": 392_242,
    "digits-resnet-wide": 1_563_226,
    "digits-mobilenet": 78_730,
    "digits-transformer": 252_906,
    "digits-mlp": 1_126_410,
}


def test_every_name_is_here() -> None:
    assert set(names()) == set(PARAMETERS)


@pytest.mark.parametrize("name", names())
def test_sizes(name: str) -> None:
    spec = network(name)
    assert sum(p.numel() for p in build(spec).parameters()) == PARAMETERS[name]
    assert (spec.name, spec.input_shape, spec.classes) == (name, (1, 8, 8), 10)
    assert spec.train_seconds < 60.0


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"unknown network 'digits-vg'.*digits-lenet.*did you mean 'digits-vgg'"):
        network("digits-vg")
    with pytest.raises(ValueError, match=r"unknown data set 'mnist'; allowed: digits"):
        workloads.load_data("mnist")


def test_the_digest_follows_what_decides_the_weights_and_nothing_else() -> None:
    spec = network("digits-lenet")
    same = dataclasses.replace(spec, name="other", title="other", about="other", train_seconds=1.0)
    assert same.digest(1) == spec.digest(1)
    assert spec.digest(2) != spec.digest(1)
    slower = dataclasses.replace(spec.recipe, learning_rate=1e-4)
    assert dataclasses.replace(spec, recipe=slower).digest(1) != spec.digest(1)
    assert dataclasses.replace(spec, arguments={"width": 8}).digest(1) != spec.digest(1)


def test_the_list_imports_neither_torch_nor_scikit_learn() -> None:
    script = (
        "import sys, qtaml_hw.workloads as w; w.network('digits-vgg'); w.names();"
        "print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_is_there() -> None:
    assert all(hasattr(workloads, name) for name in workloads.__all__)
    with pytest.raises(AttributeError, match="load_networks"):
        _ = workloads.load_networks
