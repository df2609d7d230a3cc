"""Makes the bench of docs/published.md: ``python scripts/published_bench.py [--set PATH=VALUE ...] > TABLE``.

Every case of configs/published/bench.yaml with its intervals stretched by steps of 1.41 while the mean accuracy keeps
95 % (and 99 %) of clean; the last that does is a row.
"""

from __future__ import annotations

import argparse
from typing import Final

import qtaml_hw as q
from qtaml_hw.config import Point
from qtaml_hw.config.shipped import shipped

TARGETS: Final = (0.95, 0.99)
STEP: Final = 2.0**0.5
MOST: Final = 14
HEADS: Final = (
    "design", "keeps", "interval, us", "area, mm2", "energy, uJ", "refresh, uW", "bits per weight",
    "accuracy, %", "yield, %",
)  # fmt: skip


def ladder(point: Point) -> list[q.Result]:
    """The case at ever longer intervals, up to the first that misses every target; SRAM has one."""
    base, found = point.study.refresh.interval_s, []
    for step in range(MOST):
        assert base is None or isinstance(base, float)
        longer = {} if base is None else {"refresh.interval": f"{base * STEP**step:.6g} s"}
        found.append(q.run(point.study.with_(longer), label=point.label))
        if base is None or found[-1].accuracy.mean < min(TARGETS) * found[-1].clean_accuracy:
            break
    return found


def row(result: q.Result, target: float, per_s: float) -> str:
    """One line of the table."""
    low, high = (100 * end for end in result.accuracy.ci95)
    chips = result.yields[TARGETS.index(target)].chips
    interval = "" if result.refresh_interval_s is None else f"{result.refresh_interval_s * 1e6:.3g}"
    cells = (
        result.label, f"{100 * target:.0f} %", interval, f"{result.area_m2 * 1e6:.4g}",
        f"{result.energy_per_inference_j * 1e6:.4g}", f"{result.refresh_energy_j * per_s * 1e6:.4g}",
        f"{result.stored_bits_per_weight:.2f}", f"{100 * result.accuracy.mean:.1f} ({low:.1f} to {high:.1f})",
        f"{100 * chips:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    study = q.load(shipped("published")["bench"], parser.parse_args().overrides)
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for point in study.points():
        found = ladder(point)
        for target in TARGETS:
            kept = [r for r in found if r.accuracy.mean >= target * r.clean_accuracy]
            missed = f"| {point.label} | {100 * target:.0f} % | not met |{' |' * 6}"
            print(row(kept[-1], target, study.accelerator.inferences_per_second) if kept else missed)


if __name__ == "__main__":
    main()
