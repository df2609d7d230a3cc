"""Power laws fitted to CACTI 7: a quantity of one bank by capacity, word width and node; leakage by temperature.

The coefficients, their worst residuals and the bands between tools are in ``presets/cacti7_arrays.json``, written by
``scripts/fit_cacti.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Float64
from qtaml_hw.memory.array.technology import FITTED_NODES_NM, Laws, device_voltages

BITS_PER_MB: Final = 8.0 * 1024.0**2
FITTED_WIDTHS: Final = (64.0, 256.0)
FITTED_CAPACITY_BITS: Final = (4 * 8192, 16384 * 8192)
FITTED_TEMPERATURES_K: Final = (300.0, 400.0)
_CURRENTS: Final = ("leakage_w", "gate_leakage_w")


@dataclass(frozen=True)
class Technology:
    """What laws are told apart by: CACTI's cell, the ITRS class of its periphery, the node in nanometres."""

    laws: Laws
    periphery: str
    node_nm: float


@dataclass(frozen=True)
class Estimate:
    """A value in SI and how far CACTI's may lie from it: a factor of at least 1, up and down."""

    value: float
    spread: float


@lru_cache(maxsize=1)
def preset() -> dict[str, Any]:
    """The fitted coefficients; a constant of the package."""
    text = resources.files("qtaml_hw.memory").joinpath("presets/cacti7_arrays.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@dataclass(frozen=True)
class _Law:
    """One power law: value at 1 MB, exponent, worst relative residual; ``steps`` are ln(row / law) at the fitted rows.

    CACTI's organisation jumps with capacity, most of all eDRAM's, where no power law can follow.
    """

    at_1mb: float
    exponent: float
    residual: float
    steps: tuple[float, ...]

    @classmethod
    def of(cls, technology: Technology, node_nm: float, width: float, quantity: str) -> _Law:
        """A row of the preset."""
        row = preset()["fits"][f"{technology.laws}-{technology.periphery}-{node_nm:.0f}-{width:.0f}"][quantity]
        level, exponent, residual, *steps = row
        return cls(level, exponent, residual, tuple(steps))

    @classmethod
    def blend(cls, laws: Sequence[_Law], weights: Sequence[float]) -> _Law:
        """Interpolation in the logarithm; beyond the laws, their trend goes on and the steps stay."""
        level = math.exp(sum(w * math.log(law.at_1mb) for w, law in zip(weights, laws, strict=True)))
        exponent = sum(w * law.exponent for w, law in zip(weights, laws, strict=True))
        inner = np.clip(weights, 0.0, 1.0)
        steps = inner @ np.array([law.steps for law in laws]) / inner.sum()
        return cls(level, exponent, max(law.residual for law in laws), tuple(steps.tolist()))

    def value(self, capacity_bits: float) -> float:
        step = float(np.interp(math.log(capacity_bits), _ln_capacities(), self.steps))
        return self.at_1mb * math.pow(capacity_bits / BITS_PER_MB, self.exponent) * math.exp(step)


@lru_cache(maxsize=1)
def _ln_capacities() -> Float64:
    """ln(bits) of the capacities that have steps."""
    return np.log(np.array(preset()["capacities_kb"]) * 8192.0)


def _between(x: float, grid: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """The one or two grid points around x and their weights, linear in log x; beyond the grid the last two points."""
    if x in grid:
        return [x], [1.0]
    upper = min(max(int(np.searchsorted(grid, x)), 1), len(grid) - 1)
    low, high = grid[upper - 1], grid[upper]
    share = math.log(x / low) / math.log(high / low)
    return [low, high], [1.0 - share, share]


def _nodes(laws: Laws) -> tuple[float, ...]:
    """The nodes that CACTI's cell was run at; it has no eDRAM at 22 nm."""
    return tuple(node for node in FITTED_NODES_NM if f"{laws}-hp-{node:.0f}-64" in preset()["fits"])


def fitted(technology: Technology, capacity_bits: float, word_bits: int, quantity: str) -> Estimate:
    """A quantity of one bank at 350 K.

    Between two nodes the logarithm is interpolated; leakages are currents per width of transistor that CACTI
    interpolates linearly, and its supply too: so are they here.  The spread is the worst error of CACTI's own arrays at
    capacities halfway between the fitted ones, and no less than 19 of 20 arrays of any capacity, width and node show.
    """
    if technology.laws == "edram" and quantity == "write_energy_j":
        quantity = "read_energy_j"  # CACTI's is not credible (DESTINY: write/read 0.99)
    nodes, weights = _between(technology.node_nm, _nodes(technology.laws))
    widths, width_weights = _between(float(word_bits), FITTED_WIDTHS)
    laws = [_Law.blend([_Law.of(technology, n, w, quantity) for w in widths], width_weights) for n in nodes]
    least = preset()["least_spread"]["at_nodes" if len(nodes) == 1 else "between_nodes"][technology.laws][quantity]
    spread = max(least, *(1.0 + law.residual for law in laws))
    if quantity in _CURRENTS and nodes[0] < technology.node_nm < nodes[-1]:
        return Estimate(_between_currents(technology, nodes, [law.value(capacity_bits) for law in laws]), spread)
    return Estimate(_Law.blend(laws, weights).value(capacity_bits), spread)


def _between_currents(technology: Technology, nodes: list[float], watts: list[float]) -> float:
    """Leakage power between two nodes: current per width, width and supply linear in the node."""
    per_width = [w / (n * device_voltages(technology.periphery, n)[0]) for n, w in zip(nodes, watts, strict=True)]
    current = float(np.interp(technology.node_nm, nodes, per_width))
    return current * technology.node_nm * device_voltages(technology.periphery, technology.node_nm)[0]


def refresh_interval_s(node_nm: float) -> float:
    """CACTI's own LP-DRAM retention, interpolated in the logarithm of the node."""
    nodes, weights = _between(node_nm, _nodes("edram"))
    fits = preset()["fits"]
    ln_s = [math.log(fits[f"edram-hp-{n:.0f}-64"]["refresh_interval_s"]) for n in nodes]
    return math.exp(sum(w * ln for w, ln in zip(weights, ln_s, strict=True)))


def leakage_factor(cell: str, periphery: str, node_m: float, temperature_k: float) -> float:
    """Subthreshold leakage at a temperature over that at 350 K (CACTI 7, 300-400 K; dimensionless).

    Curves are CACTI's at 22, 32 and 45 nm (eDRAM: 32 and 45 nm); other nodes take the nearest of them.  Points at which
    a curve falls are not credible and left out (22 nm LSTP SRAM at 360 K).  Beyond the table the current goes on
    as exp(-E / kT), E from the ends of the curve (assumed).
    """
    curves = preset()["leakage_over_350k"]
    there = {name: abs(float(name.rsplit("-", 1)[1]) - node_m * 1e9) for name in curves}
    family = [name for name in there if name.startswith(f"{cell}-{periphery}-")]
    kelvin, ln_share = np.array(curves[min(family, key=lambda name: there[name])]).T
    ln_share = np.log(ln_share)
    inside = float(np.clip(temperature_k, kelvin[0], kelvin[-1]))
    activation_k = (ln_share[-1] - ln_share[0]) / (1.0 / kelvin[0] - 1.0 / kelvin[-1])
    beyond = activation_k * (1.0 / inside - 1.0 / temperature_k)
    return float(np.exp(np.interp(inside, kelvin, ln_share) + beyond))
