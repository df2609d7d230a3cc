"""How strongly the network's output answers to every stored weight: label-free Jacobian energies.

``value_j = mean over inputs of sum over outputs (d f / d w_j)^2``, estimated with Hutchinson probes: for random signs
v over inputs and outputs, the square of d(v . f)/dw summed over the batch has exactly that expectation (times the
number of inputs), so one backward pass gives every weight at once.  Hutchinson, Commun. Stat. 19 (1990) 433.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

OutputName = Literal["logits", "softmax"]
Output = OutputName | Callable[[torch.Tensor], torch.Tensor]
OUTPUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logits": lambda y: y,
    "softmax": lambda y: torch.softmax(y, dim=-1),
}


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Jacobian energy of every stored weight.

    ``values`` float64 [weights], global weight order, output^2 per weight^2.  ``relative_error`` is the standard error
    of each tensor's total over probes, relative to it, [tensors].
    """

    values: NDArray[np.float64]
    relative_error: NDArray[np.float64]
    probes: int
    inputs: int


def jacobian_energy(
    module: nn.Module,
    names: Sequence[str],
    inputs: torch.Tensor,
    *,
    probes: int = 16,
    batch: int = 64,
    seed: int = 0,
    output: Output = "logits",
) -> Sensitivity:
    """Estimate the Jacobian energy of the named parameters on unlabelled inputs [N, ...].

    Deterministic in (module, inputs, probes, batch, seed).  Raises ValueError without inputs or probes.
    """
    if inputs.shape[0] == 0 or probes < 1:
        raise ValueError(f"sensitivity needs inputs and probes, got {inputs.shape[0]} inputs and {probes} probes")
    transform = OUTPUTS[output] if isinstance(output, str) else output
    parameters = dict(module.named_parameters(remove_duplicate=False))
    wanted = [parameters[name] for name in names]
    generator = torch.Generator().manual_seed(seed)
    sums = [torch.zeros(p.numel(), dtype=torch.float64) for p in wanted]
    totals = np.zeros((probes, len(wanted)))
    frozen = {name: p.requires_grad for name, p in parameters.items()}
    try:
        for p in parameters.values():
            p.requires_grad_(False)
        for p in wanted:
            p.requires_grad_(True)
        with torch.enable_grad():
            for chunk in torch.split(inputs, batch):
                y = transform(module(chunk))
                for probe in range(probes):
                    signs = (
                        torch.randint(0, 2, y.shape, generator=generator).to(y.dtype).mul_(2.0).sub_(1.0).to(y.device)
                    )
                    grads = torch.autograd.grad(y, wanted, signs, retain_graph=probe + 1 < probes, allow_unused=True)
                    for i, grad in enumerate(grads):
                        if grad is not None:
                            energy = grad.detach().reshape(-1).to("cpu", torch.float64).square_()
                            sums[i] += energy
                            totals[probe, i] += float(energy.sum())
    finally:
        for name, p in parameters.items():
            p.requires_grad_(frozen[name])
    count = probes * inputs.shape[0]
    mean = totals.mean(axis=0)
    error = totals.std(axis=0, ddof=1) / np.sqrt(probes) if probes > 1 else np.full(len(wanted), np.inf)
    relative = np.divide(error, mean, out=np.zeros_like(mean), where=mean > 0.0)
    values = np.concatenate([s.numpy() for s in sums]) / count
    return Sensitivity(values, relative, probes, int(inputs.shape[0]))
