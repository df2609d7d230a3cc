"""Encoder and decoder in hardware: gate equivalents, area, energy, delay, from a sourced table or a closed form.

Table: yosys 0.23 + abc synthesis in the Nangate 45 nm open cell library (1.1 V, relaxed point), our own runs.
Closed form, fitted to that table (gates within 15 % for k >= 32; ones = weight of the data columns, in NAND2 gate
equivalents, GE): SEC-DED encoder 2 (ones - r), decoder 2 ones + 4.2 k + 8 r (Hamming SEC: 2 ones + 2.6 k + 5 r);
algebraic decoders, unrolled, (4.65 k m + 13 m^2)(t/2)^2.6 over GF(2^m), encoder 1.7 (ones - r) thanks to shared
terms; repetition is a majority tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.supply import Supply

TABLE_NODE_M = 45e-9
TABLE_VDD_V = 1.1
LOGIC_V_TH = 0.36  # threshold of a standard cell's transistors over the nominal supply: assumed, 0.4 V at 1.1 V
TABLE_SOURCE = "synthesised (yosys 0.23 + abc, Nangate 45 nm)"
FORM_SOURCE = "closed form fitted to Nangate 45 nm synthesis"

# name: encoder GE, encoder ps, decoder GE, decoder ps, encode pJ, decode pJ (energies: zero-delay switching estimate,
# 1.1 V)
SYNTHESISED: dict[str, tuple[float, float, float, float, float | None, float | None]] = {
    "hamming-7-4": (10.0, 108.06, 33.7, 254.4, 0.0174, 0.034),
    "hamming-15-11": (46.0, 167.72, 104.3, 347.89, None, None),
    "hamming-31-26": (128.0, 212.94, 249.7, 474.3, None, None),
    "hamming-12-8": (24.0, 167.14, 75.0, 282.37, None, None),
    "hamming-38-32": (144.0, 213.36, 287.3, 456.6, None, None),
    "hamming-71-64": (330.0, 294.75, 598.0, 566.02, None, None),
    "secded-8-4": (12.0, 110.58, 52.3, 305.21, None, None),
    "secded-13-8": (32.0, 168.5, 107.7, 396.57, 0.0518, 0.0934),
    "secded-22-16": (74.0, 213.69, 193.7, 522.05, None, None),
    "secded-39-32": (166.0, 238.93, 380.3, 582.88, 0.2481, 0.3746),
    "secded-72-64": (368.0, 308.4, 732.0, 674.7, 0.5383, 0.7766),
    "secded-137-128": (850.0, 355.28, 1520.3, 817.4, 1.2423, 1.6946),
    "bch-15-7": (32.0, 163.21, 309.7, 896.92, None, None),
    "bch-44-32": (345.0, 312.63, 1362.3, 1141.06, 0.5132, 0.7092),
    "bch-63-51": (555.0, 378.29, 2021.0, 1231.68, None, None),
    "bch-78-64": (777.0, 394.64, 2722.0, 1430.41, 1.1381, 1.5273),
    "dected-45-32": (324.0, 541.82, 1425.0, 1189.5, 0.4857, 0.7041),
    "dected-79-64": (785.0, 604.56, 2611.3, 1411.37, 1.146, 1.4681),
    "bch-63-45": (567.0, 373.61, 4991.0, 1845.95, None, None),
    "repeat-3": (0.0, 0.0, 3.3, 54.38, None, None),
    "repeat-5": (0.0, 0.0, 11.0, 179.4, None, None),
    "repeat-7": (0.0, 0.0, 20.3, 282.11, None, None),
}

# node: um^2 per GE, delay relative to 45 nm (of the (72,64) decoder), and where from.  Between nodes: log-log
# interpolation.
NODE_TABLE: dict[float, tuple[float, float, str]] = {
    130e-9: (3.754, 3024.21 / 674.7, "sky130hd"),
    45e-9: (0.798, 1.0, "Nangate 45 nm"),
    7e-9: (0.0583, 459.32 / 674.7, "ASAP7"),
    2e-9: (0.01814, 200.14 / 674.7, "GT2N"),
}
NOMINAL_VDD_V = {
    130e-9: 1.2,
    90e-9: 1.2,
    65e-9: 1.2,
    45e-9: 1.1,
    32e-9: 1.0,
    22e-9: 0.9,
    14e-9: 0.8,
    7e-9: 0.7,
    2e-9: 0.65,
}
ENCODE_PJ_PER_GE = 0.5383 / 368.0  # (72,64) of the table
DECODE_PJ_PER_GE = 0.7766 / 732.0
GATE_LEAKAGE_W = 17.4e-9  # one GE: NAND2_X1 of the Nangate 45 nm library, typical corner, 1.1 V, 25 degC


@dataclass(frozen=True, kw_only=True)
class CodecHardware:
    """One encoder and one decoder, combinational.  Areas in m^2, energies in J per word, latencies in s; GE = NAND2."""

    encoder_ge: float
    decoder_ge: float
    encoder_area_m2: float
    decoder_area_m2: float
    encode_energy_j: float
    decode_energy_j: float
    encode_latency_s: float
    decode_latency_s: float
    source: str

    def pipeline_cycles(self, clock_hz: float) -> int:
        """Clock cycles that one decode takes when it is pipelined to the clock."""
        if clock_hz <= 0.0:
            raise ValueError(f"a clock must be positive, got {clock_hz} Hz")
        return max(1, ceil(self.decode_latency_s * clock_hz))


def node_scaling(node_m: float, v_dd_v: float | None = None) -> tuple[float, float, float]:
    """(m^2 per GE, delay factor, energy factor against 45 nm) at a node of 2 to 180 nm; ValueError outside.

    Area and delay interpolate synthesised libraries; energy is C V^2 with C proportional to the node (constant-field
    scaling, assumed).  ``v_dd_v``: the supply, by default the node's nominal one; delay follows it by the alpha-power
    law (``qtaml_hw.supply``).
    """
    if not 2e-9 <= node_m <= 180e-9:
        raise ValueError(f"logic node must be 2 nm to 180 nm, got {node_m * 1e9:g} nm")
    nodes = np.log(np.array(sorted(NODE_TABLE)))
    at = np.log(node_m)
    area = np.exp(_line(at, nodes, np.log([NODE_TABLE[k][0] for k in sorted(NODE_TABLE)])))
    delay = np.exp(_line(at, nodes, np.log([NODE_TABLE[k][1] for k in sorted(NODE_TABLE)])))
    supplies = np.array([NOMINAL_VDD_V[k] for k in sorted(NOMINAL_VDD_V)])
    nominal_v = float(np.interp(at, np.log(sorted(NOMINAL_VDD_V)), supplies))
    supply = Supply(nominal_v if v_dd_v is None else v_dd_v, nominal_v, LOGIC_V_TH * nominal_v)
    energy = node_m / TABLE_NODE_M * (nominal_v / TABLE_VDD_V) ** 2
    return float(area) * 1e-12, float(delay) * supply.delay.value, energy * supply.energy.value


def _line(x: float, xs: np.ndarray, ys: np.ndarray) -> float:
    """Linear interpolation that goes on past the last point with its last slope."""
    if x > xs[-1]:
        return float(ys[-1] + (x - xs[-1]) * (ys[-1] - ys[-2]) / (xs[-1] - xs[-2]))
    return float(np.interp(x, xs, ys))


# decoder GE of single-error-correcting families: 2 ones + a k + b r
_SEC_DECODER = {"hamming": (2.6, 5.0)}
_SECDED_DECODER = (4.2, 8.0)


def closed_form(code: LinearCode) -> tuple[float, float, float, float]:
    """(encoder GE, encoder ps, decoder GE, decoder ps) at 45 nm of a code that the table does not hold."""
    ones, r, k, t = int(code.parity_matrix.sum()), code.parity, code.k, code.t
    fan_in = max(2, int(code.parity_matrix.sum(axis=0).max()))
    encoder_ps = 57.0 * ceil(log2(fan_in)) + 15.0
    if code.family == "repetition":
        return 0.0, 0.0, 4.2 * (code.n - 2) - 0.9, 75.0 * (code.n - 3) + 54.0
    if code.family == "parity":
        return 2.0 * (k - 1), encoder_ps, 3.0 * k, encoder_ps + 60.0
    if t <= 1:
        per_bit, per_check = _SEC_DECODER.get(code.family, _SECDED_DECODER)
        return 2.0 * max(ones - r, 0), encoder_ps, 2.0 * ones + per_bit * k + per_check * r, 2.0 * encoder_ps + 60.0
    m = ceil(log2(code.n + 1))
    decoder = (4.65 * k * m + 13.0 * m**2) * (t / 2.0) ** 2.6
    return 1.7 * max(ones - r, 0), encoder_ps, decoder, 102.4 * t * m


def codec_hardware(code: LinearCode, node_m: float, v_dd_v: float | None = None) -> CodecHardware:
    """See ``Code.hardware``."""
    area, delay, energy = node_scaling(node_m, v_dd_v)
    row = SYNTHESISED.get(code.name)
    if row is None:
        enc_ge, enc_ps, dec_ge, dec_ps = closed_form(code)
        enc_pj, dec_pj, source = None, None, FORM_SOURCE
    else:
        enc_ge, enc_ps, dec_ge, dec_ps, enc_pj, dec_pj = row
        source = TABLE_SOURCE
    enc_pj = ENCODE_PJ_PER_GE * enc_ge if enc_pj is None else enc_pj
    dec_pj = DECODE_PJ_PER_GE * dec_ge if dec_pj is None else dec_pj
    if abs(node_m - TABLE_NODE_M) > 1e-12:
        source += f", scaled to {node_m * 1e9:g} nm"
    if v_dd_v is not None:
        source += f", at {v_dd_v:g} V"
    return CodecHardware(
        encoder_ge=enc_ge,
        decoder_ge=dec_ge,
        encoder_area_m2=enc_ge * area,
        decoder_area_m2=dec_ge * area,
        encode_energy_j=enc_pj * energy * 1e-12,
        decode_energy_j=dec_pj * energy * 1e-12,
        encode_latency_s=enc_ps * delay * 1e-12,
        decode_latency_s=dec_ps * delay * 1e-12,
        source=source,
    )
