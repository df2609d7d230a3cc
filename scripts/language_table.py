"""The table of docs/language-models.md from the store of configs/smollm.yaml: scripts/language_table.py STORE ..."""

from __future__ import annotations

import sys
from pathlib import Path

from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import counted, measure_of
from qtaml_hw.records.store import read_records
from qtaml_hw.records.summary import summarise


def rows(stores: list[Path]) -> list[str]:
    """A row per point: flip probability, policy, bits protected, perplexity with its interval over maps, chips."""
    lines = []
    for store in stores:
        for s in summarise(read_records(store)):
            read, facts = measure_of(s.facts), s.facts
            chips = round(s.yield_at(0.95) * len(s.accuracies))
            lines.append(
                f"| {facts[F.p10]:g} | {facts[F.policy]} | {100 * float(facts[F.protected_bits_fraction]):.3g} % | "
                f"{read.show(facts[F.quantised_score])} | {read.show(s.accuracy.mean)} ({read.ends(s.accuracy)}) | "
                f"{chips} of {len(s.accuracies)} | {counted(facts)} |"
            )
    return lines


if __name__ == "__main__":
    heads = ["p", "policy", "protected bits", "without a flip", "perplexity (95 % over maps)", "keep 95 %", "judged on"]
    sys.stdout.write("\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]) + "\n")
    sys.stdout.write("\n".join(rows([Path(name) for name in sys.argv[1:]])) + "\n")
