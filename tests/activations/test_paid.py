"""What later tokens pay, against attention weights written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.activations import attention_paid, trace
from qtaml_hw.weights.network import stored_names
from tests.activations.test_taps import Attention


@pytest.mark.parametrize("fused", [True, False])
def test_attention_is_summed_over_later_tokens_and_heads(fused: bool) -> None:
    torch.manual_seed(3)
    net, x = nn.Sequential(Attention(fused)).eval(), torch.rand(3, 5, 8)
    found = attention_paid(net, trace(net, x[:1], ["kv"], stored_names(net)), x, batch=2)
    inner = net[0]
    assert isinstance(inner, Attention)
    with torch.no_grad():
        q = inner.q_proj(x).reshape(3, 5, 2, 4)
        k = inner.k_proj(x).roll(1, dims=-1)
        expected = np.zeros(5)
        for n in range(3):
            for head in range(2):
                for later in range(5):
                    w = torch.softmax(k[n, : later + 1] @ q[n, later, head] / 2.0, dim=0)
                    expected[:later] += w[:later].numpy() / 3
    assert found.keys() == {"0.key", "0.value"}
    for paid in found.values():
        np.testing.assert_allclose(paid, expected, rtol=1e-5, atol=1e-7)


def test_eager_attention_answers_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    found, tokens = {}, torch.randint(0, 50, (4, 7), generator=torch.Generator().manual_seed(1))
    for way in ("eager", "sdpa"):
        torch.manual_seed(4)
        config._attn_implementation = way
        inner = transformers.LlamaForCausalLM(config).eval()

        class Logits(nn.Module):
            def __init__(self, model: nn.Module) -> None:
                super().__init__()
                self.inner = model

            def forward(self, tokens: torch.Tensor) -> torch.Tensor:
                return torch.as_tensor(self.inner(tokens).logits)

        net = Logits(inner).eval()
        found[way] = attention_paid(net, trace(net, tokens[:1], ["kv"], stored_names(net)), tokens)
    assert found["eager"].keys() == found["sdpa"].keys()
    for name, paid in found["eager"].items():
        np.testing.assert_allclose(paid, found["sdpa"][name], rtol=1e-4, atol=1e-7)
        assert paid[-1] == 0.0
        assert paid[0] > paid[-2] > 0.0


def test_attention_that_shows_no_weights_is_refused() -> None:
    class Folded(Attention):
        """Heads among the inputs: products of three axes."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            k, v = self.k_proj(x), self.v_proj(x)
            y = (self.q_proj(x)[..., :4] @ k.transpose(1, 2)).softmax(-1) @ v
            return torch.as_tensor(self.o_proj(torch.cat([y, y], dim=2)))

    net, x = nn.Sequential(Folded(fused=False)).eval(), torch.rand(2, 5, 8)
    taps = trace(net, x[:1], ["kv"], stored_names(net))
    assert [tap.module for tap in taps] == ["0.k_proj", "0.v_proj"]
    with pytest.raises(ValueError, match=r"attention weights of 0, which neither.*score: age"):
        attention_paid(net, taps, x)
