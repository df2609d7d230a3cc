"""Speed of the device models, each beside its goal: ``python benchmarks/bench_device.py``.

CPU time of one process (median of the repeats), so that other work on the machine changes it little.
"""

from __future__ import annotations

import numpy as np
from figures import Job, figure, median_s, medians

from qtaml_hw.device import GainCell, current_density, population, retention_table, transmission

CELL = GainCell(
    t_ox_m=1.8e-9, v_dd_v=1.0, v_ref_v=0.5, temperature_k=358.15, storage_capacitance_f=1e-15, gate_area_m2=7.8e-15,
    overlap_area_m2=5.4e-15, i_sub_a=0.12e-12, i_sub_activation_ev=0.50, sigma_t_ox=0.02, sigma_v_th_v=0.040,
)  # fmt: skip
SHARES = (1e-6, 1e-3, 0.05, 0.10, 0.5, 0.9)


def naive_quantiles(t_ox_m: float, temperature_k: float) -> np.ndarray:
    """The peer: quantiles of 100,000 drawn cells, whose tail ends at 1e-5."""
    random = np.random.default_rng(1)
    x, z = random.standard_normal((2, 100_000))
    volts, weights = np.polynomial.legendre.leggauss(8)
    volts = 0.75 + 0.25 * volts
    swing = 1.5 * 8.617e-5 * temperature_k
    steady = 0.12e-12 * np.exp(-0.5 / 8.617e-5 * (1 / temperature_k - 1 / 298.15) + 0.04 / swing * z)
    t_m = t_ox_m * (1.0 + 0.02 * x)
    inverse = np.zeros(x.size)
    for v, weight in zip(volts, weights, strict=True):
        channel = current_density(t_m, v, temperature_k)
        overlap = current_density(t_m, v, temperature_k, component="overlap")
        inverse += 0.5 * weight / (7.8e-15 * channel + 5.4e-15 * overlap + steady)
    return np.quantile(0.5e-15 * inverse, SHARES)


def main() -> None:
    """Print one line per figure: goal, median, ratio to the goal."""
    random = np.random.default_rng(0)
    t_m, volts = random.uniform(1e-9, 3e-9, 10**6), random.uniform(0.1, 1.5, 10**6)
    kelvin, u = random.uniform(250, 400, 10**6), random.random(10**6)
    cells = population(CELL)
    thicknesses, temperatures = np.linspace(1.0e-9, 2.5e-9, 50), np.linspace(258.15, 398.15, 5)
    rows: tuple[tuple[str, float, Job], ...] = (
        ("10^6 current densities, closed form", 0.5, lambda: current_density(t_m, volts, kelvin)),
        ("10^6 transmissions, WKB", 0.5, lambda: transmission(0.1, t_m, 3.15, volts, 0.42)),
        ("10^4 transmissions, exact", 0.5, lambda: transmission(0.1, t_m[:10**4], 3.15, volts[:10**4], 0.42, "exact")),
        ("table of 50 t_ox x 5 temperatures x 6 quantiles", 2.0,
         lambda: retention_table(CELL, thicknesses, temperatures).quantiles_s(SHARES)),
        ("one population", 0.02, lambda: population(CELL)),
        ("10^6 retention times from quantiles", 0.5, lambda: cells.retention_quantile(u)),
    )  # fmt: skip
    for name, goal, work in rows:
        figure(name, median_s(work), "s", at_most=goal)
    both = medians({"ours": lambda: population(CELL), "peer": lambda: naive_quantiles(1.8e-9, 358.15)}, 5)
    figure("one population: drawing 100,000 cells takes", both["peer"] / both["ours"], "times as long")


if __name__ == "__main__":
    main()
