"""Makes the table of docs/formats.md: ``python scripts/formats_table.py RUN`` after a run of configs/formats.yaml.

One row per format, scale and rounding; accuracies are means over fault maps with half the 95 % t interval.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import read_records
from qtaml_hw.records.summary import PointSummary, summarise

NETWORKS = ("digits-lenet", "digits-mobilenet", "digits-transformer")
DIRECTIONS = ("symmetric", "1to0")


def row_name(facts: Record) -> str:
    """The format and what was chosen with it."""
    parts = [
        facts["weights_format"].removesuffix("/twos_complement").replace("_", " "),
        facts["scale"].replace("_", " "),
    ]
    if facts["rounding"] != "nearest":
        parts.append({"mse_clip": "clipped"}.get(facts["rounding"], facts["rounding"]))
    return ", ".join(part for part in parts if part != "per tensor")


def cells(summaries: dict[tuple[str, str], PointSummary]) -> list[str]:
    """Quantised accuracy, then each direction with its interval, network by network."""
    found = []
    for network in NETWORKS:
        point = summaries[network, DIRECTIONS[0]]
        found.append(f"{100 * point.facts[F.quantised_score]:.1f}")
        for direction in DIRECTIONS:
            accuracy = summaries[network, direction].accuracy
            found.append(f"{100 * accuracy.mean:.1f} ± {100 * accuracy.halfwidth:.1f}")
    return found


def table(records: list[Record]) -> str:
    """Markdown, rows in the order of the study."""
    rows: dict[str, dict[tuple[str, str], PointSummary]] = {}
    for point in sorted(summarise(records), key=lambda p: int(p.facts["point"])):
        rows.setdefault(row_name(point.facts), {})[point.facts["network"], point.facts["direction"]] = point
    short = [n.removeprefix("digits-") for n in NETWORKS]
    head = [
        "format",
        "bits",
        "decode GE",
        *(f"{n}: {what}" for n in short for what in ("no flips", "both ways", "1 to 0")),
    ]
    lines = [head, ["---"] * len(head)]
    for name, summaries in rows.items():
        facts = summaries[NETWORKS[0], DIRECTIONS[0]].facts
        lines.append([name, f"{facts['storage_bits_per_weight']:.2f}", f"{facts['decode_ge']:.0f}", *cells(summaries)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(table(read_records(Path(sys.argv[1]))) + "\n")
