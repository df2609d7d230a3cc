"""The array: banks, rows, words, its technology, and how long a refresh pass takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.config.reading.price_table import PriceTable
from qtaml_hw.memory.array.cost import OWN_PORTS_NOTE, ArrayCost, Bank, behind_one_port, cost_of, mixed_bank
from qtaml_hw.names import Decoders, Interleave, Placement, Port


@dataclass(frozen=True, kw_only=True)
class ClassCells:
    """Cells of a row class, as ``ArrayGeometry`` has them for all."""

    cell: str
    temperature_k: float
    v_dd_v: float | None
    cell_leakage_a: float = 0.0
    destructive_read: bool = False


@dataclass(frozen=True, kw_only=True)
class ArrayGeometry:
    """Organisation of the weight memory.

    Parameters
    ----------
    banks, row_bits, word_bits : banks that work in parallel, cells of a row, bits of one access.
    node_m, cell, periphery, temperature_k, v_dd_v, cell_leakage_a : technology and conditions of the bank, as for
        :func:`qtaml_hw.memory.array_cost`; codecs run from the same supply.
    table : a user's own prices of banks, in place of those laws where it states any.
    cacti : a CACTI 7 of the user's, run for the bank in place of the laws fitted to it.
    interleave : ``block``, neighbouring weights share a bank; ``word``, neighbouring words lie in neighbouring banks.
    placement : ``row_major``, all planes of a weight in one row; ``plane_separated``, a plane class has its own rows.
    plane_class : class of each plane, LSB first (plane_separated only; default one class per plane), classes from 0.
    rows_refreshed_together : rows (sub-arrays) of a bank restored in one cycle.
    destructive_read : True for 1T1C (a read restores what it read), False for gain cells and SRAM.
    capacity_bits : built capacity; None builds exactly what the image and its parity need.
    backing_bits_per_s : bandwidth of a backing store that streams what does not fit; None: everything must fit.
    port : ``bank``, every bank is read at its own edge; ``shared``, all through one port, which prices the wires
        between them (commands still run bank by bank).
    backing_latency_s : its latency, once per streamed tensor or reloaded word.
    cycle_s : row cycle time; None takes the cost model's.
    decoders : of every code in a bank: ``per_row``, as many as a row has words; ``per_bank``, as many as an access has,
        shared by all rows; or their number.  None: per_row where a refresh corrects words, else per_bank.
    of_classes : cells of every row class, where they differ; a bank is then a mixture of such banks by the bits of each
        (its periphery is shared), as slow as the slowest.
    """

    banks: int = 8
    row_bits: int = 1024
    word_bits: int = 64
    node_m: float = 45e-9
    cell: str = "edram"
    periphery: str = "lstp"
    temperature_k: float = 350.0
    v_dd_v: float | None = None
    cell_leakage_a: float = 0.0
    cacti: Path | None = None
    table: PriceTable | None = None
    port: Port = "bank"
    interleave: Interleave = "block"
    placement: Placement = "row_major"
    plane_class: tuple[int, ...] = ()
    rows_refreshed_together: int = 1
    destructive_read: bool = False
    capacity_bits: int | None = None
    cycle_s: float | None = None
    backing_bits_per_s: float | None = None
    backing_latency_s: float = 0.0
    decoders: Decoders | None = None
    of_classes: tuple[ClassCells, ...] = ()

    def __post_init__(self) -> None:
        for name in ("banks", "row_bits", "word_bits", "rows_refreshed_together"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.row_bits % self.word_bits:
            raise ValueError(
                f"a row must hold whole words: row_bits {self.row_bits} is no multiple of {self.word_bits}"
            )
        if self.of_classes and (not self.plane_class or len(self.of_classes) != max(self.plane_class) + 1):
            raise ValueError(f"{len(self.of_classes)} kinds of cells are given for the classes of {self.plane_class}")
        counted = isinstance(self.decoders, int) and self.decoders > 0
        if not counted and self.decoders not in (None, "per_row", "per_bank"):
            raise ValueError(f"decoders must be 'per_row', 'per_bank' or a number from 1 up; got {self.decoders!r}")
        if self.port not in ("bank", "shared"):
            raise ValueError(f"port must be 'bank' or 'shared'; got {self.port!r}")
        if self.interleave not in ("block", "word"):
            raise ValueError(f"interleave must be 'block' or 'word'; got {self.interleave!r}")
        if self.placement not in ("row_major", "plane_separated"):
            raise ValueError(f"placement must be 'row_major' or 'plane_separated'; got {self.placement!r}")
        if self.plane_class and self.placement == "row_major":
            raise ValueError("plane classes need rows of their own: set placement to 'plane_separated'")
        if self.plane_class and set(self.plane_class) != set(range(max(self.plane_class) + 1)):
            raise ValueError(f"plane_class must use every class from 0 up; got {self.plane_class}")
        if self.cycle_s is not None and not self.cycle_s > 0.0:
            raise ValueError(f"cycle_s must be positive; got {self.cycle_s:g} s")
        if self.backing_bits_per_s is not None and not self.backing_bits_per_s > 0.0:
            raise ValueError(f"backing_bits_per_s must be positive or None; got {self.backing_bits_per_s:g}")
        if not (math.isfinite(self.backing_latency_s) and self.backing_latency_s >= 0.0):
            raise ValueError(f"backing_latency_s must not be negative; got {self.backing_latency_s:g} s")
        if self.capacity_bits is not None and self.capacity_bits < self.banks * self.row_bits:
            raise ValueError(
                f"capacity_bits {self.capacity_bits} is less than one row of {self.row_bits} in each of "
                f"{self.banks} banks"
            )

    def classes_of(self, planes: int) -> Int64:
        """Row class of every plane, LSB first: int64 [planes]."""
        if self.placement == "row_major":
            return np.zeros(planes, dtype=np.int64)
        if not self.plane_class:
            return np.arange(planes, dtype=np.int64)
        if len(self.plane_class) != planes:
            raise ValueError(f"plane_class names {len(self.plane_class)} planes, the weights have {planes}")
        return np.array(self.plane_class, dtype=np.int64)

    def reads_destroy(self, row_class: int) -> bool:
        """Whether a read of rows of a class restores what it read."""
        return self.of_classes[row_class].destructive_read if self.of_classes else self.destructive_read

    def of_class(self, row_class: int) -> ArrayGeometry:
        """The same array made of one class's cells alone."""
        if not self.of_classes:
            return self
        mine = self.of_classes[row_class]
        return replace(
            self, of_classes=(), cell=mine.cell, temperature_k=mine.temperature_k, v_dd_v=mine.v_dd_v,
            cell_leakage_a=mine.cell_leakage_a, destructive_read=mine.destructive_read,
        )  # fmt: skip

    def bank_cost(self, stored_bits: float, class_bits: Sequence[float] | Float64 = ()) -> ArrayCost:
        """Cost of ONE bank when ``stored_bits`` (or the built capacity) are spread over all banks.

        ``class_bits`` : how they are shared out among row classes; asked for where these have cells of their own.
        """
        if self.of_classes:
            if len(class_bits) != len(self.of_classes):
                raise ValueError("a bank of several kinds of cells has a cost for known bits of each class")
            shares = np.asarray(class_bits, dtype=np.float64) / float(np.sum(class_bits))
            banks = [self.of_class(c).bank_cost(stored_bits) for c in range(len(self.of_classes))]
            return mixed_bank([(float(s), bank) for s, bank in zip(shares, banks, strict=True) if s > 0.0])
        whole_bits = max(self.capacity_bits or stored_bits, self.banks * self.word_bits)
        bank = self._cost_of(whole_bits / self.banks)
        if self.banks == 1:
            return bank
        if self.port == "shared":
            return behind_one_port(bank, self._cost_of(whole_bits))
        return replace(bank, source=f"{bank.source}; {OWN_PORTS_NOTE}")

    def _cost_of(self, bits: float) -> ArrayCost:
        """Cost of one bank of this technology."""
        return _bank_cost(
            Bank(
                capacity_bits=bits,
                word_bits=self.word_bits,
                node_m=self.node_m,
                cell=self.cell,
                periphery=self.periphery,
                temperature_k=self.temperature_k,
                v_dd_v=self.v_dd_v,
                cell_leakage_a=self.cell_leakage_a,
                cacti=self.cacti,
                table=self.table,
            )
        )

    def row_cycle_s(self, stored_bits: float, class_bits: Sequence[float] | Float64 = ()) -> float:
        """Row cycle time in seconds: as given, else the cost model's for this bank."""
        return self.cycle_s if self.cycle_s is not None else self.bank_cost(stored_bits, class_bits).cycle_s


_bank_cost = lru_cache(maxsize=1024)(cost_of)  # a plan is priced against the same unprotected bank many times


@dataclass(frozen=True)
class RefreshPass:
    """One refresh of every row of a bank: ``pass_s`` of every ``interval_s`` in which the bank serves nothing else."""

    rows_per_bank: int
    cycle_s: float
    pass_s: float
    interval_s: float

    @property
    def bandwidth_share(self) -> float:
        """Share of the bank's cycles that refresh takes, 0 to 1."""
        return self.pass_s / self.interval_s

    @property
    def availability(self) -> float:
        """Share of the time in which a bank can be accessed, 0 to 1."""
        return 1.0 - self.bandwidth_share


def refresh_pass(geometry: ArrayGeometry, capacity_bits: float, interval_s: float) -> RefreshPass:
    """Rows per bank times the row cycle, against the interval.

    ValueError with the numbers when a pass takes longer than its interval: the array cannot be kept alive.
    """
    if not (math.isfinite(interval_s) and interval_s > 0.0):
        raise ValueError(f"a refresh interval must be positive; got {interval_s:g} s")
    rows = math.ceil(math.ceil(capacity_bits / geometry.banks) / geometry.row_bits)
    cycle_s = geometry.row_cycle_s(capacity_bits)
    result = RefreshPass(rows, cycle_s, math.ceil(rows / geometry.rows_refreshed_together) * cycle_s, interval_s)
    if result.pass_s > interval_s:
        needed = math.ceil(geometry.banks * result.bandwidth_share)
        raise ValueError(
            f"a refresh pass takes {result.pass_s * 1e6:.4g} us ({rows} rows per bank x {cycle_s * 1e9:.3g} ns), "
            f"longer than its interval of {interval_s * 1e6:.4g} us; "
            f"it needs at least {needed} banks instead of {geometry.banks}, longer rows, or rows refreshed together"
        )
    return result
