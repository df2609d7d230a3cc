"""Gauss rules, computed once each."""

from __future__ import annotations

from functools import cache

import numpy as np

from qtaml_hw.arrays import Float64


@cache
def gauss(count: int) -> tuple[Float64, Float64]:
    """Read-only nodes and weights of the rule with ``count`` nodes on (-1, 1); the weights sum to 2."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights


@cache
def gauss_normal(count: int) -> tuple[Float64, Float64]:
    """Read-only nodes and weights of the rule for a standard normal; the weights sum to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights
