"""What a memory array costs: area, energy, leakage, time, by power laws fitted to CACTI 7.

The coefficients, their worst residuals and the bands between tools are in ``presets/cacti7_arrays.json``, written by
``scripts/fit_cacti.py``.  What CACTI does not give is derived here and says so in ``ArrayCost.source``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Float64

BITS_PER_MB: Final = 8.0 * 1024.0**2
FITTED_WIDTHS: Final = (64, 256)
FITTED_NODES_NM: Final = (22.0, 32.0, 45.0, 65.0, 90.0)
FITTED_CAPACITY_BITS: Final = (4 * 8192, 16384 * 8192)
TEMPERATURE_K: Final = (300.0, 400.0)
QUANTITIES: Final = (
    "area_m2",
    "read_energy_j",
    "write_energy_j",
    "leakage_w",
    "gate_leakage_w",
    "access_s",
    "cycle_s",
    "refresh_energy_j",
)
EXTRAPOLATION_FACTOR: Final = 1.5  # assumed widening of a band per kind of extrapolation (node, width, capacity)


@dataclass(frozen=True)
class Bank:
    """What is asked for: one bank, the technology it is built in, and how warm it is.

    ``capacity_bits``; ``word_bits`` of an access; ``node_m`` in metres, 22 to 90 nm; ``cell`` sram or edram; the ITRS
    device class of the ``periphery``; ``temperature_k`` 300 to 400.  ValueError outside these ranges.
    """

    capacity_bits: float
    word_bits: int
    node_m: float
    cell: str = "sram"
    periphery: str = "lstp"
    temperature_k: float = 350.0

    def __post_init__(self) -> None:
        capacity_bits, word_bits, node_nm = self.capacity_bits, self.word_bits, self.node_nm
        if self.cell not in ("sram", "edram"):
            raise ValueError(f"cell must be 'sram' or 'edram'; got {self.cell!r}")
        if self.periphery not in ("hp", "lop", "lstp"):
            raise ValueError(f"periphery must be 'hp', 'lop' or 'lstp' (ITRS device classes); got {self.periphery!r}")
        if not 22.0 <= node_nm <= 90.0:
            raise ValueError(
                f"the fitted technologies span 22 nm to 90 nm; got node_m = {node_nm * 1e-9:g} m ({node_nm:g} nm)"
            )
        if not 1 <= word_bits <= 4096:
            raise ValueError(f"word_bits must lie in 1 to 4096; got {word_bits}")
        if not (math.isfinite(capacity_bits) and word_bits <= capacity_bits <= 2**36):
            raise ValueError(
                f"capacity_bits must lie between one word ({word_bits}) and 2^36 (8 GB); got {capacity_bits:g}"
            )
        if not TEMPERATURE_K[0] <= self.temperature_k <= TEMPERATURE_K[1]:
            raise ValueError(f"CACTI's temperatures span 300 K to 400 K; got {self.temperature_k:g} K")

    @property
    def node_nm(self) -> float:
        """The node in nanometres, as presets name it."""
        return round(self.node_m * 1e9, 6)

    @property
    def stretches(self) -> list[str]:
        """In words, every way in which this bank lies outside the fitted rows."""
        narrow, wide = FITTED_WIDTHS
        small, large = FITTED_CAPACITY_BITS
        tests = (
            (self.cell == "edram" and self.node_nm < 32.0, "eDRAM below 32 nm extrapolated along the node"),
            (not narrow / 2 <= self.word_bits <= wide * 2, "word width extrapolated from 64 and 256 bit"),
            (not small / 2 <= self.capacity_bits <= large * 4, "capacity extrapolated from 4 KB to 16 MB"),
        )
        return [text for applies, text in tests if applies]


@dataclass(frozen=True, kw_only=True)
class ArrayCost:
    """Cost of one array (one bank) at one operating point; every energy is per access of ``bank.word_bits`` bits.

    ``leakage_w`` is the subthreshold leakage without refresh, ``gate_leakage_w`` CACTI's separate gate leakage,
    ``refresh_energy_j`` the energy of refreshing the whole array once, ``refresh_w`` that energy over CACTI's own
    retention interval ``refresh_interval_s`` (0 for SRAM).  ``bands`` hold (low, high) of every quantity: the
    residual of the fit and, where another tool was run, the disagreement of the tools.
    """

    bank: Bank
    area_m2: float
    read_energy_j: float
    write_energy_j: float
    leakage_w: float
    gate_leakage_w: float
    access_s: float
    cycle_s: float
    refresh_energy_j: float
    refresh_interval_s: float
    bands: Mapping[str, tuple[float, float]]
    source: str

    @property
    def refresh_w(self) -> float:
        """Refresh power at CACTI's own retention interval, watt; 0 for SRAM."""
        return self.refresh_power_w(self.refresh_interval_s) if self.refresh_interval_s > 0.0 else 0.0

    def refresh_power_w(self, interval_s: float) -> float:
        """Refresh power when the whole array is refreshed once per ``interval_s`` (seconds, > 0)."""
        if not interval_s > 0.0:
            raise ValueError(f"a refresh interval must be positive; got {interval_s:g} s")
        return self.refresh_energy_j / interval_s

    def band(self, quantity: str) -> tuple[float, float]:
        """(low, high) of a quantity, in its own unit; ValueError for an unknown name."""
        if quantity == "refresh_w":
            low, high = self.bands["refresh_energy_j"]
            scale = 1.0 / self.refresh_interval_s if self.refresh_interval_s > 0.0 else 0.0
            return low * scale, high * scale
        if quantity not in self.bands:
            raise ValueError(f"no band for {quantity!r}; there are bands for {', '.join((*self.bands, 'refresh_w'))}")
        return self.bands[quantity]


@lru_cache(maxsize=1)
def _preset() -> dict[str, Any]:
    """The fitted coefficients; a constant of the package."""
    text = resources.files("qtaml_hw.memory").joinpath("presets/cacti7_arrays.json").read_text(encoding="utf-8")
    preset: dict[str, Any] = json.loads(text)
    return preset


@dataclass(frozen=True)
class _Law:
    """One power law: value at 1 MB, exponent, worst relative residual; ``steps`` are ln(row / law) at the fitted rows.

    CACTI's organisation jumps with capacity, most of all eDRAM's, where no power law can follow.
    """

    at_1mb: float
    exponent: float
    residual: float
    steps: tuple[float, ...]

    def value(self, capacity_bits: float) -> float:
        step = float(np.interp(math.log(capacity_bits), _ln_capacities(), self.steps))
        return self.at_1mb * math.pow(capacity_bits / BITS_PER_MB, self.exponent) * math.exp(step)


@lru_cache(maxsize=1)
def _ln_capacities() -> Float64:
    """ln(bits) of the capacities that have steps."""
    return np.log(np.array(_preset()["capacities_kb"]) * 8192.0)


def _blend(laws: list[_Law], weights: list[float]) -> _Law:
    """Interpolation of power laws in the logarithm; beyond the laws, their trend goes on and the steps stay."""
    level = math.exp(sum(w * math.log(law.at_1mb) for w, law in zip(weights, laws, strict=True)))
    exponent = sum(w * law.exponent for w, law in zip(weights, laws, strict=True))
    inner = np.clip(weights, 0.0, 1.0)
    steps = inner @ np.array([law.steps for law in laws]) / inner.sum()
    return _Law(level, exponent, max(law.residual for law in laws), tuple(steps.tolist()))


def _between(x: float, grid: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """The one or two grid points around x and their weights, linear in log x; beyond the grid the last two points."""
    if x in grid:
        return [x], [1.0]
    upper = min(max(int(np.searchsorted(grid, x)), 1), len(grid) - 1)
    low, high = grid[upper - 1], grid[upper]
    share = math.log(x / low) / math.log(high / low)
    return [low, high], [1.0 - share, share]


def _nodes(cell: str, periphery: str) -> tuple[float, ...]:
    fits = _preset()["fits"]
    return tuple(node for node in FITTED_NODES_NM if f"{cell}-{periphery}-{node:.0f}-64" in fits)


def _fitted(bank: Bank, quantity: str) -> _Law:
    """The law of a quantity at a node and width, interpolated in the logarithm of both."""
    fits = _preset()["fits"]
    nodes, node_weights = _between(bank.node_nm, _nodes(bank.cell, bank.periphery))
    widths, width_weights = _between(bank.word_bits, tuple(float(w) for w in FITTED_WIDTHS))
    laws = [_law_of(fits[f"{bank.cell}-{bank.periphery}-{n:.0f}-{w:.0f}"][quantity]) for n in nodes for w in widths]
    return _blend(laws, [a * b for a in node_weights for b in width_weights])


def _law_of(row: list[float]) -> _Law:
    level, exponent, residual, *steps = row
    return _Law(level, exponent, residual, tuple(steps))


def _law(bank: Bank, quantity: str) -> _Law:
    """The law of a quantity; CACTI's eDRAM write energy is not credible (DESTINY: write/read 0.99)."""
    doubted = bank.cell == "edram" and quantity == "write_energy_j"
    return _fitted(bank, "read_energy_j" if doubted else quantity)


def _refresh_interval_s(node_nm: float) -> float:
    """CACTI's own LP-DRAM retention, interpolated in the logarithm of the node."""
    nodes, weights = _between(node_nm, _nodes("edram", "hp"))
    fits = _preset()["fits"]
    ln_s = [math.log(fits[f"edram-hp-{n:.0f}-64"]["refresh_interval_s"]) for n in nodes]
    return math.exp(sum(w * ln for w, ln in zip(weights, ln_s, strict=True)))


def leakage_factor(cell: str, periphery: str, node_m: float, temperature_k: float) -> float:
    """Subthreshold leakage at a temperature over that at 350 K (CACTI 7, 300-400 K; dimensionless).

    Curves are CACTI's at 22, 32 and 45 nm (eDRAM: 32 and 45 nm); other nodes take the nearest of them.  A curve that
    falls somewhere with temperature is not credible and left out of the preset: 22 nm LSTP SRAM takes 32 nm.
    """
    curves = _preset()["leakage_over_350k"]
    there = {name: abs(float(name.rsplit("-", 1)[1]) - node_m * 1e9) for name in curves}
    family = [name for name in there if name.startswith(f"{cell}-{periphery}-")]
    curve = np.array(curves[min(family, key=lambda name: there[name])])
    return float(np.exp(np.interp(temperature_k, curve[:, 0], np.log(curve[:, 1]))))


def array_cost(
    capacity_bits: float,
    word_bits: int,
    node_m: float,
    cell: str = "sram",
    periphery: str = "lstp",
    temperature_k: float = 350.0,
) -> ArrayCost:
    """Area, energy, leakage and timing of one bank.

    Parameters: capacity in bits, accessed word in bits, technology node in metres (22 to 90 nm; between fitted nodes
    interpolated in the logarithm), cell, ITRS periphery class, temperature in kelvin (300 to 400).

    Source: CACTI 7, met to rounding at powers of two from 4 KB to 16 MB; between them the worst residuals are 17 %
    area, 17 % read energy, 5 % leakage of SRAM and 59 %, 72 %, 78 % of eDRAM, whose organisation jumps; medians are 4,
    3, 0.2 % and 7, 6, 10 %.  Raises ValueError outside the ranges named.
    """
    bank = Bank(capacity_bits, word_bits, node_m, cell, periphery, temperature_k)
    stretches = bank.stretches
    widening = EXTRAPOLATION_FACTOR ** len(stretches)
    tools = _preset()["destiny_over_fit"][cell]
    values: dict[str, float] = {}
    bands: dict[str, tuple[float, float]] = {}
    for name in QUANTITIES:
        if name == "refresh_energy_j" and cell == "sram":
            values[name], bands[name] = 0.0, (0.0, 0.0)
            continue
        law = _law(bank, name)
        value = law.value(capacity_bits)
        if name == "leakage_w":
            value *= leakage_factor(cell, periphery, node_m, temperature_k)
        low, high = tools.get(name, (1.0, 1.0))
        fit = (1.0 + law.residual) * widening
        values[name] = value
        bands[name] = value * min(low, 1.0 / fit), value * max(high, fit)
    interval_s = _refresh_interval_s(bank.node_nm) if cell == "edram" else 0.0
    source = "; ".join(["CACTI 7 power laws (presets/cacti7_arrays.json)", *stretches])
    if cell == "edram":
        source += "; eDRAM write energy taken equal to its read energy"
    return ArrayCost(bank=bank, refresh_interval_s=interval_s, bands=MappingProxyType(bands), source=source, **values)
