"""What a memory array costs: area, energy, leakage, time, from laws fitted to CACTI 7 (``laws``).

What CACTI does not give is derived here and says so in ``ArrayCost.source``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from qtaml_hw.config.reading.price_table import PriceTable
from qtaml_hw.errors import unknown
from qtaml_hw.memory.array import cacti
from qtaml_hw.memory.array.laws import (
    FITTED_CAPACITY_BITS,
    FITTED_TEMPERATURES_K,
    FITTED_WIDTHS,
    Estimate,
    Technology,
    fitted,
    leakage_factor,
    preset,
    refresh_interval_s,
)
from qtaml_hw.memory.array.technology import ARRAYS, DEVICES, ArrayKind, Laws, device_voltages
from qtaml_hw.supply import ONE, Range, Supply

TEMPERATURE_K: Final = (200.0, 450.0)
FALLBACK: Final = "the fitted table in place of CACTI"
CELL_LEAKAGE: Final = 2.0  # assumed: off current of minimum-size devices between process corners, a factor of 2
EXTRAPOLATION_FACTOR: Final = 1.5  # assumed widening of a band per kind of extrapolation (node, width, capacity ...)

OWN_PORTS_NOTE: Final = "every bank is read at a port of its own: no wires between banks"
SHARED_PORT_NOTE: Final = "banks behind one port: an access costs what it does in one bank of the whole capacity"
SHARED_PORT: Final = MappingProxyType(
    {
        "read_energy_j": Range(0.95, 0.77, 1.30),
        "write_energy_j": Range(1.00, 0.93, 1.25),
        "access_s": Range(0.83, 0.60, 1.00),
    }
)
"""An access to one of several banks behind one port over that of one bank of the whole capacity: geometric mean and the
range of 19 of 20 arrays of CACTI 7 with 2, 4, 8, 16 and 32 banks, 0.5 and 4 MB, 22 to 90 nm."""

BY_SUPPLY: Final[Mapping[str, Callable[[Supply], Range]]] = MappingProxyType(
    {
        "area_m2": lambda _: ONE,
        "read_energy_j": lambda supply: supply.energy,
        "write_energy_j": lambda supply: supply.energy,
        "leakage_w": lambda supply: supply.leakage,
        "gate_leakage_w": lambda supply: supply.gate_leakage,
        "access_s": lambda supply: supply.delay,
        "cycle_s": lambda supply: supply.delay,
        "refresh_energy_j": lambda supply: supply.energy,
    }
)
"""Every quantity of a bank, and how it follows the supply."""


@dataclass(frozen=True, kw_only=True)
class Bank:
    """What is asked for: one bank, the technology it is built in, how warm it is and what it runs from.

    ``capacity_bits``; ``word_bits`` of an access; ``node_m`` in metres, 22 to 90 nm; ``cell``, a kind of array (sram,
    edram, gain2t, gain3t, gain4t); the ITRS device class of the ``periphery``; ``temperature_k`` 200 to 450; ``v_dd_v``
    in volts (None: the nominal supply of node and periphery); ``cell_leakage_a``: subthreshold current of one gain
    cell, ampere; ``cacti``: a CACTI 7 of the user's that is run in place of the laws fitted to it; ``table``: prices of
    the user's, as they are, whatever the temperature and the supply.  ValueError outside these ranges.
    """

    capacity_bits: float
    word_bits: int
    node_m: float
    cell: str = "sram"
    periphery: str = "lstp"
    temperature_k: float = 350.0
    v_dd_v: float | None = None
    cell_leakage_a: float = 0.0
    cacti: Path | None = None
    table: PriceTable | None = None

    def __post_init__(self) -> None:
        capacity_bits, word_bits, node_nm = self.capacity_bits, self.word_bits, self.node_nm
        if self.cell not in ARRAYS:
            raise ValueError(unknown("cell", self.cell, ARRAYS))
        if self.periphery not in DEVICES:
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
            raise ValueError(f"an array works at 200 K to 450 K; got {self.temperature_k:g} K")
        if self.v_dd_v is not None and not 0.0 < self.v_dd_v <= 3.0:
            raise ValueError(f"a supply lies above 0 V and up to 3 V; got {self.v_dd_v:g} V")
        if not (math.isfinite(self.cell_leakage_a) and self.cell_leakage_a >= 0.0):
            raise ValueError(f"a leakage is not negative; got {self.cell_leakage_a:g} A")

    @property
    def node_nm(self) -> float:
        """The node in nanometres, as presets name it."""
        return round(self.node_m * 1e9, 6)

    @property
    def kind(self) -> ArrayKind:
        """What prices its kind of cell."""
        return ARRAYS[self.cell]

    @property
    def supply(self) -> Supply:
        """Its supply beside the nominal one of node and periphery."""
        nominal_v, v_th_v = device_voltages(self.periphery, self.node_nm)
        return Supply(nominal_v if self.v_dd_v is None else self.v_dd_v, nominal_v, v_th_v, self.temperature_k)

    @property
    def stretches(self) -> list[str]:
        """In words, every way in which this bank lies outside the fitted rows."""
        narrow, wide = FITTED_WIDTHS
        small, large = FITTED_CAPACITY_BITS
        edram = "edram" in (self.kind.laws, *self.kind.others.values())
        tests = (
            (edram and self.node_nm < 32.0, "eDRAM below 32 nm extrapolated along the node"),
            (not narrow / 2 <= self.word_bits <= wide * 2, "word width extrapolated from 64 and 256 bit"),
            (not small / 2 <= self.capacity_bits <= large * 4, "capacity extrapolated from 4 KB to 16 MB"),
        )
        return [text for applies, text in tests if applies]

    @property
    def temperature_stretches(self) -> list[str]:
        """In words, that the leakage lies outside the table of temperatures (room temperature is taken for 27 degC)."""
        low, high = FITTED_TEMPERATURES_K
        inside = low - 2.0 <= self.temperature_k <= high
        return [] if inside else ["leakage extrapolated from 27 to 127 degC by one activation energy"]

    @property
    def supply_notes(self) -> list[str]:
        """In words, what a supply other than the nominal one does to the figures."""
        supply = self.supply
        if supply.volts == supply.nominal_v:
            return []
        note = f"scaled from {supply.nominal_v:g} V to {supply.volts:g} V: energy V^2, delay by the alpha-power law"
        return [f"{note}, leakage by DIBL; area as it is"]


@dataclass(frozen=True, kw_only=True)
class ArrayCost:
    """Cost of one array (one bank) at one operating point; every energy is per access of ``bank.word_bits`` bits.

    ``leakage_w`` is the subthreshold leakage without refresh, ``gate_leakage_w`` CACTI's separate gate leakage,
    ``refresh_energy_j`` the energy of refreshing the whole array once, ``refresh_w`` that energy over CACTI's own
    retention interval ``refresh_interval_s`` (0 for SRAM).  ``bands`` hold (low, high) of every quantity: the
    residual of the fit, where another tool was run the disagreement of the tools, the constants of the supply's laws.
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


def array_cost(
    capacity_bits: float,
    word_bits: int,
    node_m: float,
    cell: str = "sram",
    periphery: str = "lstp",
    temperature_k: float = 350.0,
    v_dd_v: float | None = None,
    cell_leakage_a: float = 0.0,
) -> ArrayCost:
    """Area, energy, leakage and timing of one bank; the arguments are those of ``Bank``.

    Source: CACTI 7, met to rounding at powers of two from 4 KB to 16 MB and the nominal supply; between them the worst
    residuals are 17 % area, 17 % read energy, 5 % leakage of SRAM and 59 %, 72 %, 78 % of eDRAM, whose organisation
    jumps; medians are 4, 3, 0.2 % and 7, 6, 10 %.  Raises ValueError outside the ranges named.
    """
    return cost_of(
        Bank(
            capacity_bits=capacity_bits,
            word_bits=word_bits,
            node_m=node_m,
            cell=cell,
            periphery=periphery,
            temperature_k=temperature_k,
            v_dd_v=v_dd_v,
            cell_leakage_a=cell_leakage_a,
        )
    )


def cost_of(bank: Bank) -> ArrayCost:
    """Area, energy, leakage and timing of a bank: by the fitted laws, or by the CACTI that it names.

    Raises InputError where that CACTI does not run.
    """
    ranges = {name: _range(bank, name) for name in BY_SUPPLY}
    edram = bank.kind.laws == "edram"
    notes = [*_asked_notes(bank), bank.kind.note]
    notes += [*bank.stretches, *bank.temperature_stretches, *bank.supply_notes]
    notes += ["eDRAM write energy taken equal to its read energy"] if edram else []
    return ArrayCost(
        bank=bank,
        refresh_interval_s=refresh_interval_s(bank.node_nm) if edram else 0.0,
        bands=MappingProxyType({name: (found.low, found.high) for name, found in ranges.items()}),
        source="; ".join(note for note in notes if note),
        **{name: found.value for name, found in ranges.items()},
    )


def behind_one_port(bank: ArrayCost, whole: ArrayCost) -> ArrayCost:
    """One of several banks that are reached through one port: reads, writes and access over the wires between them.

    ``whole``: one bank of the capacity of all.  CACTI 7 with 2 to 32 banks (108 arrays, 22 to 90 nm) spends on an
    access about what that one bank does; area and leakage are the sum of the banks'.
    """
    found = {}
    for name, share in SHARED_PORT.items():
        low, high = whole.band(name)
        value = getattr(whole, name)
        wired, own = Range(value, low, high) * share, Range(getattr(bank, name), *bank.band(name))
        found[name] = Range(max(wired.value, own.value), max(wired.low, own.low), max(wired.high, own.high))
    return replace(
        bank,
        read_energy_j=found["read_energy_j"].value,
        write_energy_j=found["write_energy_j"].value,
        access_s=found["access_s"].value,
        bands=MappingProxyType({**bank.bands, **{name: (one.low, one.high) for name, one in found.items()}}),
        source=f"{bank.source}; {SHARED_PORT_NOTE}",
    )


def mixed_bank(parts: Sequence[tuple[float, ArrayCost]]) -> ArrayCost:
    """One bank of several kinds of cells around one periphery, from (share of the bits, a whole bank of that kind).

    Area, energies and leakage are means by share, since an access takes its share of the bits from each; times are the
    longest.  A mixture of one is that bank.
    """
    first = parts[0][1]
    if len(parts) == 1:
        return first

    def mean(name: str, side: int | None = None) -> float:
        return sum(s * (getattr(one, name) if side is None else one.bands[name][side]) for s, one in parts)

    def longest(name: str, side: int | None = None) -> float:
        return max(getattr(one, name) if side is None else one.bands[name][side] for _, one in parts)

    of = {name: longest if name in ("access_s", "cycle_s") else mean for name in BY_SUPPLY}
    found: dict[str, Any] = {name: how(name) for name, how in of.items()}
    sources = "; ".join(f"{share:.3g} of the bits: {one.source}" for share, one in parts)
    return replace(
        first,
        refresh_interval_s=max(one.refresh_interval_s for _, one in parts),
        bands=MappingProxyType({name: (how(name, 0), how(name, 1)) for name, how in of.items()}),
        source=f"one bank of several kinds of cells, priced by their shares: {sources}",
        **found,
    )


def _range(bank: Bank, quantity: str) -> Range:
    """A quantity of a bank, and the ends of its band: of what a user states, as far as the laws lie from it."""
    found = _by_laws(bank, quantity)
    stated = None if bank.table is None else bank.table.at(quantity, bank.capacity_bits)
    return found if stated is None else Range(stated, min(stated, found.low), max(stated, found.high))


def _by_laws(bank: Bank, quantity: str) -> Range:
    """A quantity by the laws, or by the CACTI that is run in their place."""
    laws = bank.kind.others.get(quantity, bank.kind.laws)
    if quantity == "refresh_energy_j" and laws == "sram":
        return Range(0.0, 0.0, 0.0)
    printed, at_k = _printed(bank, laws, quantity)
    if printed is None:
        found = fitted(Technology(laws, bank.periphery, bank.node_nm), bank.capacity_bits, bank.word_bits, quantity)
        stretches = len(bank.stretches)
    else:
        found, stretches = Estimate(printed, 1.0), 0
    if quantity == "leakage_w":
        warm, there = (leakage_factor(laws, bank.periphery, bank.node_m, k) for k in (bank.temperature_k, at_k))
        warm = warm / there if printed is not None else warm
        found = Estimate(found.value * warm, found.spread)
        stretches += len(bank.temperature_stretches)
    low, high = preset()["destiny_over_fit"][laws].get(quantity, (1.0, 1.0))
    spread = found.spread * EXTRAPOLATION_FACTOR**stretches
    tools = Range(found.value, found.value * min(low, 1.0 / spread), found.value * max(high, spread))
    whole = tools * bank.kind.factors.get(quantity, ONE) * BY_SUPPLY[quantity](bank.supply)
    cells_w = bank.capacity_bits * bank.cell_leakage_a * bank.supply.volts if quantity == "leakage_w" else 0.0
    return whole + Range(cells_w, cells_w / CELL_LEAKAGE, cells_w * CELL_LEAKAGE)


def _asked(bank: Bank, laws: str) -> cacti.Asked:
    """A bank as its CACTI is asked for it."""
    return cacti.Asked.of(bank.node_nm, laws, bank.periphery, bank.capacity_bits, bank.word_bits, bank.temperature_k)


def _printed(bank: Bank, laws: Laws, quantity: str) -> tuple[float | None, float]:
    """A quantity as the bank's CACTI prints it, and at which temperature; None where it has none, or prints none."""
    if bank.cacti is None:
        return None, bank.temperature_k
    asked = _asked(bank, laws)
    figures = cacti.ask(bank.cacti, asked).figures
    if quantity == "refresh_energy_j":
        power_w = figures.get("refresh_w")
        return (None if power_w is None else power_w * refresh_interval_s(bank.node_nm)), asked.temperature_k
    if laws == "edram" and quantity == "write_energy_j":  # as of the fitted laws: CACTI's own is not credible
        quantity = "read_energy_j"
    return figures.get(quantity), asked.temperature_k


def _asked_notes(bank: Bank) -> list[str]:
    """In words, where the figures come from: the fitted laws, the user's CACTI, and what that did not answer."""
    table = "CACTI 7 power laws (presets/cacti7_arrays.json)"
    if bank.table is not None:
        stated = bank.table.quantities.keys() & BY_SUPPLY.keys()
        lacking = ", ".join(sorted(BY_SUPPLY.keys() - stated))
        by_laws = f"{table} for {lacking}" if lacking else f"bands reach to {table}"
        return [f"{bank.table.name}, {bank.table.source}: as stated, whatever the temperature and the supply", by_laws]
    if bank.cacti is None:
        return [table]
    notes = [f"CACTI run as {bank.cacti}"]
    for laws in sorted({bank.kind.laws, *bank.kind.others.values()}):
        answer = cacti.ask(bank.cacti, _asked(bank, laws))
        if answer.reason:
            notes.append(f"{FALLBACK} for {laws}: {answer.reason}")
        elif laws == "edram" and "refresh_w" not in answer.figures:
            notes.append(f"{FALLBACK} for the refresh of edram, which this CACTI does not print")
    return notes
