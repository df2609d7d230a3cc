"""How strongly the network's output answers to every stored weight: label-free Jacobian energies.

``value_j = mean over inputs of sum over outputs (d f / d w_j)^2``, estimated with Hutchinson probes: for random signs
v over the outputs of one input, the square of d(v . f)/dw_j has exactly that expectation.  Hutchinson, Commun. Stat. 19
(1990) 433.  The gradient of every input is squared before inputs are summed (:mod:`qtaml_hw.tac.per_sample`), so that
their signs do not interfere: the square of a batch's summed gradient has the same mean and 60 to 90 times the variance.

``fisher`` weighs the outputs by the Gauss-Newton matrix of the softmax, H = diag(p) - p p^T: half of it is the
Kullback-Leibler divergence that a small weight error causes (Martens, JMLR 21 (2020) 146); its probes are L v with
H = L L^T, so that the cost is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.per_sample import Along, SquaredGradients
from qtaml_hw.tac.scale_worth import Direction
from qtaml_hw.weights.effective import evaluating

OutputName = Literal["logits", "softmax", "fisher"]
Output = OutputName | Callable[[torch.Tensor], torch.Tensor]
OUTPUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logits": lambda y: y,
    "softmax": lambda y: torch.softmax(y, dim=-1),
    "fisher": lambda y: y,
}


PROBES: Final = 4  # a weight's energy is then known to 6 %, a layer's total to 2 to 5 % (docs/tac.md)
BATCH: Final = 32  # inputs at once


@dataclass(frozen=True)
class Signs:
    """Draws what is pulled back through the network: signs, or L times signs for the Gauss-Newton matrix."""

    output: Output
    generator: torch.Generator

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        signs = torch.randint(0, 2, y.shape, generator=self.generator).to(y.dtype).mul_(2.0).sub_(1.0).to(y.device)
        if self.output != "fisher":
            return signs
        p = torch.softmax(y.detach(), dim=-1)
        return p.sqrt() * signs - p * (p.sqrt() * signs).sum(dim=-1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Jacobian energy of every stored weight.

    ``values`` float64 [weights], global weight order, output^2 per weight^2.  ``relative_error`` is the standard error
    of each tensor's total over probes, relative to it, [tensors].  ``alone`` : tensors whose gradients were taken one
    input at a time, since no layer's input and output explain them.  ``along``: energies of numbers that move several
    weights together, one array for each direction that was asked for.
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


def jacobian_energy(
    module: nn.Module,
    names: Sequence[str],
    inputs: torch.Tensor,
    *,
    probes: int = PROBES,
    seed: int = 0,
    output: Output = "logits",
    until: Stopping | None = None,
    along: Sequence[Direction] = (),
) -> Sensitivity:
    """Estimate the Jacobian energy of the named parameters on unlabelled inputs [N, ...].

    ``until``: go on in rounds of ``probes`` until the standard error is small enough.  Deterministic in (module,
    inputs, probes, seed).  Raises ValueError without inputs or probes.
    """
    if inputs.shape[0] == 0 or probes < 1:
        raise ValueError(f"sensitivity needs inputs and probes, got {inputs.shape[0]} inputs and {probes} probes")
    transform = OUTPUTS[output] if isinstance(output, str) else output
    parameters = dict(module.named_parameters(remove_duplicate=False))
    wanted = [parameters[name] for name in names]
    signs = Signs(output, torch.Generator().manual_seed(seed))
    chunks, count = torch.split(inputs, BATCH), int(inputs.shape[0])
    with evaluating(module), _only(parameters, wanted), torch.enable_grad():
        squares = SquaredGradients(module, wanted, inputs, transform, [_placed(d, names) for d in along])
        energy = np.zeros(sum(w.numel() for w in wanted))
        totals = _add_round(energy, squares, chunks, probes, signs)
        while until is not None and len(totals) < until.most and _relative_error(totals).max() > until.relative_error:
            totals = np.concatenate([totals, _add_round(energy, squares, chunks, probes, signs)])
    alone = tuple(names[i] for i in squares.alone)
    passes = len(totals) * count
    together = tuple(found.to("cpu").numpy() / passes for found in squares.together)
    energy /= passes
    return Sensitivity(energy, _relative_error(totals), len(totals), count, alone, together)


def _placed(direction: Direction, names: Sequence[str]) -> Along:
    step, owner = torch.from_numpy(direction.step.astype(np.float32)), torch.from_numpy(direction.owner)
    return Along(names.index(direction.of), step, owner, direction.numbers)


def _relative_error(totals: Float64) -> Float64:
    """Standard error over probes of every tensor's total, relative to it; infinite with one probe, 0 if dead."""
    mean, probes = totals.mean(axis=0), len(totals)
    error = totals.std(axis=0, ddof=1) / np.sqrt(probes) if probes > 1 else np.full(totals.shape[1], np.inf)
    relative: Float64 = np.divide(error, mean, out=np.zeros_like(mean), where=mean > 0.0)
    return relative


def _add_round(
    energy: Float64, squares: SquaredGradients, chunks: Sequence[torch.Tensor], probes: int, signs: Signs
) -> Float64:
    """Adds squared gradients of inputs and probes to ``energy`` [weights]; returns totals by tensor [probes, T]."""
    edges = np.cumsum([0, *(w.numel() for w in squares.weights)])
    totals = np.zeros((probes, len(squares.weights)))
    for chunk in chunks:
        for place, found in squares.of(chunk, signs, probes):
            by_probe = found.detach().to("cpu", torch.float64)
            energy[edges[place] : edges[place + 1]] += by_probe.sum(0).numpy()
            totals[:, place] += by_probe.sum(1).numpy()
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
