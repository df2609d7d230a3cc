"""Shannon's bound: what a stored bit carries through flips, and the check bits that no code can do without."""

from __future__ import annotations

import math

from qtaml_hw.ecc.residual import check_probability


def _entropy(p: float) -> float:
    """Binary entropy in bits."""
    return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1.0 - p) * math.log2(1.0 - p)


def capacity(p01: float, p10: float) -> float:
    """Bits that one stored bit carries reliably, at the best share of ones stored: the binary asymmetric channel.

    C = (p01 H(p10) - (1 - p10) H(p01)) / d + log2(1 + 2^((H(p01) - H(p10)) / d)) with d = 1 - p01 - p10; for
    p01 = p10 = p it is 1 - H(p) (Shannon 1948; the closed form follows from setting both output divergences equal).
    Raises ValueError for what is no probability.
    """
    up, down = check_probability(p01, "p01"), check_probability(p10, "p10")
    gap = 1.0 - up - down
    if abs(gap) < 1e-7:
        return 0.0  # what is read says nothing of what was stored; C ~ gap^2 / (2 ln 2) hereabouts
    high, low = _entropy(up), _entropy(down)
    found = (up * low - (1.0 - down) * high) / gap + math.log2(1.0 + 2.0 ** ((high - low) / gap))
    return min(max(found, 0.0), 1.0)


def parity_floor(p01: float, p10: float) -> float:
    """Check bits per data bit below which no code can be made error-free, 1/C - 1.

    Raises ValueError where a stored bit carries nothing (p01 + p10 = 1).
    """
    carried = capacity(p01, p10)
    if carried <= 0.0:
        raise ValueError(f"at p01 = {p01:g}, p10 = {p10:g} a stored bit carries nothing, so that no code has a price")
    return 1.0 / carried - 1.0
