"""Synthesis of emitted codecs with yosys in a real library, where both are installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qtaml_hw import ecc
from qtaml_hw.ecc.rtl import synthesis

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
NAND2 = """library(x) {
 cell (INV) { area : 0.5; pin(Y) { function : "!A"; } }
 cell (ND2) { area : 0.8; pin(Y) { function : "%s"; } }
}
"""


@pytest.mark.skipif(
    shutil.which("yosys") is None or not OSU018.exists(),
    reason="yosys and the OSU 180 nm liberty file are not installed (Debian: yosys, qflow-tech-osu018)",
)
def test_secded_gates_in_another_library_agree_with_the_table(tmp_path: Path) -> None:
    code = ecc.code("secded-39-32")
    encoder, decoder = synthesis.synthesise(code, OSU018, tmp_path / "cache")
    assert encoder.ge == pytest.approx(166.0, rel=0.15)
    assert decoder.ge == pytest.approx(380.3, rel=0.15)
    assert 0.0 < encoder.delay_ps < decoder.delay_ps
    assert len(list((tmp_path / "cache").iterdir())) == 2
    hardware = synthesis.synthesised_hardware(code, OSU018, tmp_path / "cache")
    assert hardware.source.startswith("synthesised (yosys, osu018_stdcells.lib)")
    assert hardware.decoder_area_m2 == decoder.area * 1e-12


@pytest.mark.parametrize("function", ["!(A*B)", "(!(A B))", "!(A & B)", "(!A)+(!B)"])
def test_nand2_is_found_however_it_is_written(function: str) -> None:
    assert synthesis.nand2_area(NAND2 % function) == 0.8


@pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed (Debian: apt-get install yosys)")
def test_bad_libraries_are_refused(tmp_path: Path) -> None:
    code = ecc.code("secded-8-4")
    with pytest.raises(ValueError, match="cannot read the liberty file"):
        synthesis.synthesise(code, tmp_path / "missing.lib")
    (tmp_path / "empty.lib").write_text("library(x) {}\n")
    with pytest.raises(ValueError, match="no two-input NAND"):
        synthesis.synthesise(code, tmp_path / "empty.lib")
    (tmp_path / "broken.lib").write_text(NAND2 % "!(A*B)")
    with pytest.raises(RuntimeError, match="no chip area"):
        synthesis.synthesise(code, tmp_path / "broken.lib")
