"""Which values a network has, and what refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.activations import Fresh, Held, Kept, Numbers, trace
from qtaml_hw.faults import MapKey
from qtaml_hw.weights.network import stored_names
from qtaml_hw.weights.registry import number_format
from qtaml_hw.workloads.families.transformer import build
from tests.activations.test_held import lenet


class Attention(nn.Module):
    """Two query heads that share one head of keys and values; keys are turned after they are projected."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4)
        self.o_proj, self.fused = nn.Linear(8, 8), fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            f(x).unflatten(2, (-1, 4)).transpose(1, 2).repeat_interleave(8 // f.out_features, dim=1)
            for f in (self.q_proj, self.k_proj, self.v_proj)
        )
        k = k.roll(1, dims=-1)
        if self.fused:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(2, 3) / 2.0).masked_fill(torch.ones(5, 5).triu(1) > 0, -torch.inf)
            y = scores.softmax(-1) @ v
        return torch.as_tensor(self.o_proj(y.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize("fused", [True, False])
def test_keys_and_values_of_attention(fused: bool) -> None:
    torch.manual_seed(3)
    net, x = nn.Sequential(Attention(fused)).eval(), torch.rand(2, 5, 8)
    taps = trace(net, x[:1], ["kv"], stored_names(net))
    assert [(tap.name, tap.module, tap.side, tap.shape, tap.grows) for tap in taps] == [
        ("0.key", "0", "key", (5, 4), True), ("0.value", "0", "value", (5, 4), True),
    ]  # fmt: skip
    kept = [Kept(tap, Numbers(number_format("int16"), "per_token")) for tap in taps]
    with torch.inference_mode():
        plain = net(x)
        with Held(kept).hooked(net):
            rounded = net(x)
        assert torch.allclose(rounded, plain, atol=1e-3)
        assert not torch.equal(rounded, plain)
        p = np.ones((1, 16))  # a stored value of which every bit is turned
        wrecked = Kept(taps[1], Numbers(number_format("int16"), "per_token"), None, Fresh(MapKey(0), 0, p, p))
        with Held([wrecked]).hooked(net):
            assert not torch.allclose(net(x), plain, atol=0.05)
        assert torch.equal(net(x), plain)


class Unlike(nn.Module):
    """Four query heads of width 4 that share two heads of keys, and of values of a width of their own."""

    def __init__(self, width: int, fused: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(8, 16), nn.Linear(8, 8), nn.Linear(8, 2 * width)
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).unflatten(2, (heads, -1)).transpose(1, 2) for f, heads in self.parts())
        k, v = (one.repeat_interleave(2, dim=1) for one in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v) if self.fused else (q @ k.mT / 2.0).softmax(-1) @ v
        return y.transpose(1, 2).flatten(2)

    def parts(self) -> list[tuple[nn.Linear, int]]:
        return [(self.q_proj, 4), (self.k_proj, 2), (self.v_proj, 2)]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_heads_of_keys_and_values_may_be_of_unlike_widths(width: int, fused: bool) -> None:
    """What lies in the buffer is what the projections write; read back, it is the attention of rounded values."""
    torch.manual_seed(3)
    attention, x = Unlike(width, fused).eval(), torch.rand(2, 5, 8)
    net = nn.Sequential(attention)
    taps = trace(net, x[:1], ["kv"], stored_names(net))
    assert [tap.shape for tap in taps] == [(5, 8), (5, 2 * width)]
    int8 = Numbers(number_format("int8"), "per_token")
    with torch.inference_mode():
        with Held([Kept(tap, int8) for tap in taps]).hooked(net):
            read = net(x)
        q, *written = (f(x) for f, _ in attention.parts())
        for tap, one in zip(taps, written, strict=True):
            int8.round(one.numpy(), tap, None)
        q, k, v = (one.unflatten(2, (heads, -1)) for one, heads in zip((q, *written), (4, 2, 2), strict=True))
        heads = [(q[:, :, h] @ k[:, :, h // 2].mT / 2.0).softmax(-1) @ v[:, :, h // 2] for h in range(4)]
    assert torch.allclose(read, torch.cat(heads, dim=-1), atol=1e-6)
    assert not torch.allclose(read, net(x), atol=1e-5)


@pytest.mark.parametrize("way", ["sdpa", "eager"])
def test_a_llama_of_transformers_keeps_keys_after_their_rotation(way: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(4)
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    config._attn_implementation = way
    inner = transformers.LlamaForCausalLM(config).eval()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.inner(tokens).logits)

    net, tokens = Logits().eval(), torch.randint(0, 50, (3, 7))
    taps = trace(net, tokens[:1], ["kv", "activations"], stored_names(net))
    kv = [tap for tap in taps if tap.side in ("key", "value")]
    assert [tap.name for tap in kv] == [
        f"inner.model.layers.{i}.self_attn.{s}" for i in (0, 1) for s in ("key", "value")
    ]
    assert all(tap.shape == (7, 8) and tap.grows for tap in kv)
    with torch.inference_mode():
        cache = inner(tokens).past_key_values
        seen: list[torch.Tensor] = []

        class Seen(Numbers):
            def round(self, x, tap, known) -> None:  # type: ignore[no-untyped-def]
                seen.append(torch.from_numpy(x.copy()))

        with Held([Kept(tap, Seen(number_format("int8"))) for tap in kv]).hooked(net):
            net(tokens)
    for layer in (0, 1):
        for stored, own in zip(seen[2 * layer :], (cache.layers[layer].keys, cache.layers[layer].values), strict=False):
            torch.testing.assert_close(stored, own.transpose(1, 2).flatten(2))


def test_an_encoder_whose_projections_are_called_key_and_value_looks_both_ways() -> None:
    torch.manual_seed(5)
    net, x = build(1, 4, 3, width=8, depth=1, hidden=8).eval(), torch.rand(2, 1, 4, 4)
    taps = trace(net, x[:1], ["kv"], stored_names(net))
    assert [(tap.name, tap.module, tap.shape, tap.grows) for tap in taps] == [
        ("layers.0.key", "layers.0", (4, 8), False), ("layers.0.value", "layers.0", (4, 8), False),
    ]  # fmt: skip
    with torch.inference_mode():
        plain = net(x)
        with Held([Kept(tap, Numbers(number_format("int16"), "per_token")) for tap in taps]).hooked(net):
            rounded = net(x)
    torch.testing.assert_close(rounded, plain, rtol=1e-3, atol=1e-3)
    assert not torch.equal(rounded, plain)


def test_a_named_module_answers_its_value() -> None:
    net, x = lenet(), torch.rand(2, 1, 8, 8)
    (tap,) = trace(net, x[:1], ["conv2"], stored_names(net))
    assert (tap.side, tap.shape, tap.channels_first) == ("output", (8, 4, 4), True)
    zero = Fresh(MapKey(0), 0, np.zeros((1, 8)), np.ones((1, 8)))
    with torch.inference_mode():
        dead = Held([Kept(tap, Numbers(number_format("int8")), np.ones((1, 1), np.float32), zero)])
        with dead.hooked(net):
            lost = net(x)
    assert torch.equal(lost[0], lost[1])


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        ("conv3", r"no module 'conv3'.*did you mean 'conv[12]'"),
        ("kv", "no module of the network has k_proj and v_proj"),
    ],
)
def test_what_is_not_there_is_refused(contents: str, complaint: str) -> None:
    net = lenet()
    with pytest.raises(ValueError, match=complaint):
        trace(net, torch.zeros(1, 1, 8, 8), [contents], stored_names(net))


def test_a_network_of_one_layer_hands_nothing_on() -> None:
    net = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="no tensor goes from one layer"):
        trace(net, torch.zeros(1, 3), ["activations"], stored_names(net))


def test_a_layer_that_runs_twice_and_an_answer_that_is_read_at_the_end() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.side, self.last = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = torch.relu(self.inner(x))
            aside = self.side(x)
            return self.last(self.inner(x + 1.0)), aside

    net = Twice().eval()
    taps = trace(net, torch.rand(1, 4), ["activations", "side", "last"], stored_names(net))
    assert [(tap.name, tap.written_after, tap.read_last) for tap in taps] == [
        ("side", "inner", "side"),
        ("side.output", "side", "last"),
        ("inner#2", "side", "inner#2"),
        ("last", "inner#2", "last"),
        ("last.output", "last", "last"),
    ]
