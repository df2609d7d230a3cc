#!/usr/bin/env python3
"""Speed of the simulated weight memory: goal, median CPU time and ratio of every figure.

    python benchmarks/bench_memory.py [--plot docs/img/memory-scaling.png]

The peer is the direct way: numpy ages every stored bit at every refresh (one refresh timed, then multiplied).  With
``--plot`` the cost is also measured against weak cells, events and bits, each alone, and drawn; the numbers go to a CSV
beside the picture.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from figures import cpu_s, figure, in_turns, median_s, medians, peak_bytes

from qtaml_hw.device import GainCell, RetentionPopulation, population
from qtaml_hw.memory import ArrayGeometry, Memory, Phase, Schedule
from qtaml_hw.protection import ProtectionPlan

MEGABYTE = 2**20


@dataclass(frozen=True)
class Cells:
    """Retention times spread evenly: P(t_ret < t) = p_at_refresh * t / refresh_s."""

    p_at_refresh: float
    refresh_s: float
    leaky_state: int = 1

    def flip_probability(self, interval_s):
        return np.minimum(np.asarray(interval_s) * self.p_at_refresh / self.refresh_s, 1.0)

    def retention_quantile(self, u):
        return np.asarray(u) * self.refresh_s / self.p_at_refresh


def image(weights: int, tensors: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(np.array_split(rng.integers(0, 256, weights, dtype=np.uint8), tensors))


def secded_plan(codes: tuple[np.ndarray, ...]) -> ProtectionPlan:
    return ProtectionPlan.uniform_msb(np.cumsum([0, *(c.size for c in codes)]), 8, 2, "secded-72-64")


def naive_refresh_s(codes: tuple[np.ndarray, ...]) -> float:
    """CPU seconds in which numpy ages every bit of the image once."""
    bits = np.unpackbits(np.concatenate(codes)[: 4 * MEGABYTE])
    u = np.random.default_rng(2).random(bits.size, dtype=np.float32)
    seconds = cpu_s(lambda: np.bitwise_and(bits, u >= np.float32(1e-4), out=bits))
    return seconds * sum(c.size for c in codes) * 8 / bits.size


def edram_second() -> None:
    """One simulated second of 8 banks x 512 KB, with 1x and 100x the weak cells."""
    codes, refresh_s = image(4 * MEGABYTE, 8), 40e-6
    schedule = Schedule(horizon_s=1.0, refresh_interval_s=refresh_s, scrub_interval_s=1.0, inferences_per_s=1000.0,
                        sample_times_s=(0.5, 1.0))  # fmt: skip
    base, goal = 0.0, 2.0
    for p in (1e-6, 1e-4):

        def job(p: float = p) -> object:
            return Memory(codes, 8, secded_plan(codes), ArrayGeometry(), schedule).run(Cells(p, refresh_s), seed=1)

        seconds = median_s(job, 3)
        weak = round(p * sum(c.size for c in codes) * 8)
        what = f"1 s of 8 x 512 KB, 40 us refresh, 1,000 inferences/s, {weak} weak cells"
        figure(what, seconds, "s", at_most=goal)
        if p == 1e-6:
            base, goal = seconds, 2.0 * seconds
    naive = naive_refresh_s(codes) * 25_000
    figure("the same: every bit aged at each of 25,000 refreshes takes", naive / base, "times as long")


@dataclass(frozen=True, eq=False)
class RanksKept:
    """The same population without its cells' identity: ranks stay over temperature, as one uniform per cell has it."""

    population: RetentionPopulation

    @property
    def leaky_state(self) -> int:
        return self.population.leaky_state

    def flip_probability(self, interval_s):
        return self.population.flip_probability(interval_s)

    def retention_quantile(self, u):
        return self.population.retention_quantile(u)


def two_temperatures() -> None:
    """Populations at 85 and 125 degC built, and 37 Mbit aged through both at p = 1e-4: two uniforms against one."""
    codes = image(37_000_000 // 8, 10)
    plan = ProtectionPlan.unprotected(np.cumsum([0, *(c.size for c in codes)]), 8)
    for t_ox_m in (1.8e-9, 2.2e-9):
        cell = GainCell(t_ox_m=t_ox_m, v_dd_v=1.0, v_ref_v=0.5, temperature_k=358.15, storage_capacitance_f=1e-15,
                        gate_area_m2=7.8e-15, overlap_area_m2=5.4e-15, i_sub_a=0.12e-12, i_sub_activation_ev=0.50,
                        sigma_t_ox=0.02, sigma_v_th_v=0.040)  # fmt: skip

        def age(keeps_ranks: bool, cell: GainCell = cell) -> None:
            cool, hot = population(cell), population(replace(cell, temperature_k=398.15))
            seconds = float(hot.retention_quantile(1e-4))
            models = (RanksKept(cool), RanksKept(hot)) if keeps_ranks else (cool, hot)
            phases = (Phase(0.4 * seconds, seconds, "hot", models[1]),)
            schedule = Schedule(horizon_s=seconds, sample_times_s=(seconds,), phases=phases)
            Memory(codes, 8, plan, ArrayGeometry(cycle_s=1e-13), schedule).run(models[0], seed=1)

        taken = medians({"one": lambda age=age: age(True), "two": lambda age=age: age(False)}, 7)
        what = f"37 Mbit through 85 and 125 degC, {t_ox_m * 1e9:g} nm: two uniforms a cell take"
        figure(what, taken["two"] / taken["one"], "times as long", at_most=1.5)


def large_array() -> None:
    codes, refresh_s = image(64 * MEGABYTE, 20), 1e-3
    schedule = Schedule(horizon_s=0.1, refresh_interval_s=refresh_s, scrub_interval_s=20e-3, sample_times_s=(0.1,))
    geometry = ArrayGeometry(banks=64, row_bits=2048)
    plan, cells = secded_plan(codes), Cells(1e-4, refresh_s)
    seconds = cpu_s(lambda: Memory(codes, 8, plan, geometry, schedule).run(cells, seed=1))
    peak = peak_bytes() / 2**30
    what = "64 MB array, 100 ms, p = 1e-4, SEC-DED on 2 MSBs"
    figure(what, seconds, "s", at_most=10.0)
    figure(f"{what}: peak memory of the process", peak, "GB", at_most=1.0)


def fault_maps() -> None:
    """What a sweep pays per fault map."""
    for weights, tensors, banks, goal in ((100_000, 5, 8, 0.050), (5_000_000, 10, 32, 1.0)):
        codes = image(weights, tensors)
        schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, sample_times_s=(1e-3,), inferences_per_s=1000.0)
        for name, plan in (("unprotected", ProtectionPlan.unprotected(secded_plan(codes).tensor_starts, 8)),
                           ("SEC-DED on 2 MSBs", secded_plan(codes))):  # fmt: skip
            memory, cells, index = (
                Memory(codes, 8, plan, ArrayGeometry(banks=banks), schedule),
                Cells(0.1, 10e-6),
                iter(range(99)),
            )
            seconds = median_s(lambda m=memory, c=cells, i=index: m.run(c, seed=1, map_index=next(i)), 9)
            what = f"one fault map, {weights} weights, p = 0.1, 1 ms at 10 us refresh, {name}"
            figure(what, seconds, "s", at_most=goal)


def scaling_case(weights: int, weak: float, refresh_s: float, horizon_s: float) -> tuple[int, int, float, float]:
    """(weak cells, events, CPU seconds of preparing a point, of one fault map)."""
    codes = image(weights, 8)
    p = weak / (8 * weights)
    schedule = Schedule(horizon_s=horizon_s, refresh_interval_s=refresh_s, inferences_per_s=100.0,
                        sample_times_s=(horizon_s,))  # fmt: skip
    plan, geometry = secded_plan(codes), ArrayGeometry(banks=8, row_bits=8192, cycle_s=2e-9, rows_refreshed_together=8)

    def prepare() -> Memory:
        memory = Memory(codes, 8, plan, geometry, schedule)
        memory.log, memory.regions  # noqa: B018  # computed when first asked for
        return memory

    memory, cells = prepare(), Cells(p, refresh_s)
    memory.book(cells)
    events = memory.log.refreshes + memory.log.scrubs + len(memory.log.read_s)
    prepared = min(in_turns({"": prepare}, 3)[""])
    ran = min(in_turns({"": lambda: memory.run(cells, seed=1)}, 15)[""])
    return round(weak), events, prepared, ran


def scaling() -> dict[str, list[tuple[float, float, float]]]:
    """(what varies, seconds to prepare, seconds per fault map), one of three things varied at a time."""
    found: dict[str, list[tuple[float, float, float]]] = {"weak cells": [], "bank commands": [], "stored bits": []}
    for weak in (1e2, 1e3, 1e4, 1e5, 1e6):
        cells, _, prepare, run = scaling_case(4 * MEGABYTE, weak, 1e-3, 0.1)
        found["weak cells"].append((cells, prepare, run))
    for refresh_s in (1e-2, 1e-3, 1e-4, 4e-5, 1e-5):
        _, events, prepare, run = scaling_case(4 * MEGABYTE, 1e4, refresh_s, 0.1)
        found["bank commands"].append((events, prepare, run))
    for megabytes in (0.25, 1, 4, 16, 64):
        weights = int(megabytes * MEGABYTE)
        _, _, prepare, run = scaling_case(weights, 1e4, 1e-3, 0.1)
        found["stored bits"].append((8 * weights, prepare, run))
    return found


def plot(found: dict[str, list[tuple[float, float, float]]], path: Path) -> None:
    """Three panels with one vertical axis: PNG, and the numbers as CSV."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    held = {"weak cells": "4 MB, 1 ms refresh", "bank commands": "4 MB, 10,000 weak cells",
            "stored bits": "10,000 weak cells, 1 ms refresh"}  # fmt: skip
    figure, axes = pyplot.subplots(1, 3, figsize=(9.2, 3.1), layout="constrained", sharey=True)
    for ax, (name, rows) in zip(axes, found.items(), strict=True):
        x, prepare, run = zip(*rows, strict=True)
        ax.loglog(x, run, "o-", color="#0072b2", label="one fault map")
        ax.loglog(x, prepare, "s--", color="#5b6472", label="preparing the design point, once")
        ax.set_xlabel(name)
        ax.set_title(held[name], fontsize=9, loc="left")
        ax.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("CPU time (s)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=160)
    lines = ["varied,value,prepare_cpu_s,fault_map_cpu_s"]
    lines += [f"{name},{x:g},{prepare:.4g},{run:.4g}" for name, rows in found.items() for x, prepare, run in rows]
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    print("    " + "\n    ".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="measure and draw the scaling (PNG, and a CSV beside it)")
    args = parser.parse_args()
    large_array()
    fault_maps()
    two_temperatures()
    edram_second()
    if args.plot:
        plot(scaling(), args.plot)


if __name__ == "__main__":
    main()
