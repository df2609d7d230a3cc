"""Prices of a user's own arrays: a CSV or YAML file of banks by capacity, with units and a source.

CSV: a heading of names, a bank a line, values with units (``1 Mbit``, ``0.21 mm2``), lines that begin with ``#`` are
comments, of which ``# source: ...`` says where the figures come from.  YAML: ``source`` and ``banks``, a list of
mappings of the same names.  ``capacity`` is wanted; what else is left out stays with the laws fitted to CACTI.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from qtaml_hw.config.reading.yaml_strict import decode, read
from qtaml_hw.errors import unknown
from qtaml_hw.files import read_at_most, stamp
from qtaml_hw.units import parse

COLUMNS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "area": ("area_m2", "area"),
        "read_energy": ("read_energy_j", "energy"),
        "write_energy": ("write_energy_j", "energy"),
        "leakage": ("leakage_w", "power"),
        "gate_leakage": ("gate_leakage_w", "power"),
        "access": ("access_s", "time"),
        "cycle": ("cycle_s", "time"),
        "refresh_energy": ("refresh_energy_j", "energy"),
    }
)
"""Column -> quantity of a bank, and its dimension; energies are of one access, and of one refresh of the whole bank."""
OUTSIDE: Final = 1.25  # how far beyond its smallest and largest bank a table is carried on, as a ratio (assumed)
_MOST_BYTES, _MOST_ROWS = 1_000_000, 10_000


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Banks by capacity in bits, ascending, each with its quantities in SI; those of one name are in all banks."""

    name: str
    source: str
    capacities: tuple[float, ...]
    quantities: Mapping[str, tuple[float, ...]]

    def at(self, quantity: str, capacity_bits: float) -> float | None:
        """A quantity of a bank: log-linear between the banks of the table, beyond them by the nearest two.

        None where the table does not have it.  Raises ValueError far outside the table.
        """
        values, sizes = self.quantities.get(quantity), self.capacities
        if values is None:
            return None
        if not sizes[0] / OUTSIDE <= capacity_bits <= sizes[-1] * OUTSIDE:
            raise ValueError(
                f"{self.name} has banks of {sizes[0]:g} to {sizes[-1]:g} bit, one of {capacity_bits:g} bit is asked: "
                "add rows, or change array.banks"
            )
        if len(sizes) == 1:
            return values[0]
        right = min(max(bisect_left(sizes, capacity_bits), 1), len(sizes) - 1)
        low, high = values[right - 1], values[right]
        part = math.log(capacity_bits / sizes[right - 1]) / math.log(sizes[right] / sizes[right - 1])
        return float(low * (high / low) ** part)


def price_table(file: Path) -> PriceTable:
    """The table of a file. Raises ValueError with line and column for what it is not; OSError when it is not there."""
    return _read(file, repr(stamp(file)))


@lru_cache(maxsize=64)
def _read(file: Path, known_as: str) -> PriceTable:
    raw = read_at_most(file, _MOST_BYTES)
    if raw is None:
        raise ValueError(f"{file}: larger than {_MOST_BYTES:,} bytes")
    text = decode(raw, file.name)
    source, rows = _of_yaml(text, file.name) if file.suffix in (".yaml", ".yml") else _of_csv(text)
    if not source:
        raise ValueError(f"{file.name}: says no source; add a line '# source: ...' (YAML: source: ...)")
    if not rows:
        raise ValueError(f"{file.name}: no bank is listed")
    banks = sorted((_bank(file.name, place, row) for place, row in rows), key=lambda bank: bank["capacity"])
    names = set(banks[0])
    for bank in banks:
        if set(bank) != names:
            raise ValueError(
                f"{file.name}: all banks need the same quantities; {sorted(names ^ set(bank))} is not in all"
            )
    sizes = tuple(bank["capacity"] for bank in banks)
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"{file.name}: a capacity is listed twice")
    quantities = {COLUMNS[name][0]: tuple(bank[name] for bank in banks) for name in sorted(names - {"capacity"})}
    if not quantities:
        raise ValueError(f"{file.name}: nothing but capacities; columns are {', '.join(COLUMNS)}")
    return PriceTable(file.name, source, sizes, MappingProxyType(quantities))


def _of_csv(text: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """Source, and (place, values by column) of every line."""
    source, heading = "", list[str]()
    rows: list[tuple[str, dict[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            key, _, value = line.lstrip("# \t").partition(":")
            source = value.strip() if key.strip().lower() == "source" else source
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if not any(cells):
            continue
        if not heading:
            heading = cells
        elif len(cells) != len(heading):
            raise ValueError(f"line {number}: {len(cells)} values under a heading of {len(heading)}")
        else:
            rows.append((f"line {number}", dict(zip(heading, cells, strict=True))))
        if len(rows) > _MOST_ROWS:
            raise ValueError(f"more than {_MOST_ROWS:,} banks")
    return source, rows


def _of_yaml(text: str, name: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The same of a YAML file."""
    data = read(text, name).data
    banks = data.get("banks") if isinstance(data, dict) else None
    if not isinstance(banks, list) or not all(isinstance(bank, dict) for bank in banks):
        raise ValueError(f"{name}: expected 'source: ...' and 'banks: [{{capacity: 1 Mbit, area: 0.2 mm2}}, ...]'")
    return str(data.get("source") or ""), [(f"bank {i}", dict(bank)) for i, bank in enumerate(banks, 1)]


def _bank(name: str, place: str, row: Mapping[str, Any]) -> dict[str, float]:
    """A bank's values in SI."""
    found: dict[str, float] = {}
    if "capacity" not in row:
        raise ValueError(f"{name}: {place}: has no capacity")
    for column, value in row.items():
        if column != "capacity" and column not in COLUMNS:
            raise ValueError(f"{name}: {place}: {unknown('column', str(column), ['capacity', *COLUMNS])}")
        try:
            found[column] = parse(value, "capacity" if column == "capacity" else COLUMNS[column][1])
        except ValueError as error:
            raise ValueError(f"{name}: {place}: {column}: {error}") from error
        if not found[column] > 0.0:
            raise ValueError(f"{name}: {place}: {column} must be above 0; got {value}")
    return found
