"""The component says what qtaml_hw prices, and AccelForge maps with it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import qtaml_hw as q

if sys.version_info < (3, 12):
    pytest.skip("hwcomponents needs Python 3.12", allow_module_level=True)
pytest.importorskip("hwcomponents", reason="hwcomponents is not installed")

from hwcomponents_qtaml import LeakyMemory

EXAMPLES = Path(__file__).parents[1] / "examples"
STUDY = str(EXAMPLES / "memory.yaml")
BITS = 2**21


def test_figures_are_those_of_the_price() -> None:
    memory, price = LeakyMemory(STUDY, BITS), q.price(q.load(STUDY), weights=BITS // 8).as_dict()
    read, access = memory.read(), price["access"]
    assert memory.area == price["area_m2"]
    assert memory.leak_power == pytest.approx(access["leakage_w"] + access["refresh_w"], rel=1e-12)
    assert (read.energy, read.latency) == (access["read_energy_j"], price["read_latency_s"])
    assert read.throughput == pytest.approx(8 * (1 - price["refresh_bandwidth_share"]) / access["cycle_s"])
    assert memory.write().energy == access["write_energy_j"]
    assert memory.read(bits_per_action=32).energy == pytest.approx(read.energy / 2)
    for value, (low, high) in (
        (memory.area, memory.area_band),
        (read.energy, memory.read_energy_band),
        (memory.leak_power, memory.leak_power_band),
    ):
        assert 0.0 < low <= value <= high


def test_nodes_and_other_values_can_be_changed() -> None:
    memory = LeakyMemory(STUDY, BITS)
    assert LeakyMemory(STUDY, BITS, tech_node=22e-9).area < memory.area
    slow = LeakyMemory(STUDY, BITS, set_values={"refresh.interval": "20 us"})
    assert slow.refresh_power == pytest.approx(memory.refresh_power / 2, rel=1e-9)
    bare = LeakyMemory(STUDY, BITS, set_values={"protection.policy": "none"})
    assert bare.area < memory.area
    assert bare.read().energy < memory.read().energy


def test_accelforge_maps_a_product_onto_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec_of = pytest.importorskip("accelforge.frontend.spec", reason="accelforge is not installed").Spec
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed, and accelforge draws every mapping")
    monkeypatch.chdir(tmp_path)
    spec = spec_of.from_yaml(str(EXAMPLES / "arch.yaml"), jinja_parse_data={"Study": STUDY})
    found = spec.map_workload_to_arch(print_progress=False).data.iloc[0]
    reads = float(found["Matmul<SEP>action<SEP>WeightBuffer<SEP>W<SEP>read"])
    assert reads == 64 * 256 * 256 * 8 / 64
    energy_j = float(found["Matmul<SEP>energy<SEP>WeightBuffer<SEP>W<SEP>read"])
    assert energy_j == pytest.approx(reads * LeakyMemory(STUDY, BITS).read().energy, rel=1e-6)
