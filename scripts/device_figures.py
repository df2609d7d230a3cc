"""Makes the figures and tables of docs/device.md: ``python scripts/device_figures.py`` writes docs/device/.

Every figure comes with the CSV of its curves; results.md holds the tables that the page includes.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import ndtr

from qtaml_hw.device import (
    Edram1T1C,
    GainCell,
    Sram6T,
    charge_population,
    current_density,
    hold_margin,
    population,
    retention_table,
    thinnest_t_ox,
    transmission,
)
from qtaml_hw.device.leakage import steady_current
from qtaml_hw.device.node import NodeModel
from qtaml_hw.units import show

Array = NDArray[np.float64]

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "device"
DATA = ROOT / "tests" / "published" / "data"
CELL = GainCell(
    t_ox_m=1.8e-9, v_dd_v=1.0, v_ref_v=0.5, temperature_k=358.15, storage_capacitance_f=1e-15, gate_area_m2=7.8e-15,
    overlap_area_m2=5.4e-15, i_sub_a=0.12e-12, i_sub_activation_ev=0.50, sigma_t_ox=0.02, sigma_v_th_v=0.040,
)  # fmt: skip
EDRAM = Edram1T1C(
    t_ox_m=1.6e-9, v_dd_v=1.0, v_ref_v=0.6, temperature_k=358.15, storage_capacitance_f=20e-15,
    overlap_area_m2=1.5e-15, i_sub_a=0.33e-12, i_sub_activation_ev=0.4985, sigma_t_ox=0.02, sigma_v_th_v=0.024,
)  # fmt: skip
SRAM = Sram6T(
    t_ox_m=1.8e-9, v_dd_v=1.0, temperature_k=298.15, sigma_v_th_v=0.03, v_th_n_v=0.381, v_th_p_v=0.313,
    pull_up_ratio=0.0323, dibl=0.0556, gate_length_m=63e-9, overlap_share=0.110,
)  # fmt: skip
SHARES = (1e-6, 1e-3, 0.05, 0.10, 0.5)
REFERENCE_QUANTILES = {
    (1.0, 25): (0.44e-9, 0.67e-9, 0.96e-9, 1.05e-9, 1.4e-9),
    (1.5, 25): (0.10e-6, 0.18e-6, 0.31e-6, 0.35e-6, 0.55e-6),
    (1.8, 85): (2.1e-6, 4.5e-6, 8.0e-6, 9.2e-6, 15e-6),
    (2.0, 25): (19e-6, 42e-6, 80e-6, 94e-6, 160e-6),
    (2.0, 85): (2.6e-6, 10e-6, 29e-6, 36e-6, 74e-6),
    (2.5, 85): (2.6e-6, 11e-6, 39e-6, 53e-6, 160e-6),
}


@dataclass(frozen=True)
class Curve:
    """One curve of a figure; ``style`` is matplotlib's."""

    label: str
    x: Array
    y: Array
    style: str = "-"


@dataclass(frozen=True)
class Plot:
    """A figure: curves and axis texts."""

    name: str
    title: str
    x_text: str
    y_text: str
    curves: Sequence[Curve]
    scale: tuple[str, str] = ("linear", "log")


def save(plot: Plot) -> None:
    """SVG and CSV of a figure."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes: Axes = figure.subplots()
    for curve in plot.curves:
        axes.plot(curve.x, curve.y, curve.style, label=curve.label, markersize=4)
    axes.set(title=plot.title, xlabel=plot.x_text, ylabel=plot.y_text, xscale=plot.scale[0], yscale=plot.scale[1])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(OUT / f"{plot.name}.svg", metadata={"Date": None})
    with (OUT / f"{plot.name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["curve", plot.x_text, plot.y_text])
        writer.writerows([c.label, f"{x:.6g}", f"{y:.6g}"] for c in plot.curves for x, y in zip(c.x, c.y, strict=True))


def read(name: str, columns: tuple[int, ...]) -> Array:
    """Columns of a reference table."""
    return np.genfromtxt(DATA / name, delimiter=",", skip_header=2, usecols=columns)


def gate_current() -> tuple[Plot, str]:
    """J against thickness and voltage, beside BSIM4."""
    table = read("bsim4_sio2_default_jg.csv", (1, 2, 3, 4))
    t_nm = np.linspace(0.8, 3.0, 60)
    curves = []
    for volts in (0.5, 1.0, 1.5):
        rows = table[(np.abs(table[:, 2] - volts) < 1e-6) & (table[:, 1] == 25.0)]
        curves += [
            Curve(f"closed form, {volts} V", t_nm, current_density(t_nm * 1e-9, volts, 298.15) / 1e4),
            Curve(f"BSIM4, {volts} V", rows[:, 0], rows[:, 3], "o"),
        ]
    te = current_density(t_nm * 1e-9, 1.0, 298.15, method="tsu_esaki", transmission="exact") / 1e4
    curves.append(Curve("Tsu-Esaki, exact T, 1.0 V (uncalibrated)", t_nm, te, "--"))
    lines = ["| temperature | rows | mean \\|log10\\| | max \\|log10\\| |", "|---|---|---|---|"]
    for celsius in (25.0, 125.0):
        t, c, v, j = table.T
        inside = (t > 0.99) & (t < 2.51) & (v > 0.49) & (c == celsius)
        error = np.abs(np.log10(current_density(t[inside] * 1e-9, v[inside], celsius + 273.15) / 1e4 / j[inside]))
        lines.append(f"| {celsius:g} degC | {inside.sum()} | {error.mean():.3f} | {error.max():.3f} |")
    plot = Plot("gate-current", "Gate current density, SiO2, 25 degC", "t_ox (nm)", "J (A/cm2)", curves)
    return plot, "\n".join(lines)


def exact_over_wkb() -> tuple[Plot, str]:
    """Ratio of the exact transmission to WKB."""
    volts = np.linspace(0.05, 1.5, 40)
    curves = []
    for energy in (0.05, 0.1, 0.2):
        exact, wkb = (transmission(energy, 1.5e-9, 3.15, volts, 0.4, method) for method in ("exact", "wkb"))
        curves.append(Curve(f"E = {energy} eV", volts, exact / wkb))
        table = read("transmission_exact_vs_wkb.csv", (0, 1, 2, 6))
        rows = table[(table[:, 0] == 1.5) & (table[:, 2] == energy)]
        curves.append(Curve(f"reference, E = {energy} eV", rows[:, 1], rows[:, 3], "o"))
    t_nm, v, e, m, _, _, ratio = read("transmission_exact_vs_wkb.csv", tuple(range(7))).T
    ours = transmission(e, t_nm * 1e-9, 3.15, v, m, "exact") / transmission(e, t_nm * 1e-9, 3.15, v, m)
    text = f"Largest difference of the ratio over {ratio.size} rows: {np.abs(ours / ratio - 1).max():.1e}."
    return Plot("exact-over-wkb", "Exact over WKB, 1.5 nm, m = 0.4", "V_ox (V)", "T exact / T WKB", curves,
                ("linear", "linear")), text  # fmt: skip


def retention() -> tuple[Plot, str]:
    """Retention quantiles against thickness, and the reference table."""
    t_m = np.linspace(1.0e-9, 2.6e-9, 33)
    table = retention_table(CELL, list(t_m), [298.15, 358.15])
    seconds = table.quantiles_s((1e-6, 0.5))
    curves = [
        Curve(f"p = {share}, {celsius} degC", t_m * 1e9, seconds[:, column, row])
        for column, celsius in enumerate((25, 85)) for row, share in enumerate(("1e-6", "0.5"))
    ]  # fmt: skip
    lines = ["| t_ox, T | " + " | ".join(f"p = {s:g}" for s in SHARES) + " | gate share |", "|---|" + "---|" * 6]
    for (t_nm, celsius), theirs in REFERENCE_QUANTILES.items():
        cells = population(replace(CELL, t_ox_m=t_nm * 1e-9, temperature_k=celsius + 273.15))
        pairs = zip(cells.retention_quantile(SHARES), theirs, strict=True)
        values = " | ".join(f"{show(float(a), 'time')} ({show(b, 'time')})" for a, b in pairs)
        lines.append(f"| {t_nm} nm, {celsius} degC | {values} | {100 * cells.gate_share:.1f} % |")
    plot = Plot("retention", "Gain cell, 1 fF, 1.0 to 0.5 V", "t_ox (nm)", "retention time (s)", curves)
    return plot, "\n".join(lines)


def laws() -> tuple[Plot, str]:
    """p(t) by law, with a defect tail, and what plain Gauss-Hermite makes of it."""
    cells = population(CELL)
    defects = population(replace(CELL, defect_fraction=1e-5, defect_current_a=20e-12))
    t_s = cells.median_s * np.logspace(-2.2, 0.5, 200)
    curves = [
        Curve("retention: fixed weak cells", t_s, cells.flip_probability(t_s)),
        Curve("retention with 1e-5 defective cells", t_s, defects.flip_probability(t_s), "--"),
        Curve("poisson: memoryless, same median", t_s, 1.0 - 0.5 ** (t_s / cells.median_s)),
    ]
    lines = ["| t_ox, T | p | panels | 64-node Gauss-Hermite |", "|---|---|---|---|"]
    for t_nm, celsius in ((1.0, 25), (1.8, 85)):
        cell = replace(CELL, t_ox_m=t_nm * 1e-9, temperature_k=celsius + 273.15)
        own = population(cell)
        for share in (1e-3, 0.1):
            interval = float(own.retention_quantile(share))
            lines.append(f"| {t_nm} nm, {celsius} degC | {share:g} | {float(own.flip_probability(interval)):.3g} | "
                         f"{gauss_hermite(cell, interval):.3g} |")  # fmt: skip
    keep = [Curve(c.label, c.x[c.y > 1e-12], c.y[c.y > 1e-12], c.style) for c in curves]
    return Plot("laws", "1.8 nm, 85 degC", "interval (s)", "flip probability", keep, ("log", "log")), "\n".join(lines)


def gauss_hermite(cell: GainCell, interval_s: float) -> float:
    """P(t_ret < interval) by 64 Gauss-Hermite nodes over thickness and the constant-current approximation."""
    x, weight = np.polynomial.hermite_e.hermegauss(64)
    node, steady = NodeModel(cell, np.linspace(-0.3, 0.3, 33)), steady_current(cell)
    needed = cell.storage_capacitance_f * (cell.v_dd_v - cell.v_ref_v) / interval_s
    left = np.maximum(needed - np.exp(node.log_gate(cell.sigma_t_ox * x)), 1e-300)
    return float(np.sum(weight * ndtr((np.log(steady.median_a) - np.log(left)) / steady.spread)) / weight.sum())


def thinnest() -> str:
    """Inverse question: the 1T1C cell at 85 degC and 40 us."""
    reference = {1e-6: 1.654, 1e-3: 1.594, 0.05: 1.546, 0.10: 1.534}
    lines = ["| p | thinnest t_ox (ours) | reference |", "|---|---|---|"]
    lines += [f"| {p:g} | {1e9 * thinnest_t_ox(EDRAM, p, 40e-6):.4f} nm | {t} nm |" for p, t in reference.items()]
    return "\n".join(lines)


def sram() -> tuple[Plot, str]:
    """Hold margin against supply with gate leakage, beside ngspice."""
    table = read("sram_hold_margin_ngspice.csv", (0, 1, 2, 3, 6))
    volts = np.linspace(0.2, 1.0, 17)
    curves = []
    for t_nm in (1.0, 1.2, 2.0):
        ours = np.array([hold_margin(replace(SRAM, t_ox_m=t_nm * 1e-9, v_dd_v=float(v))) for v in volts])
        rows = table[(table[:, 0] == 1) & (table[:, 1] == t_nm) & (table[:, 3] == 25.0)]
        curves += [Curve(f"{t_nm} nm", volts, 1e3 * ours),
                   Curve(f"ngspice, {t_nm} nm", rows[:, 2], 1e3 * np.nan_to_num(rows[:, 4]), "o")]  # fmt: skip
    lines = ["| t_ox | rows | rms difference | largest difference |", "|---|---|---|---|"]
    for t_nm in (0.8, 0.9, 1.0, 1.2, 1.5, 2.0):
        rows = table[table[:, 1] == t_nm]
        error = [
            hold_margin(replace(SRAM, t_ox_m=t * 1e-9, v_dd_v=v, temperature_k=c + 273.15), gate_leakage=bool(g))
            - np.nan_to_num(m) for g, t, v, c, m in rows
        ]  # fmt: skip
        rms, largest = 1e3 * np.sqrt(np.mean(np.square(error))), 1e3 * np.abs(error).max()
        lines.append(f"| {t_nm} nm | {len(error)} | {rms:.1f} mV | {largest:.1f} mV |")
    return Plot("hold-margin", "6T hold margin with gate leakage, 25 degC", "V_DD (V)", "margin (mV)", curves,
                ("linear", "linear")), "\n".join(lines)  # fmt: skip


def map_of_intervals() -> str:
    """p over t_ox x temperature x interval."""
    t_nm, celsius, intervals = (1.6, 1.8, 2.0, 2.2), (25, 85, 105), (1e-6, 10e-6, 40e-6)
    table = retention_table(CELL, [t * 1e-9 for t in t_nm], [c + 273.15 for c in celsius])
    p = table.flip_probability(np.array(intervals))
    head = "| t_ox | T | " + " | ".join(show(i, "time") for i in intervals) + " | longest interval for p <= 1e-6 |"
    lines = [head, "|---|---|" + "---|" * (len(intervals) + 1)]
    for row, t in enumerate(t_nm):
        for column, c in enumerate(celsius):
            values = " | ".join(f"{value:.2g}" for value in p[row, column])
            longest = float(table.populations[row][column].retention_quantile(1e-6))
            lines.append(f"| {t} nm | {c} degC | {values} | {show(longest, 'time')} |")
    return "\n".join(lines)


def monte_carlo() -> str:
    """The integral against drawn cells of its own node model, as a check of the integral alone."""
    lines = ["| t_ox, T | p asked | share of 10^6 drawn cells |", "|---|---|---|"]
    random = np.random.default_rng(2026)
    for t_nm, celsius in ((1.0, 25), (2.0, 85)):
        cell = replace(CELL, t_ox_m=t_nm * 1e-9, temperature_k=celsius + 273.15)
        cells, steady = charge_population(cell), steady_current(cell)
        node = NodeModel(cell, np.linspace(-0.3, 0.3, 33))
        x, z = random.standard_normal((2, 10**6))
        current = steady.median_a * np.exp(steady.spread * z)
        for p in (0.05, 0.5):
            needed = cell.storage_capacitance_f * (cell.v_dd_v - cell.v_ref_v) / float(cells.retention_quantile(p))
            fails = (np.exp(node.log_gate(cell.sigma_t_ox * x)) > needed) | (
                current > node.steady_that_fails(cell.sigma_t_ox * x, np.full(x.size, needed))
            )
            lines.append(f"| {t_nm} nm, {celsius} degC | {p} | {fails.mean():.4f} |")
    return "\n".join(lines)


def main() -> None:
    """Write docs/device/."""
    mpl.rcParams["svg.hashsalt"] = "device"
    OUT.mkdir(parents=True, exist_ok=True)
    parts = []
    for title, make in (
        ("Gate current against BSIM4", gate_current),
        ("Exact transmission against WKB", exact_over_wkb),
        ("Retention quantiles of the gain cell: ours (reference)", retention),
        ("Flip laws, and plain Gauss-Hermite integration", laws),
        ("6T hold margin against ngspice", sram),
    ):
        plot, text = make()
        save(plot)
        parts.append(f"### {title}\n\n![{title}](device/{plot.name}.svg)\n\n{text}\n")
    parts.append(f"### Thinnest oxide of the 1T1C cell, 85 degC, 40 us\n\n{thinnest()}\n")
    parts.append(f"### Flip probability over thickness, temperature and interval\n\n{map_of_intervals()}\n")
    parts.append(f"### The population integral against drawn cells\n\n{monte_carlo()}\n")
    (OUT / "results.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
