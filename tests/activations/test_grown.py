"""Keys and values that age while a sequence grows, against one token after another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.activations import Counts, Fresh, Held, Kept, Numbers, Same, Tap, ValueFaults, guard, trace
from qtaml_hw.arrays import Float32
from qtaml_hw.faults import MapKey
from qtaml_hw.memory import PoissonCells
from qtaml_hw.memory.buffers import PlaneCells, Rates, Value, allocate, masks_of, rates_of
from qtaml_hw.protection import entry
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format
from tests.activations.test_taps import Attention
from tests.memory.brute_force import UniformLife

KEY, TOKENS, WIDTH, FIRST = MapKey(3, 1), 5, 4, 2
NUMBERS = Numbers(number_format("int8"), "per_token")
VALUE = Value("k", "", TOKENS * WIDTH, 8, 0.0, 1.0, 5.0, tokens=TOKENS, token_s=1.0)
OFTEN = (PlaneCells((0, 1, 2, 3), UniformLife(8.0), 2.5), PlaneCells((4, 5, 6, 7), UniformLife(40.0, "both")))
MEMORYLESS = (PlaneCells(tuple(range(8)), PoissonCells(0.05)),)


def faults_of(rates: Rates, number: int, batch: int) -> ValueFaults:
    """Weak cells of an inference of a batch, or a draw."""
    if rates.p[1, 0, 1, 0] == -np.expm1(-0.05):
        return Fresh(KEY, number, *rates.at(), range(0, TOKENS * WIDTH, WIDTH), rates)
    value = replace(VALUE, words=batch * VALUE.words, batch=batch)
    (masks,) = masks_of(allocate([value]), [rates], KEY, number)
    assert masks is not None
    return Same(KEY, number, masks.up, masks.down, batch, masks.late)


def at(faults: ValueFaults, rates: Rates, step: int) -> ValueFaults:
    """The same as a step finds it: probabilities of that step, or weak cells that fail by then."""
    if isinstance(faults, Fresh):
        p01, p10 = rates.at(step)
        return replace(faults, p01=p01, p10=p10)
    assert isinstance(faults, Same)
    value = replace(VALUE, words=faults.batch * VALUE.words, batch=faults.batch)
    flat = Rates(np.stack([np.stack([np.zeros_like(p), p], axis=1) for p in rates.at(step)]), np.arange(TOKENS))
    (masks,) = masks_of(allocate([value]), [flat], KEY, faults.value)
    assert masks is not None
    return Same(KEY, faults.value, masks.up, masks.down, faults.batch)


def token_by_token(net: Attention, x: torch.Tensor, kept: dict[str, Kept], rates: Rates) -> torch.Tensor:
    """What every token of x [N, T, 8] is answered, reading what its own step finds of keys and values up to its own."""
    q = net.q_proj(x).unflatten(2, (2, 4)).transpose(1, 2)
    written = {"key": net.k_proj(x).roll(1, dims=-1), "value": net.v_proj(x)}
    out = []
    for step in range(TOKENS):
        read: dict[str, torch.Tensor] = {}
        for side, one in kept.items():
            stored: Float32 = np.array(written[side].numpy(), order="C")
            codes, scale = NUMBERS.encode(stored, one.tap, None)
            held = codes.copy()
            assert one.faults is not None
            then = at(one.faults, rates, step)
            then.strike(held, FIRST)
            for word in one.guards:
                assert word.by_step is not None
                alone = replace(word, p01=word.by_step[0, step], p10=word.by_step[1, step], by_step=None)
                alone.read(codes, held, then, FIRST, Counts.none(8), 0)
            NUMBERS.decode(held, scale, one.tap, stored)
            read[side] = torch.from_numpy(stored[:, None, : step + 1])
        weights = (q[:, :, step : step + 1] @ read["key"].mT / 2.0).softmax(-1)
        out.append((weights @ read["value"]).transpose(1, 2).flatten(2))
    return torch.as_tensor(net.o_proj(torch.cat(out, dim=1)))


def kept_of(net: nn.Module, x: torch.Tensor, rates: Rates, *, batch: int = 1, coded: bool = False) -> list[Kept]:
    """Keys and values of the network in cells that flip so often."""
    taps = trace(net, x[:1], ["kv"], stored_names(net))
    channel = np.array([[p.max(axis=0) for p in rates.at(step)] for step in range(TOKENS)]).swapaxes(0, 1)
    code = entry("secded-13-8")
    guards = (guard(code, np.arange(8) >= 5, TOKENS * WIDTH, channel),) if coded else ()
    return [Kept(tap, NUMBERS, None, faults_of(rates, i, batch), guards) for i, tap in enumerate(taps)]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("cells", [OFTEN, MEMORYLESS])
@pytest.mark.parametrize(("batch", "coded"), [(1, False), (2, True)])
def test_every_token_reads_the_others_at_their_age(
    fused: bool, cells: tuple[PlaneCells, ...], batch: int, coded: bool
) -> None:
    torch.manual_seed(3)
    net, x = nn.Sequential(Attention(fused)).eval(), torch.rand(3 + FIRST, TOKENS, 8)
    rates = rates_of(VALUE, cells)
    kept = kept_of(net, x, rates, batch=batch, coded=coded)
    assert all(one.faults is not None and one.faults.grows for one in kept)
    inner, held = net[0], Held(kept)
    assert isinstance(inner, Attention)
    with torch.inference_mode(), held.hooked(net):
        net(x[:FIRST])
        before = {name: (counts.struck.copy(), counts.wrong.copy()) for name, counts in held.counts.items()}
        found = net(x[FIRST:])
    with torch.inference_mode():
        twin = token_by_token(inner, x[FIRST:], {one.tap.side: one for one in kept}, rates)
        plain = token_by_token(inner, x[FIRST:], {one.tap.side: one for one in kept}, rates.without(np.ones(8) > 0))
        fixed = [replace(one, tap=replace(one.tap, grows=False)) for one in kept]
        with (last := Held(fixed)).hooked(net):
            net(x[:FIRST])
            once = net(x[FIRST:])
    torch.testing.assert_close(found, twin, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[:, -1], once[:, -1], rtol=1e-5, atol=1e-6)  # the last token finds all as old
    assert not torch.allclose(found[:, 1:-1], once[:, 1:-1], atol=1e-3)
    assert not torch.allclose(found, plain, atol=1e-3)
    for name, counts in held.counts.items():  # what the last token finds is what is counted
        assert counts.struck.tolist() == last.counts[name].struck.tolist()
        assert counts.wrong.tolist() == last.counts[name].wrong.tolist()
        assert (counts.struck - before[name][0]).sum() > 0


def test_what_does_not_grow_older_is_read_at_once() -> None:
    """Stated probabilities, charge that reads restore, refresh at every token, and tokens that all come together."""
    every = tuple(range(8))
    steady = (
        rates_of(VALUE, (PlaneCells(every, UniformLife(8.0), reads_restore=True),)),
        rates_of(VALUE, (PlaneCells(every, UniformLife(8.0), 1.0),)),
        rates_of(replace(VALUE, token_s=0.0), (PlaneCells(every, UniformLife(8.0)),)),
    )
    assert [one.grows for one in steady] == [False] * 3
    for rates in steady[:2]:
        (masks,) = masks_of(allocate([VALUE]), [rates], KEY)
        assert masks is not None
        assert (masks.late, masks.down.any()) == (None, True)


def test_attention_that_looks_ahead_reads_all_as_the_last_read_finds_it() -> None:
    class Both(Attention):
        """Every token sees every other."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (f(x).unflatten(2, (-1, 4)).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
            y = functional.scaled_dot_product_attention(q, k.expand_as(q), v.expand_as(q))
            return torch.as_tensor(self.o_proj(y.transpose(1, 2).flatten(2)))

    net, x = nn.Sequential(Both(fused=True)).eval(), torch.rand(1, TOKENS, 8)
    taps: tuple[Tap, ...] = trace(net, x, ["kv"], stored_names(net))
    assert [tap.grows for tap in taps] == [False, False]
