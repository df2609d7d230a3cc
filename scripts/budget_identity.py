"""Whether a plan costs what it says, over many random designs: ``python scripts/budget_identity.py [--designs 2000]``.

Of every design two records are prepared, as planned and with nothing protected, and ``spent`` is held against what the
one grows by over the other: in protected bits, parity, area and energy per inference.  Printed (and so far, on
stderr): the worst relative gap, the worst use of a budget (at most 1), how much of their budget plans use, and what was
refused and why.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qtaml_hw.config import parse_study
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks

TEXT = """
study: identity
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: digits-lenet
evaluate: {at: [100 us], images: 20, maps: {min: 2, max: 2}}
"""
GROWTH = {
    "bits": "protected_bits_fraction",
    "parity": "parity_bits_fraction",
    "area_m2": "area_m2",
    "energy_j": "energy_per_inference_j",
}
LIMITED = {"bits": "bits", "parity": "parity", "area": "area_m2", "energy": "energy_j"}
SPANS = {"bits": (1e-3, 1.0, ""), "parity": (1e-4, 1.0, ""), "area": (1e-4, 1.0, " mm2"), "energy": (1e-1, 1e4, " nJ")}
CODES = ("secded-72-64", "secded-39-32", "secded-8-4", "bch-63-45", "dected-79-64", "repeat-3", "parity-zero")
CHOICES: dict[str, tuple[Any, ...]] = {
    "flips.law": ("retention", "poisson"),
    "refresh.interval": ("7 us", "40 us"),
    "refresh.ecc_aware": (True, False, None),
    "scrub.interval": ("off", "1 ms", "100 us"),
    "accelerator.dataflow": ("weight_stationary", "output_stationary", "input_stationary"),
    "array.node": ("45 nm", "32 nm", "65 nm"),
    "array.periphery": ("lstp", "hp"),
    "array.banks": (1, 3, 8, 32),
    "array.row_bits": (512, 1024, 4096),
    "array.word_bits": (64, 128, 256),
    "array.placement": ("row_major", "plane_separated"),
    "array.interleave": ("block", "word"),
    "array.rows_refreshed_together": (1, 4),
    "array.decoders": (None, "per_row", "per_bank", 1, 3),
    "array.capacity": (None, None, "64 KB"),
    "weights.format": ("int8", "int4"),
    "protection.correction": ("none", "offset", "auto"),
}


PLANS = 8  # per array: the unprotected record is prepared once for all of them


def array(rng: np.random.Generator) -> dict[str, Any]:
    """The changes that make one random array, unprotected."""
    changes = {path: values[int(rng.integers(len(values)))] for path, values in CHOICES.items()}
    return {**changes, "protection.policy": "none"}


def protection(rng: np.random.Generator) -> dict[str, Any]:
    """The changes that protect one at random."""
    kind = str(rng.choice(list(SPANS)))
    low, high, unit = SPANS[kind]
    amount = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return {
        "protection.policy": str(rng.choice(["uniform", "magnitude", "random", "tac"])),
        "protection.group": str(rng.choice(["layer", "channel", "word"])),
        "protection.menu": rng.choice(CODES, size=int(rng.integers(1, 4)), replace=False).tolist(),
        "protection.budget": {kind: f"{amount:.6g}{unit}" if unit else f"{100 * amount:.6g} %"},
    }


def gap(spent: float, grown: float, of: float) -> float:
    """Difference, relative to what was spent, or to the whole figure's rounding where that is more."""
    return abs(spent - grown) / max(abs(spent), abs(grown), 1e-6 * abs(of), 1e-300)


@dataclass
class Tally:
    """What was found over the designs so far."""

    designs: int = 0
    nothing: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    gaps: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GROWTH})
    used: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in LIMITED})

    def add(self, found: dict[str, Any], plain: dict[str, Any]) -> None:
        """One design: its record and the unprotected one."""
        self.designs += 1
        for name, row in GROWTH.items():
            self.gaps[name].append(gap(found["spent"][name], found[row] - plain[row], found[row]))
        kind = found["budget_kind"]
        self.used[kind].append(found["spent"][LIMITED[kind]] / found["budget"])
        self.nothing += found["protected_bits_fraction"] == 0

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "designs": self.designs,
            "worst_relative_gap": {name: max(values, default=0.0) for name, values in self.gaps.items()},
            "worst_use_of_a_budget": {kind: max(values, default=0.0) for kind, values in self.used.items()},
            "median_use_of_a_budget": {kind: float(np.median(v)) for kind, v in self.used.items() if v},
            "budgets_that_buy_nothing": self.nothing,
            "refused": dict(self.refused.most_common(8)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--designs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    tally, rng = Tally(), np.random.default_rng(asked.seed)
    networks, base = Networks(), parse_study(TEXT, name="identity")
    while tally.designs < asked.designs:
        bare = base.with_(array(rng))
        try:
            plain = prepare(bare, networks).facts
        except ValueError as error:
            tally.refused[" ".join(str(error).split()[:6])] += 1
            continue
        for _ in range(PLANS):
            try:
                tally.add(prepare(bare.with_(protection(rng)), networks).facts, plain)
            except ValueError as error:
                tally.refused[" ".join(str(error).split()[:6])] += 1
        print(json.dumps(tally.report()), file=sys.stderr, flush=True)
    print(json.dumps(tally.report(), indent=1))


if __name__ == "__main__":
    main()
