"""``corrupted`` gives a module back to the bit, and serves what a user's own layers multiply with."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.ao.nn import quantized as nnq
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.weight_norm import weight_norm

import qtaml_hw as q
from qtaml_hw.config import parse_study

STUDY = parse_study("cell: {preset: gain-cell-65nm}\nflips: {law: fixed, p: 0.1}\nrefresh: off\nevaluate: {seed: 4}\n")


def _pruned() -> nn.Module:
    return prune.random_unstructured(nn.Linear(6, 6), "weight", 0.5)  # type: ignore[no-any-return]


def _frozen() -> nn.Module:
    layer = nn.Linear(6, 6)
    layer.weight.requires_grad_(False)
    return layer


PARTS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(6, 6),
    _pruned,
    _frozen,
    lambda: weight_norm(nn.Linear(6, 6)),
    lambda: parametrizations.weight_norm(nn.Linear(6, 6)),
    lambda: parametrizations.spectral_norm(nn.Linear(6, 6)),
    lambda: nn.BatchNorm1d(6),
    lambda: nn.LayerNorm(6),
    lambda: nn.Dropout(0.5),
    nn.Tanh,
]


def _state(model: nn.Module) -> list[object]:
    """All that a user can see: objects, values, modes, gradients, hooks and classes."""
    layers = [(type(m), m.training, dict(m._forward_hooks), dict(m._forward_pre_hooks)) for m in model.modules()]
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    values = [(name, id(t), t.data_ptr(), t._version, t.requires_grad, t.dtype, t.grad) for name, t in tensors]
    return [layers, values, [t.detach().clone() for _, t in tensors]]


def _same(one: list[object], two: list[object]) -> bool:
    values = zip(one[2], two[2], strict=True)  # type: ignore[call-overload]
    return one[:2] == two[:2] and all(torch.equal(a, b) for a, b in values)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.tuples(st.integers(0, len(PARTS) - 1), st.booleans()), min_size=1, max_size=6),
    nested=st.booleans(),
    double=st.booleans(),
    look=st.booleans(),
)
def test_a_call_gives_back_what_it_took(parts: list[tuple[int, bool]], nested: bool, double: bool, look: bool) -> None:
    torch.manual_seed(0)
    layers = [PARTS[i]() for i, _ in parts]
    model = nn.Sequential(nn.Linear(6, 6), nn.Sequential(*layers) if nested else nn.Tanh(), *layers)
    kind = torch.float64 if double else torch.float32
    model = model.to(kind).train()
    for layer, (_, training) in zip(layers, parts, strict=True):
        layer.train(training)
    model(torch.randn(4, 6, dtype=kind)).sum().backward()
    before, seen = _state(model), torch.randn(4, 6, dtype=kind) if look else None
    random = torch.get_rng_state()
    with q.corrupted(model, STUDY, calibration=seen) as bad:
        assert bad is model
        assert not torch.equal(model[0].weight, before[2][0])  # type: ignore[index]
        assert [m.training for m in layers] == [training for _, training in parts]
    assert _same(_state(model), before)
    assert torch.equal(torch.get_rng_state(), random)


class Own(nn.Module):
    """A layer that keeps its matrix [in, out], as GPT-2's do, under a name of its own, and one that masks its own."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.masked = nn.Parameter(torch.eye(6)), nn.Parameter(torch.eye(6))
        self.register_buffer("mask", torch.eye(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix @ (self.masked * self.mask).T


@pytest.mark.parametrize(("look", "changed"), [(True, True), (False, False)])
def test_own_matrices_are_found_where_inputs_are_given(look: bool, changed: bool) -> None:
    model, x = nn.Sequential(Own(), nn.Linear(6, 2)), torch.ones(1, 6)
    before = copy.deepcopy(model[0].state_dict())
    with q.corrupted(model, STUDY, calibration=x if look else None):
        found = model[0].state_dict()
        assert torch.equal(found["matrix"], before["matrix"]) is not changed
        assert torch.equal(found["masked"], before["masked"]) is not changed
        assert torch.equal(found["mask"], before["mask"])


def test_the_product_of_a_mask_is_what_flips() -> None:
    """No weight under the mask is exact: its zero is stored like any other code."""
    model = prune.custom_from_mask(
        nn.Linear(40, 50), "weight", torch.zeros(50, 40).index_fill(0, torch.arange(25), 1.0)
    )
    plain = nn.Linear(40, 50)
    with torch.no_grad():
        plain.weight.copy_(model.weight)
        plain.bias.copy_(model.bias)
    x = torch.randn(3, 40)
    with torch.no_grad(), q.corrupted(model, STUDY) as bad, q.corrupted(plain, STUDY) as other:
        assert torch.equal(bad(x), other(x))
        share = float((bad.weight[25:] != 0.0).float().mean())
    assert abs(share - (1.0 - 0.9**8)) < 5.0 * (0.43 * 0.57 / 1000) ** 0.5


def _linear() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


@pytest.mark.parametrize("look", [True, False])
def test_a_wrapped_model_is_served_like_its_network(look: bool) -> None:
    plain, wrapped, x = _linear(), nn.DataParallel(_linear()), torch.randn(3, 6)
    seen = x if look else None
    with torch.no_grad(), q.corrupted(plain, STUDY, calibration=seen), q.corrupted(wrapped, STUDY, calibration=seen):
        assert torch.equal(plain(x), wrapped.module(x))
        assert not torch.equal(plain(x), _linear()(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("look", [True, False])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.jit.trace(_linear(), torch.zeros(1, 6)), "the model has TorchScript, which hides its layers"),
        (lambda: nn.Sequential(nn.LazyLinear(5)), "lazy layers that no input has made yet"),
        (lambda: nn.Linear(6, 3, dtype=torch.complex64), "these are complex: weight"),
        (lambda: nn.Sequential(nnq.Linear(6, 3)), r"a network that torch has quantised \(0, "),
    ],
)
def test_weights_that_cannot_be_reached_are_one_line(make: Callable[[], nn.Module], message: str, look: bool) -> None:
    seen = torch.zeros(1, 6) if look else None
    with pytest.raises(ValueError, match=message), q.corrupted(make(), STUDY, calibration=seen):
        pass


def test_values_of_buffers_are_no_part_of_a_corrupted_module() -> None:
    beside = STUDY.with_({"buffers": [{"name": "act", "contents": "activations", "refresh": "off"}]})
    model = nn.Linear(6, 6)
    before = _state(model)
    with pytest.raises(q.InputError, match=r"corrupted hands on weights .*\(act\) hold"), q.corrupted(model, beside):
        pass
    assert _same(_state(model), before)
    plain, corrupted = model.weight.detach().clone(), beside.with_({"buffers": None})
    with q.corrupted(model, corrupted):
        assert not torch.equal(model.weight, plain)
