"""What one budget for weights and values buys beside budgets of their own: scripts/shared_budget_table.py --out DIR.

The study of configs/shared_budget.yaml, with other networks, budgets and inferences that go through the layers
together.  Every row is read on the same fault maps, so that differences are paired.  Stores are continued where they
stopped; the rows go to docs/buffers.md.  ``--data`` names the folder of ResNet-20 and its images; without it its rows
are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buffers_table import RESNET

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.names import PLANES
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.results import paired_difference
from qtaml_hw.records.summary import PointSummary

DIGITS: Final = """network: {{name: {name}}}
data: {{name: digits}}
evaluate: {{images: 360, maps: {{min: 32, max: 32}}}}"""
STUDY: Final = """
study: {name}
flips: {{law: fixed, p: {p}}}
refresh: off
protection: {{policy: none}}
{network}
buffers: [{{name: values, contents: activations, batch: {batch}, protection: {{policy: none}}}}]
{cases}
"""
CASE: Final = "{{label: {label}, protection: {weights}, buffers.0.protection: {values}}}"
TAC: Final = "{{policy: tac, menu: [secded-13-8], correction: none, budget: {budget}}}"
NONE: Final = "{policy: none, correction: none}"
BARE: Final = "nothing protected"
BUDGETS: Final = (0.01, 0.03, 0.1, 0.2)


@dataclass(frozen=True)
class Setting:
    """A network whose weights and values flip with probability ``p``, ``batch`` inferences at a time."""

    title: str
    network: str
    p: str
    batch: int

    def study(self, cases: list[str]) -> q.Study:
        """With these allocations."""
        name, swept = self.title.split(",")[0], f"sweep: {{cases: [{', '.join(cases)}]}}" if cases else ""
        text = STUDY.format(name=name, p=self.p, network=self.network, batch=self.batch, cases=swept)
        return parse_study(text, name=name)

    def cases(self, weights: int, values: int) -> list[str]:
        """Every allocation of every budget, in shares of ``weights + values`` stored bits."""

        def case(label: str, of_weights: float, of_values: float | str) -> str:
            own = of_values if isinstance(of_values, str) else _bits(of_values)
            tac = [NONE if budget is None else TAC.format(budget=budget) for budget in (_bits(of_weights), own)]
            return CASE.format(label=label, weights=tac[0], values=tac[1].replace("correction: none, ", ""))

        found = [case(BARE, 0.0, 0.0)]
        for share in BUDGETS:
            whole, named = share * (weights + values), f"{100 * share:g} %"
            found.append(case(f"one budget {named}", share, "shared"))
            found.append(case(f"by size {named}", share, share))
            found.append(case(f"all on weights {named}", whole / weights, 0.0))
            found.append(case(f"all on values {named}", 0.0, whole / values))
        return found


def _bits(share: float) -> str | None:
    return f"{{bits: {min(share, 1.0)}}}" if share else None


def settings(data: Path | None) -> Iterator[Setting]:
    """What there is to measure."""
    lenet, resnet = (DIGITS.format(name=name) for name in ("digits-lenet", "digits-resnet"))
    yield Setting("LeNet", lenet, "1 %", 1)
    yield Setting("LeNet, 32 at a time", lenet, "1 %", 32)
    yield Setting("ResNet on digits", resnet, "2 %", 1)
    if data is not None:
        network = RESNET.format(folder=data.resolve()).replace("max: 8", "max: 32").replace("min: 8", "min: 32")
        yield Setting("ResNet-20", network, "1e-3", 1)


def rows(setting: Setting, out: Path) -> Iterator[str]:
    """A row for every budget: accuracy of one budget, and by how much it is above the others."""
    name = setting.title.replace(" ", "").replace(",", "-").lower()
    bare = q.run(setting.study([]).with_({"evaluate.maps.min": 2, "evaluate.maps.max": 2})).summary.facts
    weights = int(bare[F.stored_bits])
    values = setting.batch * sum(PLANES["int8"] * n for n in bare[F.buffers][0]["numbers"])
    found = q.sweep(setting.study(setting.cases(weights, values)), store=out / name)
    if found.failures:
        raise SystemExit("\n".join(found.failures))
    bare_point, *points = found.summaries
    read = measure_of(bare)
    yield (
        f"{setting.title}: p {setting.p}, {weights:,} bits of weights, {values:,} of values, quantised "
        f"{read.show(bare[F.quantised_score])}, {_shown(bare_point)} {BARE}, {bare_point.accuracy.maps} maps"
    )
    for share, start in zip(BUDGETS, range(0, len(points), 4), strict=True):
        shared, *others = points[start : start + 4]
        split = shared.facts[F.budget_split]
        part = split["values"]["spent"] / sum(one["spent"] for one in split.values())
        gains = " | ".join(_gain(shared, other) for other in others)
        yield f"| {100 * share:g} % | {100 * part:.0f} % | {_shown(shared)} | {gains} |"


def _shown(point: PointSummary) -> str:
    read = measure_of(point.facts)
    return f"{read.show(point.accuracy.mean)} ({read.ends(point.accuracy)})"


def _gain(after: PointSummary, before: PointSummary) -> str:
    """In points, with its 95 % interval over the same maps."""
    found = paired_difference(after.accuracies, before.accuracies)
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def main() -> None:
    """Measure what is not in the stores yet, and print the rows."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--out", type=Path, required=True, help="folder of the stores, to resume from")
    asked.add_argument("--data", type=Path, help="folder of ResNet-20 and CIFAR-10")
    given = asked.parse_args()
    for setting in settings(given.data):
        print("\n".join(rows(setting, given.out)), flush=True)


if __name__ == "__main__":
    main()
