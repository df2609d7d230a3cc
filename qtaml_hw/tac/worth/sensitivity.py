"""How strongly the network's output answers to every stored weight: label-free Jacobian energies.

``value_j = mean over inputs of sum over outputs (d f / d w_j)^2``, estimated with Hutchinson probes: for random signs
v over the outputs of one input, the square of d(v . f)/dw_j has exactly that expectation.  Hutchinson, Commun. Stat. 19
(1990) 433.  The gradient of every input is squared before inputs are summed (:mod:`.per_sample`), so that
their signs do not interfere: the square of a batch's summed gradient has the same mean and 60 to 90 times the variance.

``fisher`` weighs the outputs by the Gauss-Newton matrix of the softmax, H = diag(p) - p p^T: half of it is the
Kullback-Leibler divergence that a small weight error causes (Martens, JMLR 21 (2020) 146); its probes are L v with
H = L L^T, so that the cost is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.worth.per_sample import Along, Moves, SquaredGradients
from qtaml_hw.weights.effective import evaluating

OutputName = Literal["logits", "softmax", "fisher"]
Output = OutputName | Callable[[torch.Tensor], torch.Tensor]
Into = Callable[[int, Float64], None]
OUTPUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logits": lambda y: y,
    "softmax": lambda y: torch.softmax(y, dim=-1),
    "fisher": lambda y: y,
}


PROBES: Final = 4  # a weight's energy is then known to 6 %, a layer's total to 2 to 5 % (docs/tac.md)
AT_ONCE: Final = 1 << 20  # outputs for which signs are drawn together


@dataclass(frozen=True)
class Signs:
    """Draws what is pulled back through the network: signs, or L times signs for the Gauss-Newton matrix."""

    output: Output
    generator: torch.Generator

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        if y.numel() <= AT_ONCE or y.dim() < 2:
            return self._drawn(y)
        parts = torch.split(y.detach().flatten(0, -2), max(1, AT_ONCE // y.shape[-1]))
        drawn, at = torch.empty_like(y), 0
        for rows in parts:
            drawn.view(-1, y.shape[-1])[at : at + len(rows)] = self._drawn(rows)
            at += len(rows)
        return drawn

    def _drawn(self, y: torch.Tensor) -> torch.Tensor:
        signs = torch.randint(0, 2, y.shape, generator=self.generator).to(y.dtype).mul_(2.0).sub_(1.0).to(y.device)
        if self.output != "fisher":
            return signs
        p = torch.softmax(y.detach(), dim=-1)
        return p.sqrt() * signs - p * (p.sqrt() * signs).sum(dim=-1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Jacobian energy of every stored weight.

    ``values`` float64 [weights], global weight order, output^2 per weight^2 (empty: handed on).
    ``relative_error`` is the standard error of each tensor's total over probes, relative to it, [tensors].  ``alone`` :
    tensors whose gradients were taken one input at a time, since no layer's input and output explain them.  ``along``:
    energies of numbers that move several weights together, one array for each direction that was asked for.
    """

    values: Float64
    relative_error: Float64
    probes: int
    inputs: int
    alone: tuple[str, ...] = ()
    along: tuple[Float64, ...] = ()


@dataclass(frozen=True)
class Stopping:
    """Rounds of ``probes`` until every tensor's total has a relative standard error of ``relative_error``.

    Stops at ``most`` probes at the latest.
    """

    relative_error: float = 0.05
    most: int = 128


@dataclass(frozen=True)
class Estimate:
    """How energies are estimated: ``probes`` of every input, or rounds of them ``until`` they are known well enough."""

    probes: int = PROBES
    seed: int = 0
    output: Output = "logits"
    until: Stopping | None = None


def jacobian_energy(
    module: nn.Module,
    names: Sequence[str],
    inputs: torch.Tensor,
    *,
    probes: int = PROBES,
    seed: int = 0,
    output: Output = "logits",
    until: Stopping | None = None,
    along: Sequence[Moves] = (),
) -> Sensitivity:
    """Estimate the Jacobian energy of the named parameters on unlabelled inputs [N, ...].

    ``until``: go on in rounds of ``probes`` until the standard error is small enough.  Deterministic in (module,
    inputs, probes, seed).  Raises ValueError without inputs or probes.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    edges = np.cumsum([0, *(parameters[name].numel() for name in names)])
    energy = np.zeros(edges[-1])

    def add(place: int, found: Float64) -> None:
        energy[edges[place] : edges[place + 1]] += found

    found = energies_into(add, module, names, inputs, Estimate(probes, seed, output, until), along)
    energy /= found.probes * found.inputs
    return replace(found, values=energy)


def energies_into(
    into: Into | None,
    module: nn.Module,
    names: Sequence[str],
    inputs: torch.Tensor,
    how: Estimate,
    along: Sequence[Moves] = (),
) -> Sensitivity:
    """The same, handed on tensor by tensor as it comes and kept by nobody: ``values`` are empty.

    ``into`` takes the energies of a tensor by the place of its name, in parts that add up to them probes x inputs
    times; None where only those along directions are asked for.
    """
    if inputs.shape[0] == 0 or how.probes < 1:
        raise ValueError(f"sensitivity needs inputs and probes, got {inputs.shape[0]} inputs and {how.probes} probes")
    transform, until = OUTPUTS[how.output] if isinstance(how.output, str) else how.output, how.until
    parameters = dict(module.named_parameters(remove_duplicate=False))
    wanted = [parameters[name] for name in names]
    signs = Signs(how.output, torch.Generator().manual_seed(how.seed))
    with evaluating(module), _only(parameters, wanted), torch.enable_grad():
        together = [Along(names.index(one.of), one) for one in along]
        squares = SquaredGradients(module, wanted, inputs, transform, together)
        chunks = torch.split(inputs, squares.at_once)
        totals = _round(into, squares, chunks, how.probes, signs)
        while until is not None and len(totals) < until.most and _relative_error(totals).max() > until.relative_error:
            totals = np.concatenate([totals, _round(into, squares, chunks, how.probes, signs)])
    alone, count = tuple(names[i] for i in squares.alone), int(inputs.shape[0])
    numbers = tuple(found.to("cpu").numpy() / (len(totals) * count) for found in squares.together)
    return Sensitivity(np.empty(0), _relative_error(totals), len(totals), count, alone, numbers)


def _relative_error(totals: Float64) -> Float64:
    """Standard error over probes of every tensor's total, relative to it; infinite with one probe, 0 if dead."""
    mean, probes = totals.mean(axis=0), len(totals)
    error = totals.std(axis=0, ddof=1) / np.sqrt(probes) if probes > 1 else np.full(totals.shape[1], np.inf)
    relative: Float64 = np.divide(error, mean, out=np.zeros_like(mean), where=mean > 0.0)
    return relative


def _round(
    into: Into | None, squares: SquaredGradients, chunks: Sequence[torch.Tensor], probes: int, signs: Signs
) -> Float64:
    """Hands on squared gradients of inputs and probes, tensor by tensor; returns totals by tensor [probes, T]."""
    totals = np.zeros((probes, len(squares.weights)))

    def take(place: int, which: slice, found: torch.Tensor) -> None:
        assert into is not None
        by_probe = found.detach().to("cpu", torch.float64)
        into(place, (by_probe[0] if len(by_probe) == 1 else by_probe.sum(0)).numpy())
        totals[which, place] += by_probe.sum(1).numpy()

    for chunk in chunks:
        squares.of(chunk, signs, probes, None if into is None else take)
    return totals


@contextmanager
def _only(parameters: Mapping[str, nn.Parameter], wanted: Sequence[nn.Parameter]) -> Iterator[None]:
    """Gradients for the wanted parameters alone; every parameter's own setting is back on exit."""
    frozen = {name: p.requires_grad for name, p in parameters.items()}
    try:
        for p in parameters.values():
            p.requires_grad_(False)
        for p in wanted:
            p.requires_grad_(True)
        yield
    finally:
        for name, p in parameters.items():
            p.requires_grad_(frozen[name])
