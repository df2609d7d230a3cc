"""Draws and tables the lines of scripts/joint_table.py: ``python scripts/joint_figure.py FILE.jsonl [--png FILE]``.

Bits per weight at which an isotonic fit of accuracy over all measured rungs meets 95 % of the clean accuracy, with the
95 % interval over fault maps and test images resampled together (``tac.prediction.crossing``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from joint_table import Cell, read_lines
from matplotlib.figure import Figure

from qtaml_hw.arrays import Float64
from qtaml_hw.tac.prediction.crossing import Curve

KEEP: Final = 0.95
TITLES: Final = {"msp": "Uniform-MSP", "tac": "TAC by layer", "uniform": "one width", "joint": "joint"}
NAMES: Final = {
    "dscnn": "DS-CNN",
    "resnet8": "ResNet-8",
    "lenet-cifar": "LeNet (CIFAR-10)",
    "resnet20": "ResNet-20",
    "resnet56": "ResNet-56",
}
ACCOUNTS: Final = {"ideal": "a bit for a bit", "shannon": "Shannon's bound", "code": "codes that decode"}


def bits(rungs: dict[int, dict[str, Any]]) -> tuple[float, float, float] | None:
    """Bits per weight for the wanted accuracy with its interval; None where no rung measured reaches it."""
    lines = sorted((line for line in rungs.values() if line["bits"] is not None), key=lambda line: line["bits"])
    if not lines or max(line["kept"] for line in lines) < KEEP:
        return None
    clean = _right(lines[0]["clean_right"])
    count = round(clean.sum() / lines[0]["clean"])  # bytes are padded
    right = np.array([[_right(one)[:count] for one in line["right"]] for line in lines])
    curve = Curve(np.array([line["bits"] for line in lines]), right, clean[:count])
    low, high = np.percentile(curve.resampled(KEEP), (2.5, 97.5))
    return curve.at(KEEP), float(low), float(high)


def _right(text: str) -> Float64:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8)).astype(np.float64)


def table(found: dict[Cell, tuple[float, float, float] | None]) -> str:
    """Markdown: a row per network and flip probability, a column per accounting and method."""
    columns = [(a, m) for a in ACCOUNTS for m in TITLES if any((c.accounting, c.method) == (a, m) for c in found)]
    rows = sorted({(c.network, c.p, c.direction) for c in found})
    several = len({a for a, _ in columns}) > 1
    heads = [f"{TITLES[m]}, {a}" if several else TITLES[m] for a, m in columns]
    lines = [f"| network, p | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for network, p, direction in rows:
        cells = [_shown(found, Cell(network, p, direction, a, m)) for a, m in columns]
        way = "" if direction == "symmetric" else f", {direction}"
        lines.append(f"| {NAMES.get(network, network)}, {p:g}{way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(found: dict[Cell, tuple[float, float, float] | None], cell: Cell) -> str:
    if cell not in found:
        return ""
    value = found[cell]
    return "not kept" if value is None else f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"


def draw(found: dict[Cell, tuple[float, float, float] | None], accounting: str) -> Figure:
    """Bits per weight against the flip probability, a panel per network, a line per method, with intervals."""
    cells = [c for c in found if c.accounting == accounting and found[c] is not None]
    networks = sorted({c.network for c in cells}, key=[*NAMES, *sorted(c.network for c in cells)].index)
    figure = Figure(figsize=(2.6 * max(len(networks), 1), 3.2), layout="constrained")
    panels = figure.subplots(1, max(len(networks), 1), sharey=True, squeeze=False)[0]
    for i, (network, axes) in enumerate(zip(networks, panels, strict=False)):
        for method, title in TITLES.items():
            mine = sorted((c for c in cells if (c.network, c.method) == (network, method)), key=lambda c: c.p)
            values = np.array([found[c] for c in mine])
            if mine:
                error = np.abs(values[:, 1:].T - values[:, 0])
                axes.errorbar([c.p for c in mine], values[:, 0], error, marker="o", capsize=2, label=title)
        axes.axhline(8.0, color="0.4", linestyle=":", linewidth=1.0, label="plain int8, nothing protected")
        axes.set(xscale="log", xlabel="flip probability", title=NAMES.get(network, network))
        if i == 0:
            axes.set_ylabel("stored bits per weight for 95 %")
    if networks:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    figure.suptitle(f"Total stored bits per weight, {ACCOUNTS[accounting]}", fontsize=10)
    return figure


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="lines of scripts/joint_table.py")
    parser.add_argument("--png", type=Path, help="where the figure goes; without it the table alone is printed")
    parser.add_argument("--accounting", choices=tuple(ACCOUNTS), default="code", help="of the figure")
    asked = parser.parse_args()
    found = {cell: bits(rungs) for cell, rungs in read_lines(asked.file).items()}
    print(table(found))
    if asked.png is not None:
        mpl.use("agg")
        draw(found, asked.accounting).savefig(asked.png, dpi=150)


if __name__ == "__main__":
    main()
