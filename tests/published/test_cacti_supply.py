"""The laws of the supply against CACTI 7 and BSIM4.

Provenance of data/cacti_supply_rows.csv: CACTI 7, one bank, 64 bit, 350 K, with V_dd of its technology files (and the
cell's and word line's of LP-DRAM) multiplied by ``supply_share``, and I_on by ((V - V_th) / (V_nominal - V_th))^1.3 of
the SRAM classes; rows whose area shows that the organisation stayed the same.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

import pytest

from qtaml_hw.memory import array_cost
from qtaml_hw.memory.array.technology import device_voltages
from qtaml_hw.supply import GATE

DATA = Path(__file__).parent / "data"


def test_arrays_at_another_supply_lie_in_the_range_of_the_laws() -> None:
    """Read energy, write energy and times of CACTI's own arrays, relative to those at the nominal supply."""
    with (DATA / "cacti_supply_rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    nominal = {
        tuple(r[k] for k in ("node_nm", "cell", "peri", "cap_KB")): r for r in rows if r["supply_share"] == "1.0"
    }
    others = [r for r in rows if r["supply_share"] != "1.0"]
    assert len(others) >= 30
    for row in others:
        before = nominal[tuple(row[k] for k in ("node_nm", "cell", "peri", "cap_KB"))]
        periphery, node_m = row["peri"].removeprefix("itrs-"), float(row["node_nm"]) * 1e-9
        cell = "edram" if row["cell"] == "lp-dram" else "sram"
        volts = device_voltages(periphery, float(row["node_nm"]))[0] * float(row["supply_share"])
        supply = array_cost(2**22, 64, node_m, cell, periphery, 350.0, volts).bank.supply
        for name, factor in {"read_nJ": supply.energy, "write_nJ": supply.energy, "access_ns": supply.delay}.items():
            theirs = float(row[name]) / float(before[name])
            assert factor.low * 0.97 <= theirs <= factor.high * 1.03, (row, name)


def test_the_gate_current_falls_with_the_voltage_as_in_bsim4() -> None:
    """Slope of ln J over ln V between 0.8 and 1.2 V, oxides of 0.8 to 2.0 nm, 25 and 125 degC."""
    current: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    with (DATA / "bsim4_sio2_default_jg.csv").open(newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if row["set"] == "bsim4_default_toxref3" and 0.8 <= float(row["toxe_nm"]) <= 2.0:
                current[row["toxe_nm"], row["T_C"]][float(row["Vg_V"])] = float(row["Jg_A_cm2"])
    slopes = [math.log(j[1.2] / j[0.8]) / math.log(1.2 / 0.8) for j in current.values()]
    assert len(slopes) >= 20
    assert GATE.low == pytest.approx(min(slopes), abs=0.1)
    assert GATE.high >= max(slopes)
    assert min(slopes) <= GATE.value <= max(slopes)
