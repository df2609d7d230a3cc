"""Flagged bits read as the sign of their weight: against a plain loop, and the closed form of the damage left."""

from __future__ import annotations

import numpy as np
import pytest

from tests import studies

P = 0.01
STATED = {"flips": f"{{law: fixed, p: {P}}}", "refresh": "off", "evaluate": "{images: 60, maps: {min: 2, max: 2}}"}


def levels(codes: np.ndarray) -> np.ndarray:
    return codes.view(np.int8).astype(np.float64)


def test_what_masking_leaves_is_the_closed_form() -> None:
    """A flag per bit: a cell and its twin err alone with 2 P (1 - P), seen, and then the bit is the sign.

    To first order in P a weight's squared error is the sum of 4^i over the bits that differ from the sign, at the rate
    2 P, both cells being watched; an unflagged pair of errors has the rate P^2.  The sign stays as it is read: P 4^7.
    """
    menu = "{policy: uniform, planes: 8, menu: [parity-sign-1], correction: none}"
    design = studies.design(**STATED, protection=menu)
    assert design.facts["parity_bits_fraction"] == 1.0
    codes = np.concatenate([t.codes for t in design.image.tensors])
    bits = (codes[:, None] >> np.arange(8)) & 1
    differ = bits[:, :7] != bits[:, 7:]
    seen = float((differ * 4.0 ** np.arange(7)).sum(axis=1).mean())
    low = 2 * P * (1 - P) * seen + P**2 * sum(4.0**i for i in range(7))
    found = []
    for number in range(6):
        read = np.concatenate(design.cell.live(design.chip, 2026, number).read_out[-1])
        same_sign = (read ^ codes) < 128
        found.append(float(np.mean(((levels(read) - levels(codes)) ** 2)[same_sign])))
        assert abs(float(np.mean(~same_sign)) - P) < 5.0 * (P / len(codes)) ** 0.5
    assert np.mean(found) == pytest.approx(low, rel=0.15)
