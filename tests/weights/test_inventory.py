"""Which tensors are stored: kinds, patterns, tied weights, and rules that would silently do nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qtaml_hw.weights.inventory import StoreRule, inventory
from qtaml_hw.weights.network import stored_names


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.table = nn.Embedding(9, 4)
        self.conv = nn.Conv1d(4, 4, 1)
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.table.weight


WEIGHTS = ["conv.weight", "attention.in_proj_weight", "attention.out_proj.weight", "head.weight"]


def stored(**rule: object) -> list[str]:
    return list(stored_names(Net(), StoreRule(**rule)))  # type: ignore[arg-type]


def test_kinds_in_network_order_and_each_parameter_once() -> None:
    entries = inventory(Net())
    assert [(e.name, e.kind) for e in entries if e.kind in ("other", "norm", "bias")] == [
        ("token", "other"),
        ("conv.bias", "bias"),
        ("norm.weight", "norm"),
        ("norm.bias", "norm"),
        ("attention.in_proj_bias", "bias"),
        ("attention.out_proj.bias", "bias"),
    ]
    assert sum(e.values for e in entries) == sum(p.numel() for p in Net().parameters())
    assert set(stored()) == set(WEIGHTS)


def test_switches_and_patterns() -> None:
    assert {"conv.bias", "attention.in_proj_bias", "attention.out_proj.bias"} | set(WEIGHTS) == set(stored(biases=True))
    assert {"norm.weight", "norm.bias"} | set(WEIGHTS) == set(stored(norms=True))
    assert "token" in stored(others=True)
    assert stored(include=("attention.*",)) == ["attention.in_proj_weight", "attention.out_proj.weight"]
    assert set(stored(exclude=("head.*",))) == set(WEIGHTS[:3])


def test_a_tied_table_is_stored_once() -> None:
    assert [n for n in stored(embeddings=True) if n in ("table.weight", "head.weight")] == ["table.weight"]
    assert stored(include=("head.weight",)) == ["head.weight"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (StoreRule(include=("conv.wieght",)), r"no parameter matches 'conv.wieght'.*did you mean 'conv.weight'"),
        (StoreRule(exclude=("x", "y")), r"matches 'x'.*; no parameter matches 'y'"),
        (StoreRule(include=("norm.*",)), r"'norm.\*' matches only norms, which are not stored"),
    ],
)
def test_rules_that_pick_nothing_are_refused(rule: StoreRule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inventory(Net(), rule)
