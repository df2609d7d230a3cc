"""T0-QAT's own experiment: noise of fixed amplitude in the forward pass of a linear regression, over many seeds.

Source: J. Pascher, "T0-QAT: xi-Aware Quantization-Aware Training", repository T0-Time-Mass-Duality on GitHub: one
linear layer with bias, 1,000 samples, 10 features, 300 epochs of Adam at 0.005 on all samples at once, Gaussian noise
of standard deviation xi * scaling on every weight and on the bias, xi = 4/3e-4, scaling 80,000 (so 10.67).  Its Table
1 is one run.  Not stated there, and chosen here: features N(0, 1), targets from weights N(0, 1) with noise 0.1, the
baseline without noise, and what "quantised" means: either one draw of Gaussian noise on the weights, its deviation set
so that the expected loss of the standard method is the published one, or rounding to 2, 3 or 4 bits.

Here xi is a tunable amplitude; nothing is claimed about physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.reproduce.result import Row

XI = 4.0 / 3.0 * 1e-4
SCALING = 80_000.0
SAMPLES, FEATURES, EPOCHS, LEARNING_RATE = 1000, 10, 300, 5e-3
TARGET_NOISE = 0.1
FULL_PRECISION = {"standard": 0.318700, "T0": 9.501066}
QUANTISED = {"standard": 3.254614, "T0": 10.936824}
DROP = {method: QUANTISED[method] - FULL_PRECISION[method] for method in QUANTISED}
READ_NOISE = math.sqrt(DROP["standard"] / (FEATURES + 1))  # unit features: a drop of READ_NOISE^2 (features + bias)
ROUNDED_BITS = (2, 3, 4)
SCALINGS = (80.0, 800.0, 8_000.0, SCALING)
DRAWS = 200  # of the noise on one network, for its expected loss
_STEP = 1_000_003


@dataclass(frozen=True, eq=False)
class Regressions:
    """Independent regressions, one per seed; the mean squared error of weights w is w'Hw - 2c'w + q, exactly.

    hessian: [S, F + 1, F + 1], second moments of features and a constant; linear: [S, F + 1]; constant: [S];
    start: [S, F + 1] as torch initialises a linear layer.  float64.
    """

    hessian: torch.Tensor
    linear: torch.Tensor
    constant: torch.Tensor
    start: torch.Tensor
    seeds: tuple[int, ...]

    def loss(self, weights: torch.Tensor) -> torch.Tensor:
        """Mean squared error [S] of weights [S, F + 1]; the bias comes last."""
        square = torch.einsum("sf,sfg,sg->s", weights, self.hessian, weights)
        error: torch.Tensor = square - 2.0 * (weights * self.linear).sum(1) + self.constant
        return error

    def expected_drop(self, deviation: float) -> torch.Tensor:
        """Expected rise of the loss [S] under weight noise: deviation^2 tr H, whatever the weights are."""
        return deviation**2 * torch.einsum("sff->s", self.hessian)


def regressions(seeds: tuple[int, ...]) -> Regressions:
    """The same regression for a seed whatever the other seeds are."""
    parts = [_one(seed) for seed in seeds]
    hessian, linear, constant, start = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
    return Regressions(hessian, linear, constant, start, seeds)


def _one(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(_STEP * seed)
    features = torch.randn(SAMPLES, FEATURES, generator=draw, dtype=torch.float64)
    truth = torch.randn(FEATURES, generator=draw, dtype=torch.float64)
    target = features @ truth + TARGET_NOISE * torch.randn(SAMPLES, generator=draw, dtype=torch.float64)
    inputs = torch.cat([features, torch.ones(SAMPLES, 1, dtype=torch.float64)], dim=1)
    start = (2.0 * torch.rand(FEATURES + 1, generator=draw, dtype=torch.float64) - 1.0) / math.sqrt(FEATURES)
    return inputs.T @ inputs / SAMPLES, inputs.T @ target / SAMPLES, (target**2).mean(), start


def _noise(problems: Regressions, draws: int, stream: int) -> torch.Tensor:
    """Standard normal [draws, S, F + 1], a stream of its own for every seed."""
    parts = [
        torch.randn(
            draws, FEATURES + 1, generator=torch.Generator().manual_seed(_STEP * seed + stream), dtype=torch.float64
        )
        for seed in problems.seeds
    ]
    return torch.stack(parts, dim=1)


def trained(problems: Regressions, amplitude: float) -> torch.Tensor:
    """Weights [S, F + 1] after the listing's training loop, with noise of this standard deviation on all of them."""
    weights = problems.start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([weights], lr=LEARNING_RATE)
    for noise in amplitude * _noise(problems, EPOCHS, 1):
        optimiser.zero_grad()
        problems.loss(weights + noise).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return weights.detach()


def rounded(weights: torch.Tensor, bits: int) -> torch.Tensor:
    """Weights and bias of every regression on 2^bits - 1 levels, symmetric about zero, the largest kept exactly."""
    largest = 2 ** (bits - 1) - 1
    step = weights.abs().amax(dim=1, keepdim=True) / largest
    levels: torch.Tensor = torch.round(weights / step).clamp(-largest, largest)
    restored: torch.Tensor = levels * step
    return restored


@dataclass(frozen=True, eq=False)
class Trained:
    """One method on all seeds: its weights and what they lose."""

    problems: Regressions
    amplitude: float

    @cached_property
    def weights(self) -> torch.Tensor:
        """[S, F + 1]."""
        return trained(self.problems, self.amplitude)

    @cached_property
    def full(self) -> torch.Tensor:
        """Loss [S] in full precision."""
        return self.problems.loss(self.weights)

    def quantised(self, reading: str) -> torch.Tensor:
        """Loss [S] after the loss of precision that ``reading`` names: "noise", "int2" .."""
        if reading == "noise":
            return self.problems.loss(self.weights + READ_NOISE * _noise(self.problems, 1, 2)[0])
        return self.problems.loss(rounded(self.weights, int(reading.removeprefix("int"))))

    def mean_noise_drop(self) -> torch.Tensor:
        """Rise of the loss [S] under read noise, averaged over ``DRAWS`` draws."""
        draws = READ_NOISE * _noise(self.problems, DRAWS, 3)
        return torch.stack([self.problems.loss(self.weights + noise) for noise in draws]).mean(0) - self.full


READINGS = ("noise", *(f"int{bits}" for bits in ROUNDED_BITS))
_TITLES = {"noise": "one draw of weight noise"} | {f"int{b}": f"rounding to {b} bits" for b in ROUNDED_BITS}


def regression_rows(seeds: int) -> list[Row]:
    """Table 1 beside ours for every reading, then what decides whether a smaller drop is a gain."""
    problems = regressions(tuple(range(1, seeds + 1)))
    methods = {"standard": Trained(problems, 0.0), "T0": Trained(problems, XI * SCALING)}
    rows = [
        _beside(f"full-precision loss, {name}", FULL_PRECISION[name], method.full) for name, method in methods.items()
    ]
    for reading in READINGS:
        rows += _reading_rows(reading, methods)
    return [*rows, *_noise_rows(methods), *_amplitude_rows(problems, methods["standard"])]


def _reading_rows(reading: str, methods: dict[str, Trained]) -> list[Row]:
    title = _TITLES[reading]
    after = {name: method.quantised(reading) for name, method in methods.items()}
    drop = {name: after[name] - method.full for name, method in methods.items()}
    rows = [_beside(f"loss after {title}, {name}", QUANTISED[name], after[name]) for name in methods]
    rows += [_beside(f"drop by {title}, {name}", DROP[name], drop[name]) for name in methods]
    less, worse = _interval(drop["standard"] - drop["T0"]), _interval(after["T0"] - after["standard"])
    word = "T0's drop is smaller" if less.low > 0.0 else "T0's drop is larger" if less.high < 0.0 else "no difference"
    rows.append(
        Row(
            f"drop by {title}, standard minus T0, same seeds",
            DROP["standard"] - DROP["T0"],
            less.mean,
            less.ci95,
            f"{word} on average; smaller on {float((drop['T0'] < drop['standard']).double().mean()):.0%} of seeds",
        )
    )
    end = "T0 ends worse" if worse.low > 0.0 else "T0 ends better" if worse.high < 0.0 else "no difference"
    rows.append(
        Row(
            f"loss after {title}, T0 minus standard, same seeds",
            QUANTISED["T0"] - QUANTISED["standard"],
            worse.mean,
            worse.ci95,
            f"{end}: a smaller drop from a worse start is no gain in loss" if worse.low > 0.0 else end,
        )
    )
    return rows


def _noise_rows(methods: dict[str, Trained]) -> list[Row]:
    """A quadratic loss answers weight noise with the same expected rise wherever it stands."""
    problems = methods["standard"].problems
    wanted = problems.expected_drop(READ_NOISE)
    rows = []
    for name, method in methods.items():
        beyond = _interval(method.mean_noise_drop() - wanted)
        word = "holds" if beyond.low <= 0.0 <= beyond.high else "FAILS"
        what = f"expected drop under weight noise less its closed form deviation^2 tr H, {name}"
        rows.append(Row(what, 0.0, beyond.mean, beyond.ci95, f"{word}: no training lowers it, here or in Table 1"))
    drops = {name: method.quantised("noise") - method.full for name, method in methods.items()}
    share = float((drops["standard"] - drops["T0"] >= DROP["standard"] - DROP["T0"]).double().mean())
    rows.append(
        Row(
            "share of single runs in which T0's drop is smaller by as much as published, weight noise",
            "one run",
            share,
            None,
            "Table 1 lies within the spread of single runs" if share >= 0.025 else "Table 1 is an unlikely single run",
        )
    )
    return rows


def _amplitude_rows(problems: Regressions, standard: Trained) -> list[Row]:
    """Whether any amplitude lowers the quantised loss itself."""
    rows = []
    for scaling in SCALINGS:
        method = Trained(problems, XI * scaling)
        for reading in ("noise", "int2"):
            change = _interval(method.quantised(reading) - standard.quantised(reading))
            word = "worse" if change.low > 0.0 else "better" if change.high < 0.0 else "no difference"
            what = f"loss after {_TITLES[reading]}, xi scaling {scaling:g} minus no noise (standard deviation"
            rows.append(Row(f"{what} {XI * scaling:.3g})", None, change.mean, change.ci95, word))
    return rows


def _interval(values: torch.Tensor) -> Interval:
    return t_interval(values.tolist())


def _beside(what: str, published: float, ours: torch.Tensor) -> Row:
    """Mean over seeds, its interval, and where the published single run lies among ours."""
    interval = _interval(ours)
    below = float((ours < published).double().mean())
    word = "a usual single run" if 0.025 <= below <= 0.975 else "outside 95 % of single runs"
    return Row(what, published, interval.mean, interval.ci95, f"{word}: {below:.0%} of {interval.maps} seeds lie below")
