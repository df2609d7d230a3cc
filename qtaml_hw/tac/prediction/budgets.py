"""The budget that a policy will need, predicted without labels: soft agreement on held-out inputs.

S = mean_x P_clean(x)[argmax f_noisy(x)] / mean_x max P_clean(x) is the accuracy that would be kept if labels were drawn
from the clean network's own softmax (ours, :mod:`.agreement`).  The budget is where S of a policy's
plans, over a few drawn networks, meets the wanted share: bisection over the policy's budgets, about 30 noisy passes.
The inputs must be held out: on its training images a network is too sure of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.prediction.agreement import certainty, kept_chance
from qtaml_hw.tac.prediction.crossing import KEPT, PLATEAU, Curve, Ladder, measured_curve

DRAWS: Final = 4  # noisy networks per plan
PER_OCTAVE: Final = 6  # budgets are told apart to 12 %
AROUND: Final = 1

Noisy = Callable[[int], tuple[float, list[Float64]]]
"""What the plan of a rung costs, and the logits of every drawn network under it, each [N, C]."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """A budget and the budgets over resampled draws and inputs [R]."""

    value: float
    resampled: Float64

    @property
    def ci95(self) -> tuple[float, float]:
        """The 95 % interval, of the prediction's own noise alone."""
        low, high = np.percentile(self.resampled, (2.5, 97.5))
        return float(low), float(high)

    @property
    def wide(self) -> bool:
        """Whether it is known to no factor of two."""
        low, high = self.ci95
        return high > PLATEAU * low

    def over(self, other: Predicted) -> Predicted:
        """The ratio of two budgets, paired over the resamples."""
        return Predicted(self.value / other.value, self.resampled / other.resampled)

    def as_dict(self) -> dict[str, Any]:
        """value (None where it is known to no factor of two), ci95, and that in words."""
        said = "wider than a factor two" if self.wide else None
        return {"value": None if self.wide else self.value, "ci95": list(self.ci95), "said": said}


def predicted_budgets(clean: Float64, noisy: Noisy) -> Mapping[float, Predicted] | None:
    """Predicted budgets by the share of clean accuracy that they keep; None where no budget keeps any of them.

    ``clean`` [N, C] : logits without a fault.  ``noisy`` : by rung of the ladder of budgets, see :data:`Noisy`.
    """
    sure = certainty(clean)

    def answers(rung: int) -> tuple[float, Float64]:
        cost, drawn = noisy(rung)
        return cost, np.stack([kept_chance(clean, outputs) for outputs in drawn])

    curve = measured_curve(answers, sure, Ladder(PER_OCTAVE), around=AROUND)
    if curve is None:
        return None
    return {keep: Predicted(curve.at(keep), curve.resampled(keep)) for keep in KEPT if _kept(curve, keep)}


def _kept(curve: Curve, keep: float) -> bool:
    return bool(curve.right[-1].mean() >= keep * curve.clean.mean() - 1e-12)
