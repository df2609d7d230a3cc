"""How often 95 % intervals cover the mean accuracy of all chips, on chips that were drawn (tests/records/data).

``python benchmarks/bench_coverage.py [--quick]``: the least coverage over 13 design points (three networks, die-to-die
spreads of 0, 1.33 and 2.5 %) and the median half-width, of samples of 4 to 64 chips and after the stopping rule.
Samples are resampled chips; the truth is the mean over the whole set.  Goal: 93 % from 8 chips on, everywhere, less
three standard errors of that many samples.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import figure
from scipy.special import stdtrit

from qtaml_hw.arrays import Float64
from qtaml_hw.records.interval import score_ends

Ends = Callable[[Float64], tuple[Float64, Float64]]
SETS = Path(__file__).parents[1] / "tests" / "records" / "data" / "chips.csv"
IMAGES, COUNTS, GOAL, LEVEL = 360, (4, 6, 8, 16, 32, 64), 0.93, 0.95
RULES = (0.005, 0.025, 0.05)


def student(x: Float64) -> tuple[Float64, Float64]:
    """Student's t."""
    return _around(x, np.full(len(x), stdtrit(x.shape[1] - 1, 0.5 + 0.5 * LEVEL)))


def _around(x: Float64, quantile: Float64) -> tuple[Float64, Float64]:
    half = quantile * x.std(axis=1, ddof=1) / np.sqrt(x.shape[1])
    return x.mean(axis=1) - half, x.mean(axis=1) + half


def logit(x: Float64) -> tuple[Float64, Float64]:
    """Student's t on the logit of the mean, by the delta method."""
    mean = x.mean(axis=1).clip(1e-9, 1 - 1e-9)
    half = stdtrit(x.shape[1] - 1, 0.5 + 0.5 * LEVEL) * x.std(axis=1, ddof=1) / np.sqrt(x.shape[1]) / mean / (1 - mean)
    centre = np.log(mean / (1 - mean))
    return 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))


def hall(x: Float64) -> tuple[Float64, Float64]:
    """Johnson's t corrected for skewness, in Hall's invertible form (J. R. Stat. Soc. B 54, 221, 1992)."""
    count, mean, spread = x.shape[1], x.mean(axis=1), x.std(axis=1, ddof=1)
    skew = ((x - mean[:, None]) ** 3).mean(axis=1) / np.where(spread > 0, spread, 1.0) ** 3
    skew = np.where(abs(skew) < 1e-6, 1e-6, skew)

    def corrected(quantile: float) -> Float64:
        return np.asarray(3 / skew * (np.cbrt(1 + skew * (quantile / np.sqrt(count) - skew / (6 * count))) - 1))

    quantile = float(stdtrit(count - 1, 0.5 + 0.5 * LEVEL))
    return mean - corrected(quantile) * spread, mean - corrected(-quantile) * spread


def bootstrap(x: Float64, resamples: int = 500) -> tuple[Float64, Float64]:
    """Percentiles of the means of resamples."""
    picks = np.random.default_rng(3).integers(0, x.shape[1], (resamples, x.shape[1]))
    means = x[:, picks].mean(axis=2)
    low, high = np.quantile(means, [0.5 - 0.5 * LEVEL, 0.5 + 0.5 * LEVEL], axis=1)
    return low, high


def anderson(x: Float64) -> tuple[Float64, Float64]:
    """Anderson's bound (1969): the band of Dvoretzky, Kiefer and Wolfowitz around the distribution."""
    ordered, count = np.sort(x, axis=1), x.shape[1]
    band, below = np.sqrt(np.log(2 / (1 - LEVEL)) / (2 * count)), np.arange(count) / count
    low = ordered @ np.clip(1 - band - below, 0, 1 / count)
    return low, ordered @ np.clip(below + 1 / count - band, 0, 1 / count) + min(band, 1.0)


def bernstein(x: Float64) -> tuple[Float64, Float64]:
    """Empirical Bernstein bound (Maurer and Pontil, 2009)."""
    count, mean, log = x.shape[1], x.mean(axis=1), np.log(4 / (1 - LEVEL))
    half = np.sqrt(2 * x.var(axis=1, ddof=1) * log / count) + 7 * log / (3 * (count - 1))
    return mean - half, mean + half


METHODS: dict[str, Ends] = {
    "Student t": student,
    "logit t": logit,
    "Johnson-Hall t": hall,
    "bootstrap": bootstrap,
    "Anderson": anderson,
    "Bernstein": bernstein,
    "unseen chip (in use)": score_ends,
}


def after_stopping(chips: Float64, ends: Ends, halfwidth: float, samples: int) -> tuple[float, float, float]:
    """(coverage, mean count, mean half-width) of 8 to 64 chips, stopped when the interval is narrow."""
    x, mean = np.random.default_rng(9).choice(chips, (samples, 64)), chips.mean()
    hit, count, width, running = np.zeros(samples), np.zeros(samples), np.zeros(samples), np.arange(samples)
    for n in range(8, 65):
        low, high = ends(x[running, :n])
        stops = (high - low <= 2 * halfwidth) | (n == 64)
        done = running[stops]
        hit[done], count[done], width[done] = ((low <= mean) & (mean <= high))[stops], n, (high - low)[stops]
        running = running[~stops]
        if not running.size:
            break
    return float(hit.mean()), float(count.mean()), float(0.5 * width.mean())


def main() -> int:
    """Print the table; 1 when the interval in use misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    samples = 200 if parser.parse_args().quick else 1000
    noise = (GOAL * (1 - GOAL) / samples) ** 0.5
    with SETS.open(newline="") as file:
        names, *rows = csv.reader(file)
    sets = dict(zip(names, np.array(rows, dtype=np.float64).T / IMAGES, strict=True))
    goal, met = 100 * (GOAL - 3 * noise), True
    for name, ends in METHODS.items():
        for n in COUNTS:
            cover, half = [], []
            for chips in sets.values():
                low, high = ends(np.random.default_rng(n).choice(chips, (samples, n)))
                cover.append(float(((low <= chips.mean()) & (chips.mean() <= high)).mean()))
                half.append(0.5 * float((np.minimum(high, 1.0) - np.maximum(low, 0.0)).mean()))
            judged = ends is score_ends and n >= 8
            beside = f"half-width {100 * float(np.median(half)):.1f} points"
            what = f"least coverage of {len(sets)} sets, {n} chips, {name}"
            met &= figure(what, 100 * min(cover), "%", at_least=goal if judged else None, more=beside)
    for ends, called in ((student, "Student t"), (score_ends, "unseen chip (in use)")):
        for rule in RULES:
            found = [after_stopping(chips, ends, rule, samples // 2) for chips in sets.values()]
            count, half = (f"{min(f[i] for f in found):.3g} to {max(f[i] for f in found):.3g}" for i in (1, 2))
            what = f"least coverage, stopped at +-{100 * rule:g} %, {called}"
            least, judged = 100 * (GOAL - 3 * noise * 2**0.5), ends is score_ends
            beside = f"chips {count}, half-width {half}"
            met &= figure(what, 100 * min(f[0] for f in found), "%", at_least=least if judged else None, more=beside)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
