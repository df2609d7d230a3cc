"""Gated width of transistors that stand up: what a fin or a stack of sheets counts as gate area."""

from __future__ import annotations


def fin_gate_area(fins: int, height_m: float, width_m: float, length_m: float) -> float:
    """Gate area of a FinFET in m^2: fins x (2 height + width) x gate length, the gate on three sides of every fin.

    Raises ValueError for what is not positive.
    """
    return _area(fins, 2.0 * height_m + width_m, min(height_m, width_m), length_m)


def sheet_gate_area(sheets: int, height_m: float, width_m: float, length_m: float) -> float:
    """Gate area of stacked nanosheets in m^2: sheets x 2 (height + width) x gate length, the gate all around.

    Raises ValueError for what is not positive.
    """
    return _area(sheets, 2.0 * (height_m + width_m), min(height_m, width_m), length_m)


def _area(count: int, around_m: float, thinnest_m: float, length_m: float) -> float:
    if not (count >= 1 and thinnest_m > 0.0 and length_m > 0.0):
        raise ValueError(
            f"a gate needs at least one fin or sheet and positive sizes; got {count} of {thinnest_m:g} m and a length "
            f"of {length_m:g} m"
        )
    return count * around_m * length_m
