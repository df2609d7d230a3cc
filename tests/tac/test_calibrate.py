"""Channels matched without labels: what a gain and a shift undo exactly, and what they are worth on the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw import tac
from qtaml_hw.errors import InputError
from qtaml_hw.tac.decoding.side import NUMBER_BITS
from tests import studies

FIXED: dict[str, Any] = {
    "flips.law": "fixed",
    "flips.p": 0.05,
    "protection.policy": "tac",
    "protection.menu": ["ideal"],
    "protection.budget": {"bits": 0.125},
    "evaluate.images": 200,
}


def _network() -> tuple[nn.Sequential, tac.ChannelMatch]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5, bias=False)).eval()
    return net, tac.ChannelMatch(net, ("0.weight", "3.weight"), torch.randn(64, 1, 6, 6))


def _outputs(net: nn.Module, weights: dict[str, Any], inputs: torch.Tensor) -> torch.Tensor:
    state = {name: torch.from_numpy(w) for name, w in weights.items()}
    return torch.func.functional_call(net, state, (inputs,)).detach()


def test_gains_of_channels_are_undone_exactly() -> None:
    """Scaled rows are what a gain and a shift can undo; later layers are matched after earlier ones."""
    net, match = _network()
    clean = {name: p.detach().numpy() for name, p in net.named_parameters()}
    scaled = {
        "0.weight": (clean["0.weight"] * np.array([0.5, 1.5, 2.0, 0.8]).reshape(4, 1, 1, 1)).astype(np.float32),
        "3.weight": (clean["3.weight"] * np.array([2.0, 0.6, 1.0, 1.2, 0.7])[:, None]).astype(np.float32),
    }
    found = match.folded(scaled, match.affine(scaled))
    assert set(found) == {"0.weight", "3.weight", "0.bias"}
    wanted = _outputs(net, clean, match.inputs)
    torch.testing.assert_close(_outputs(net, found, match.inputs), wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(_outputs(net, scaled, match.inputs), wanted, atol=0.1)


def test_moments_are_those_of_the_clean_network_after_noise() -> None:
    net, match = _network()
    rng = np.random.default_rng(1)
    clean = {name: p.detach().numpy() for name, p in net.named_parameters() if name.endswith("weight")}
    noisy = {name: (w + rng.normal(0, 0.1, w.shape)).astype(np.float32) for name, w in clean.items()}
    found = match.folded(noisy, match.affine(noisy))
    first = net[0]
    state = {"weight": torch.from_numpy(found["0.weight"]), "bias": torch.from_numpy(found["0.bias"])}
    z = torch.func.functional_call(first, state, (match.inputs,)).movedim(1, 0).flatten(1)
    mean, deviation = match.clean["0.weight"]
    torch.testing.assert_close(z.mean(1), mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(z.std(1, correction=0), deviation, rtol=1e-3, atol=1e-4)


def test_gains_and_shifts_are_counted() -> None:
    _, match = _network()
    assert match.side_bits == NUMBER_BITS * (2 * 4 + 5)  # five channels have no bias to shift
    plain, matched = (studies.design({**FIXED, "protection.correction": c}) for c in ("none", "per_chip"))
    channels = 16 + 32 + 120 + 84 + 10
    added = matched.facts["side_bits_fraction"] - plain.facts["side_bits_fraction"]
    assert added == pytest.approx(2 * NUMBER_BITS * channels / matched.facts["stored_bits"])
    assert matched.facts["zero_overhead"]


def test_a_pass_on_each_chip_wins_back_most_of_the_loss() -> None:
    scores = {}
    for kind in ("none", "calibrate", "per_chip"):
        design = studies.design({**FIXED, "protection.correction": kind})
        scores[kind] = float(np.mean([design.record(i)["score"] for i in range(4)]))
        clean = design.network.clean_score
    lost = clean - scores["none"]
    assert lost > 0.03
    assert clean - scores["per_chip"] < 0.5 * lost
    assert abs(scores["calibrate"] - scores["none"]) < 0.05  # static numbers: no gain under symmetric flips


def test_every_policy_and_what_cannot_be_matched() -> None:
    for policy, budget, menu in (
        ("uniform", {"bits": 0.125}, ["ideal"]),
        ("joint", {"stored_bits": 8.0}, ["ideal"]),
        ("tac", {"parity": 0.1}, ["secded-72-64"]),
    ):
        changes = {"protection.policy": policy, "protection.budget": budget, "protection.menu": menu, "flips.p": 0.005}
        design = studies.design({**FIXED, **changes, "protection.correction": "per_chip"})
        assert design.record(0)["score"] > 0.9 * design.network.clean_score
    with pytest.raises(InputError, match="under the law poisson others fail at every read"):
        studies.design({"flips.law": "poisson", "protection.correction": "per_chip"})
