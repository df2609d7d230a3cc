"""What share of the stored bits a study's policy will have to protect, predicted on held-out inputs without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.arrays import Float64
from qtaml_hw.config import Study
from qtaml_hw.study.design.buffers.planned import shares_budget
from qtaml_hw.study.design.contents import Contents
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.study.design.protection.protect import Protection, protect
from qtaml_hw.study.design.protection.widths import agreement
from qtaml_hw.tac.prediction.agreement import soft_agreement
from qtaml_hw.tac.prediction.budgets import DRAWS, PER_OCTAVE, Predicted, predicted_budgets
from qtaml_hw.tac.prediction.crossing import KEPT, Ladder

QUICK: Final = 2_000_000  # multiply-accumulates of one inference up to which nobody has to ask: seconds on one core


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted budgets of a study's policy and of Uniform-MSP with the same menu, computed when they are asked for.

    ``wanted`` : True and False decide; None where one inference takes at most ``QUICK`` products.
    """

    study: Study
    stored: StoredNetwork
    contents: Contents
    layers: tuple[LayerCost, ...]
    wanted: bool | None = None

    @property
    def _unpredictable(self) -> str | None:
        """Why nothing can be said of any plan, or None."""
        macs = sum(layer.macs for layer in self.layers)
        reasons = (
            (self.stored.calibration.inputs is None, "no unlabelled inputs"),
            (self.stored.network.metric.name != "top1", "answers are predicted for the metric top1 only"),
            (not self.study.protection.row.protects, f"the policy {self.study.protection.policy} protects nothing"),
            (shares_budget(self.study), "values in buffers share the budget; predictions are of weights alone"),
            (self.wanted is False, "not asked for"),
            (self.wanted is None and macs > QUICK, f"{macs:,} products per inference take long: ask with --predict"),
        )
        return next((reason for hinders, reason in reasons if hinders), None)

    @property
    def hindrance(self) -> str | None:
        """Why no budget is predicted, or None."""
        protection = self.contents.protection
        if not self.study.protection.row.spends:
            return self._unpredictable or f"the policy {self.study.protection.policy} has no budget"
        if protection.image is not None:
            return self._unpredictable or "stored bits are spent on codes too; predicted_kept is of this plan"
        return self._unpredictable

    @cached_property
    def _flips(self) -> tac.DrawnFlips:
        return tac.DrawnFlips(self.contents.image, self.contents.cell.channel, self.study.evaluate.seed)

    @cached_property
    def _clean(self) -> Float64:
        return self.stored.calibration.outputs(self.stored.network.weights)

    def _outputs(self, protection: Protection) -> list[Float64]:
        """Logits of drawn networks under a plan, the same draws for every plan."""
        read = (self._flips.read(protection.plan, draw) for draw in range(DRAWS))
        return [self.stored.calibration.outputs(protection.decoder.decode(codes)) for codes in read]

    def _budgets(self, policy: str) -> dict[float, Predicted]:
        contents, ladder = self.contents, Ladder(PER_OCTAVE)

        def noisy(rung: int) -> tuple[float, list[Float64]]:
            asked = {"protection.policy": policy, "protection.budget": {"bits": ladder.share(rung)}}
            study = self.study.with_(asked)
            made = protect(study, contents.image, self.stored.calibration, contents.cell.channel, contents.pricing)
            return max(made.plan.protected_bits_fraction, ladder.share(ladder.rungs)), self._outputs(made)

        return dict(predicted_budgets(self._clean, noisy) or {})

    @cached_property
    def kept(self) -> float | None:
        """Soft agreement of the study's own plan: the share of clean accuracy that it is predicted to keep."""
        protection, calibration = self.contents.protection, self.stored.calibration
        if self._unpredictable is not None:
            return None
        if protection.image is not None:
            return agreement(protection, calibration, protection.channel, self.study.evaluate.seed)
        drawn = self._outputs(protection)
        return float(np.mean([soft_agreement(self._clean, outputs) for outputs in drawn]))

    @cached_property
    def budgets(self) -> dict[float, tuple[Predicted, Predicted | None]]:
        """By share kept: protected over stored bits, and Uniform-MSP's over that; what no budget keeps lacks."""
        if self.hindrance is not None:
            return {}
        policy = self.study.protection.policy
        own = self._budgets(policy)
        uniform = own if policy == "uniform" else self._budgets("uniform")
        return {k: (own[k], uniform[k].over(own[k]) if k in uniform else None) for k in KEPT if k in own}

    def as_dict(self) -> dict[str, Any]:
        """predicted{"0.94", ..}: protected_bits_fraction and ratio_to_uniform, each {value, ci95, said}; None where
        nothing is predicted, and why; predicted_kept: what the study's own plan will keep of clean accuracy.
        """
        found: dict[str, Any] = dict.fromkeys(f"{keep:g}" for keep in KEPT)
        for keep, (budget, ratio) in self.budgets.items():
            shown = None if ratio is None else ratio.as_dict()
            found[f"{keep:g}"] = {"protected_bits_fraction": budget.as_dict(), "ratio_to_uniform": shown}
        return {"predicted": found, "predicted_hindrance": self.hindrance, "predicted_kept": self.kept}
