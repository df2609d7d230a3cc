"""Emitted Verilog against our own codec: all single and double errors, and heavier ones, through iverilog."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qtaml_hw import ecc, protection
from qtaml_hw.ecc.rtl import testbench, verilog

needs_iverilog = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog is not installed (Debian: apt-get install iverilog)"
)


@needs_iverilog
@pytest.mark.parametrize("name", ["secded-39-32", "dected-27-16", "bch-15-5", "repeat-3", "golay-23-12", "parity-zero"])
def test_emitted_codec_equals_ours(name: str, tmp_path: Path) -> None:
    code = ecc.code(name)
    testbench.emit(code, tmp_path)
    result = testbench.run_iverilog(code, tmp_path)
    assert result.failures == 0
    assert result.vectors == 501 + code.n + code.n * (code.n - 1) // 2


@needs_iverilog
def test_policies_and_rules_reach_the_hardware(tmp_path: Path) -> None:
    code = ecc.code("secded-22-16").with_policy("zero", "odd-syndrome")
    testbench.emit(code, tmp_path)
    assert testbench.run_iverilog(code, tmp_path).failures == 0


@needs_iverilog
def test_the_bench_notices_a_wrong_decoder(tmp_path: Path) -> None:
    code = ecc.code("secded-13-8")
    testbench.emit(code, tmp_path)
    source = tmp_path / "secded_13_8.v"
    text = source.read_text()
    source.write_text(text.replace("syndrome == 5'h", "syndrome == 5'h1", 1))
    assert testbench.run_iverilog(code, tmp_path).failures > 0
    source.write_text("module broken")
    with pytest.raises(RuntimeError, match="iverilog failed"):
        testbench.run_iverilog(code, tmp_path)


def test_bank_of_a_plan_holds_each_codec_once() -> None:
    choice = np.array([[0, 0, 1, 1], [0, 2, 1, 1], [0, 0, 0, 3]], dtype=np.uint8)
    plan = protection.ProtectionPlan(
        [0, 9, 20, 30], [0, 30], "channel", "tac", ("none", "secded-39-32", "repeat-3", "ideal"), choice
    )
    text = verilog.bank(plan.codes)
    modules = [line.split()[1] for line in text.splitlines() if line.startswith("module")]
    assert modules == [
        "secded_39_32_encoder",
        "secded_39_32_decoder",
        "repeat_3_encoder",
        "repeat_3_decoder",
        "codec_bank",
    ]
    assert text.count("endmodule") == 5
    with pytest.raises(ValueError, match="no code"):
        verilog.bank(protection.ProtectionPlan.unprotected([0, 3], 8).codes)
    with pytest.raises(ValueError, match="t <= 3"):
        verilog.decoder(ecc.code("bch-127-64"))
