"""A user's own CACTI in place of the fitted table: a stand-in that prints CACTI's lines for what it is asked."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from qtaml_hw.config import load_study
from qtaml_hw.config.outside import missing, programs_of
from qtaml_hw.errors import InputError
from qtaml_hw.memory import array_cost
from qtaml_hw.memory.array import cacti
from qtaml_hw.memory.array.cost import Bank, cost_of
from qtaml_hw.study.design.cells.array import geometry_of
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.identity import identity_of
from tests.studies import NETWORKS, text

CONFIG = """// lines that the array sets, and one that it leaves
-size (bytes) 134217728
-block size (bytes) 64
-associativity 8
-technology (u) 0.090
-Data array cell type - "itrs-hp"
-Data array peripheral type - "itrs-hp"
-output/input bus width 512
-operating temperature (K) 360
-cache type "cache"
-Add ECC - "true"
-Print level (DETAILED, CONCISE) - "CONCISE"
-design objective (weight delay, dynamic power, leakage power, cycle time, area) 0:0:0:100:0
"""
PRINTS = """
import re, sys
asked = open(sys.argv[sys.argv.index("-infile") + 1]).read()
kb = int(re.search(r"^-size .bytes. (\\d+)", asked, re.M)[1]) / 1024
print(f"    Access time (ns): {0.1 + 0.001 * kb}")
print("    Cycle time (ns): 0.5")
print(f"    Total dynamic read energy per access (nJ): {1e-3 * kb}")
print("    Total dynamic write energy per access (nJ): 0.02")
print(f"    Total leakage power of a bank (mW): {1e-2 * kb}")
print("    Total gate leakage power of a bank (mW): 0.001")
print(f"    Data array: Area (mm2): {1e-3 * kb}")
open("asked.txt", "a").write(asked)
"""


def program(folder: Path, body: str = PRINTS, name: str = "cacti") -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    (folder / cacti.TEMPLATE).write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cacti, "cache_folder", lambda: tmp_path / "cache")
    cacti.ask.cache_clear()


def bank(path: Path, cell: str = "sram", kelvin: float = 350.0, node_m: float = 45e-9) -> Bank:
    return Bank(
        capacity_bits=64 * 8192, word_bits=64, node_m=node_m, cell=cell, temperature_k=kelvin, cacti=path, v_dd_v=1.1
    )


def test_printed_figures_are_the_banks(tmp_path: Path) -> None:
    cost = cost_of(bank(program(tmp_path)))
    assert cost.area_m2 == pytest.approx(64e-3 * 1e-6)
    assert cost.read_energy_j == pytest.approx(64e-3 * 1e-9)
    assert (cost.access_s, cost.cycle_s) == pytest.approx((0.164e-9, 0.5e-9))
    assert cost.leakage_w == pytest.approx(0.64e-3)
    assert cost.refresh_energy_j == 0.0
    assert "CACTI run as" in cost.source
    assert "power laws" not in cost.source
    low, high = cost.band("cycle_s")
    assert low == pytest.approx(high)  # no residual of a fit; other tools still differ where they were run
    asked = (tmp_path / "asked.txt").read_text()
    for line in ("-size (bytes) 65536", "-block size (bytes) 8", "-technology (u) 0.045", '-Add ECC - "false"'):
        assert line in asked.splitlines()
    assert "-design objective (weight delay, dynamic power, leakage power, cycle time, area) 0:0:0:100:0" in asked


def test_it_is_asked_once_and_again_when_it_is_another_program(tmp_path: Path) -> None:
    path, asked = program(tmp_path), tmp_path / "asked.txt"
    cost_of(bank(path))
    cacti.ask.cache_clear()
    cost_of(bank(path))
    assert asked.read_text().count("-associativity") == 1  # from disk
    program(tmp_path, PRINTS.replace("0.5", "0.6"))
    cacti.ask.cache_clear()
    assert cost_of(bank(path)).cycle_s == pytest.approx(0.6e-9)
    for kept in (tmp_path / "cache" / "cacti").iterdir():
        kept.write_text("{damaged")
    cacti.ask.cache_clear()
    assert cost_of(bank(path)).cycle_s == pytest.approx(0.6e-9)
    assert asked.read_text().count("-associativity") == 3


def test_leakage_follows_the_temperature_that_cacti_does_not_take(tmp_path: Path) -> None:
    path = program(tmp_path)
    at_355 = cost_of(bank(path, kelvin=354.0)).leakage_w
    assert "(K) 350" in (tmp_path / "asked.txt").read_text()
    table = [array_cost(64 * 8192, 64, 45e-9, "sram", "lstp", k, 1.1).leakage_w for k in (350.0, 354.0)]
    assert at_355 / 0.64e-3 == pytest.approx(table[1] / table[0], rel=0.02)  # the supply's law is warmer too


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; sys.exit(3)", "ended with status 3"),
        ("print('nothing of use')", "did not print 'Access time (ns)'"),
        (PRINTS.replace("0.5", "nan"), "did not print 'Cycle time (ns)'"),
        ("while True: print('x' * 10000)", "printed more than 1,000,000 bytes"),
    ],
)
def test_what_it_does_not_answer_is_the_tables_with_a_word(tmp_path: Path, body: str, said: str) -> None:
    cost = cost_of(bank(program(tmp_path, body)))
    table = array_cost(64 * 8192, 64, 45e-9, v_dd_v=1.1)
    assert cost.area_m2 == table.area_m2
    assert cost.bands == table.bands
    assert f"the fitted table in place of CACTI for sram: CACTI {said}" in cost.source


def test_it_is_stopped_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cacti, "_LONGEST_S", 0.3)
    cost = cost_of(bank(program(tmp_path, "import time; time.sleep(60)")))
    assert "CACTI took over 0.3 s" in cost.source


def test_refresh_that_it_does_not_print_and_lp_dram_that_it_has_not(tmp_path: Path) -> None:
    path = program(tmp_path)
    edram = cost_of(bank(path, "edram"))
    assert edram.refresh_energy_j == array_cost(64 * 8192, 64, 45e-9, "edram", v_dd_v=1.1).refresh_energy_j
    assert "for the refresh of edram" in edram.source
    assert '-Data array cell type - "lp-dram"' in (tmp_path / "asked.txt").read_text()
    assert "no LP-DRAM below 32 nm" in cost_of(bank(path, "edram", node_m=22e-9)).source
    printing = program(tmp_path, PRINTS + 'print("    Refresh power (mW): 0.2")')
    cacti.ask.cache_clear()
    patched = cost_of(bank(printing, "edram"))
    assert patched.refresh_w == pytest.approx(0.2e-3, rel=1e-6)


def test_a_gain_cell_takes_area_and_access_from_the_6t_that_was_run(tmp_path: Path) -> None:
    path = program(tmp_path)
    gain, sram = cost_of(bank(path, "gain3t")), cost_of(bank(path))
    assert gain.area_m2 == pytest.approx(0.55 * sram.area_m2)
    assert gain.access_s == pytest.approx(sram.access_s)


def test_a_study_is_priced_by_it_and_known_by_its_content(tmp_path: Path) -> None:
    program(tmp_path)
    (tmp_path / "s.yaml").write_text(text(array="{cacti: cacti, banks: 2}"))
    study = load_study(tmp_path / "s.yaml")
    assert missing(study) == []
    assert programs_of(study) == [tmp_path / "cacti"]
    point = prepare(study, NETWORKS)
    bits = point.chip.layout.stored_bits
    kilobytes = math.ceil(bits / 2 / 8192)
    assert geometry_of(study).bank_cost(bits).area_m2 == pytest.approx(0.55e-9 * kilobytes)  # a 3T gain cell's
    assert any("for the refresh of edram" in text for text in point.facts["warnings"])
    before = identity_of(study, "network")
    program(tmp_path, PRINTS + "#")
    assert identity_of(study, "network") != before


def test_a_program_that_does_not_run_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text(array="{cacti: cacti}"))
    (problem,) = missing(load_study(tmp_path / "s.yaml"))
    assert (problem.path, problem.message) == ("array.cacti", f"there is no {tmp_path / 'cacti'}")
    path = program(tmp_path)
    path.chmod(0o644)
    (problem,) = missing(load_study(tmp_path / "s.yaml"))
    assert "is not a program that may be run" in problem.message
    path.chmod(0o755)
    path.write_bytes(b"\x7fELF, but not really")
    cacti.ask.cache_clear()
    with pytest.raises(InputError, match=r"^array.cacti: .*cacti does not run: "):
        cost_of(bank(path))
    (tmp_path / cacti.TEMPLATE).write_text("-size (bytes) 1\n")
    with pytest.raises(InputError, match="has no line '-block size"):
        cost_of(bank(path))
    (tmp_path / cacti.TEMPLATE).unlink()
    with pytest.raises(InputError, match=r"has no cache\.cfg beside it"):
        cost_of(bank(path))
