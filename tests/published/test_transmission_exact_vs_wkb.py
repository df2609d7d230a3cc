"""Transmission against a stand-alone transfer-matrix solver (checked there with Airy functions) and golden values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.device import transmission

TABLE = np.genfromtxt(Path(__file__).parent / "data" / "transmission_exact_vs_wkb.csv", delimiter=",", skip_header=2)


def test_golden_wkb_within_1e_6() -> None:
    assert transmission(0.1, 1e-9, 3.15, 1.0, 0.5) == pytest.approx(9.62572989e-06, rel=1e-6)
    assert transmission(0.2, 2e-9, 3.15, 1.0, 0.5) == pytest.approx(1.46857975e-10, rel=1e-6)
    assert transmission(0.0, 1.5e-9, 3.1, 0.0, 0.4) == pytest.approx(3.69111289e-08, rel=1e-6)


def test_golden_exact_within_1e_6() -> None:
    assert transmission(0.1, 1e-9, 3.15, 1.0, 0.5, "exact") == pytest.approx(8.46762110e-06, rel=1e-6)
    assert transmission(0.2, 2e-9, 3.15, 1.0, 0.5, "exact") == pytest.approx(1.89003761e-10, rel=1e-6)


def test_every_row_wkb_1e_6_exact_and_ratio_1_percent() -> None:
    t_nm, voltage, energy, mass, wkb, exact, ratio = TABLE[:, :7].T
    arguments = (energy, t_nm * 1e-9, 3.15, voltage, mass)
    ours_wkb, ours_exact = transmission(*arguments), transmission(*arguments, "exact")
    np.testing.assert_allclose(ours_wkb, wkb, rtol=1e-6)
    np.testing.assert_allclose(ours_exact, exact, rtol=1e-5)
    np.testing.assert_allclose(ours_exact / ours_wkb, ratio, rtol=0.01)


def test_wkb_quadrature_equals_closed_form_within_1e_8() -> None:
    t_nm, voltage, energy, mass = TABLE[:, :4].T
    arguments = (energy, t_nm * 1e-9, 3.15, voltage, mass)
    np.testing.assert_allclose(transmission(*arguments, "wkb_quadrature"), transmission(*arguments), rtol=1e-8)
