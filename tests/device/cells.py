"""Cells that several device tests stand on."""

from __future__ import annotations

from typing import Any

from qtaml_hw.device import GainCell, Sram6T


def gain_cell(**changes: Any) -> GainCell:
    """The 65 nm gain cell at 1.8 nm and 85 degC, with changes."""
    values: dict[str, Any] = {
        "t_ox_m": 1.8e-9, "v_dd_v": 1.0, "v_ref_v": 0.5, "temperature_k": 358.15, "storage_capacitance_f": 1e-15,
        "gate_area_m2": 7.8e-15, "overlap_area_m2": 5.4e-15, "i_sub_a": 0.12e-12, "i_sub_activation_ev": 0.50,
        "sigma_t_ox": 0.02, "sigma_v_th_v": 0.040,
    }  # fmt: skip
    return GainCell(**(values | changes))


def sram_cell(**changes: Any) -> Sram6T:
    """The calibrated 6T cell, with changes."""
    values: dict[str, Any] = {
        "t_ox_m": 1.8e-9, "v_dd_v": 0.6, "temperature_k": 298.15, "sigma_v_th_v": 0.03, "v_th_n_v": 0.381,
        "v_th_p_v": 0.313, "pull_up_ratio": 0.0323, "dibl": 0.0556, "gate_length_m": 63e-9, "overlap_share": 0.110,
    }  # fmt: skip
    return Sram6T(**(values | changes))
