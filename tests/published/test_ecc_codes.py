"""Residuals and synthesis figures of memory codes: ecc_codes.json beside this file.

Provenance: exact Walsh-Hadamard or bounded-distance residuals (p = 1e-4, 1e-2, 0.1) and yosys 0.23 + abc synthesis, per
library [area um2, gate equivalents, delay ps] for small (relaxed) and fast (sized) points of encoder and decoder; our
own runs, no code of those tools is here.  A code that is not unique (the choice of shortened columns) may differ a
little.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtaml_hw import ecc, protection
from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc.hardware import SYNTHESISED

ROWS = json.loads((Path(__file__).parent / "ecc_codes.json").read_text())
FAMILIES = {
    "Hamming SEC": "hamming",
    "Hsiao SECDED": "secded",
    "BCH": "bch",
    "BCH DECTED": "dected",
    "Golay": "golay",
    "ext. Golay": "golay",
}


def our_name(title: str) -> str:
    if match := re.fullmatch(r"Repetition x(\d+)", title):
        return f"repeat-{match.group(1)}"
    family, n, k = re.fullmatch(r"(.+) \((\d+),(\d+).*\)", title).groups()
    return f"{FAMILIES[family]}-{n}-{k}"


@pytest.mark.parametrize("row", [r for r in ROWS if "residual_ber" in r], ids=lambda r: our_name(r["name"]))
def test_residual_and_due(row: dict[str, Any]) -> None:
    code = ecc.code(our_name(row["name"]))
    assert (code.n, code.k) == (row["n"], row["k"])
    tolerance = 0.005 if code.family == "hamming" else 1e-4
    for p, expected in row["residual_ber"].items():
        if expected > 1e-200:
            assert code.residual(float(p)).bit_error == pytest.approx(expected, rel=tolerance)
    # which of the double errors a shortened Hamming code flags depends on the choice of its columns
    if code.family != "hamming" or code.n in (7, 15, 31, 63):
        for p, expected in row["due"].items():
            if expected > 1e-200:
                assert code.residual(float(p)).p_due == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("row", [r for r in ROWS if r.get("hw")], ids=lambda r: our_name(r["name"]))
def test_table_holds_the_synthesised_figures(row: dict[str, Any]) -> None:
    name, library = our_name(row["name"]), row["hw"]["nangate45"]
    figures = SYNTHESISED[name]
    assert figures[2:4] == pytest.approx(library["dec_small"][1:], rel=1e-9)
    if "enc_small" in library:
        assert figures[:2] == pytest.approx(library["enc_small"][1:], rel=1e-9)
    hardware = ecc.code(name).hardware(45e-9)
    assert hardware.decoder_area_m2 * 1e12 == pytest.approx(library["dec_small"][0], rel=0.02)
    assert hardware.source.startswith("synthesised")


def weight_mse(plan: protection.ProtectionPlan | None, p: float) -> float:
    """MSE in LSB^2 of Gaussian int8 weights (sigma 127/4) whose planes err with the plan's residual channel."""
    error = np.full(8, p) if plan is None else plan.residual(FlipChannel.uniform(p, 8))[0][0]
    place = np.array([1, 2, 4, 8, 16, 32, 64, -128.0])
    values = np.arange(-127, 128)
    density = np.exp(-0.5 * (values / 31.75) ** 2)
    bits = ((values[:, None] & 255) >> np.arange(8)) & 1
    drift = (error * place * (1 - 2 * bits)).sum(axis=1)
    noise = (error * (1.0 - error) * place**2).sum()
    return float((density * (drift**2 + noise)).sum() / density.sum())


def test_no_memory_code_helps_at_ten_per_cent() -> None:
    """Weight MSE at p = 0.1: unprotected 2006, (39,32) on 2 MSBs 2070, TMR on 2 MSBs 690, ideal 137 LSB^2."""
    for entry, expected in ((None, 2006.0), ("secded-39-32", 2070.0), ("repeat-3", 690.0), ("ideal", 137.0)):
        plan = None if entry is None else protection.ProtectionPlan.uniform_msb([0, 100], 8, 2, entry)
        assert weight_mse(plan, 0.1) == pytest.approx(expected, rel=0.03)


def test_detection_beats_correction_at_ten_per_cent() -> None:
    """One parity bit over the top two bits, the weight zeroed on a mismatch: weight MSE 578 LSB^2 at p = 0.1."""
    p, code = 0.1, ecc.code("parity-zero")
    values = np.arange(-127, 128)
    density = np.exp(-0.5 * (values / 31.75) ** 2)
    density /= density.sum()
    low = p * (1.0 - p) * (4.0**6 - 1.0) / 3.0
    total = 0.0
    for pattern in range(8):
        flips = np.array([(pattern >> i) & 1 for i in range(3)])
        law = float(np.where(flips, p, 1.0 - p).prod())
        out = code.decode(flips)
        if out.uncorrectable:
            total += law * float((density * values**2).sum())
            continue
        stored = values & 255
        read = stored ^ (flips[0] << 7) ^ (flips[1] << 6)
        wrong = np.where(read > 127, read - 256, read) - values
        bits = (stored[:, None] >> np.arange(6)) & 1
        drift = (p * 2.0 ** np.arange(6) * (1 - 2 * bits)).sum(axis=1)
        total += law * float((density * ((wrong + drift) ** 2 + low)).sum())
    assert total == pytest.approx(578.0, rel=0.03)
