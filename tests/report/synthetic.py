"""Synthetic but plausible records of every shape a store can have: closed forms of the right size, no physics."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw.records.store import SCHEMA_VERSION

LAYERS = (("conv1", 432), ("conv2", 4608), ("conv3", 18432), ("fc1", 1048576), ("fc2", 1048576), ("head", 20480))
SHARES = ("1e-6", "1e-3", "0.05", "0.1", "0.5")
NORMAL = {"1e-6": -4.7534, "1e-3": -3.0902, "0.05": -1.6449, "0.1": -1.2816, "0.5": 0.0}
SI = {
    "cell.t_ox": ("nm", 1e-9),
    "refresh.interval": ("us", 1e-6),
    "cell.temperature": ("degC", 1.0),
    "protection.budget.bits": ("%", 1e-2),
    "flips.p": ("", 1.0),
    "cell.v_dd": ("V", 1.0),
}
PARAMETERS = [
    {"path": "cell.kind", "value": "gain_cell", "origin": "file", "source": "study.yaml:3"},
    {"path": "cell.t_ox", "value": "1.8 nm", "origin": "sweep", "source": "study.yaml:12"},
    {"path": "cell.v_dd", "value": "1.0 V", "origin": "preset", "source": "Chun et al., JSSC 46 (2011) 1495, Table I"},
    {"path": "cell.sigma_t_ox", "value": "2 %", "origin": "default", "source": "ITRS 2011, FEP chapter"},
    {"path": "refresh.interval", "value": "10 us", "origin": "set", "source": "--set refresh.interval=10us"},
    {"path": "weights.fold_batch_norm", "value": "false", "origin": "default", "source": ""},
]


def shown(path: str, value: Any) -> tuple[str, Any]:
    """(as written, in SI)."""
    if path not in SI or isinstance(value, str):
        return str(value), value
    unit, factor = SI[path]
    return f"{value:g} {unit}".strip(), value * factor + (273.15 if unit == "degC" else 0.0)


def flip(t_ox_m: float, interval_s: float, temperature_k: float) -> tuple[float, float]:
    """(p10, median retention in s) of a log-normal population."""
    median = 60e-6 * 10 ** ((t_ox_m / 1e-9 - 1.8) * 5.0) * math.exp((358.15 - temperature_k) / 25.0)
    z = math.log(interval_s / median) / 0.9
    return 0.5 * math.erfc(-z / math.sqrt(2.0)), median


def damage(p: float, policy: str, budget: float, k: float) -> float:
    """A distortion: which share of the weight variance the policy leaves."""
    left = {"none": 1.0, "uniform": 4.0**-k, "magnitude": 4.0 ** (-1.6 * k), "tac": 4.0 ** (-2.2 * k)}.get(
        policy, 4.0**-k
    )
    return 40.0 * p * left


def point(
    number: int, axes: dict[str, Any], maps: int, *, times: tuple[float, ...] = (1e-3,), **over: Any
) -> list[dict[str, Any]]:
    """All records of one design point."""
    pairs = {path: shown(path, value) for path, value in axes.items()}
    si = {path: pair[1] for path, pair in pairs.items()}
    t_ox = si.get("cell.t_ox", 1.7e-9)
    interval = si.get("refresh.interval", 10e-6)
    temperature = si.get("cell.temperature", 358.15)
    policy = si.get("protection.policy", "tac")
    budget = 0.0 if policy == "none" else si.get("protection.budget.bits", 0.05)
    p10, median = flip(t_ox, interval, temperature)
    p10 = si.get("flips.p", p10)
    distortion = damage(p10, policy, budget, 8 * budget * 3.0)
    total = sum(n for _, n in LAYERS)
    images, clean, quantised = 500, 0.974, 0.972
    read, energy = 0.42e-6, {"mac": 0.35e-6, "codec": 0.0 if policy == "none" else 0.05e-6}
    refresh = 0.3e-6 * 10e-6 / interval
    planes = [
        0.0 if policy == "none" else 8 * budget if policy == "uniform" else min(8.0, 8 * budget * (2.4 / (1 + i) + 0.2))
        for i in range(6)
    ]
    e_total = read + energy["mac"] + energy["codec"] + refresh + 0.02e-6
    parity = 0.0 if policy == "none" else budget * 7 / 32
    array, codec = 2.2e-6, 0.0 if policy == "none" else 0.018e-6
    area = array * (1 + parity) + codec
    label = ", ".join(v for v, _ in pairs.values()) or "run"
    base = {
        "schema": SCHEMA_VERSION,
        "identity": f"{number:04d}{zlib.crc32(json.dumps(pairs).encode()):08x}",
        "study": "edram-oxide",
        "label": label,
        "point": number,
        "axes": {p: v[0] for p, v in pairs.items()},
        "axes_si": si,
        "network": "digits-vgg",
        "data": "digits",
        "classes": 10,
        "weights_format": "int8/twos_complement",
        "scale": "per_tensor",
        "fold_batch_norm": False,
        "cell_kind": "gain_cell",
        "cell_preset": "gain-cell-65nm",
        "t_ox_m": t_ox,
        "v_dd_v": 1.0,
        "temperature_k": temperature,
        "law": "retention",
        "direction": "1 to 0",
        "refresh_interval_s": interval,
        "scrub_interval_s": None,
        "at_s": list(times),
        "retention_quantiles_s": {u: median * math.exp(0.9 * NORMAL[u]) for u in SHARES},
        "gate_share": 0.83,
        "p01": p10 * 1e-4,
        "p10": p10,
        "policy": policy,
        "group": "layer",
        "menu": ["none", "ideal"],
        "correction": "auto",
        "corrections": ["none"] * 6,
        "zero_overhead": True,
        "budget_kind": "bits",
        "budget": budget,
        "stored_bits": 8 * total,
        "protected_bits_fraction": budget,
        "parity_bits_fraction": parity,
        "layers": [
            {"name": n, "weights": w, "protected_planes": k, "correction": "none"}
            for (n, w), k in zip(LAYERS, planes, strict=True)
        ],
        "predicted_distortion": distortion,
        "lower_bound": distortion * 0.97,
        "rho_star": 5.3 if policy == "tac" else None,
        "area_m2": area,
        "array_area_m2": array,
        "parity_area_m2": array * parity,
        "codec_area_m2": codec,
        "area_low_m2": 0.8 * area,
        "area_high_m2": 1.2 * area,
        "energy_per_inference_j": e_total,
        "mac_energy_j": energy["mac"],
        "weight_read_energy_j": read,
        "codec_energy_j": energy["codec"],
        "refresh_energy_j": refresh,
        "scrub_energy_j": 0.0,
        "leakage_energy_j": 0.02e-6,
        "energy_low_j": 0.6 * e_total,
        "energy_high_j": 1.6 * e_total,
        "read_latency_s": 3.56e-9,
        "decode_latency_s": 0.68e-9,
        "inference_latency_s": 4.1e-5,
        "cycles_per_inference": 20500,
        "clock_hz": 5e8,
        "bank_busy_fraction": 0.12,
        "images": images,
        "clean_score": clean,
        "quantised_score": quantised,
        "seed": 2026,
        "warnings": [],
        "versions": {"qtaml_hw": "0.1.0", "numpy": "2.1.0", "torch": "2.13.0", "numba": "0.62.0", "python": "3.11.2"},
    } | over
    found = []
    for i in range(maps):
        rng = np.random.default_rng([2026, i])
        chip = rng.normal()
        series = []
        for j, time_s in enumerate(times):
            loss = 0.87 / (1 + math.exp(-1.9 * (math.log(distortion * (1 + 0.4 * j) + 1e-12) - 0.2)))
            noisy = quantised - loss + 0.9 * loss * (1 - loss) * 0.12 * chip + rng.normal() * 0.002
            series.append([time_s, round(images * min(max(noisy, 0.08), 0.98)) / images])
        accuracy = series[-1][1]
        flips = int(rng.poisson(4 * total * p10))
        found.append(
            base
            | {
                "map_index": i,
                "correct": round(accuracy * images),
                "score": accuracy,
                "score_series": series,
                "flips_raw": flips,
                "flips_parity": 0,
                "flips_residual": int(flips * (1 - budget)),
                "words_corrected": 0,
                "words_uncorrectable": 0,
            }
        )
    return found


def sweep(axes: dict[str, list[Any]], maps: int = 8, **options: Any) -> list[dict[str, Any]]:
    """The grid over the axes, last fastest."""
    records = []
    for number, values in enumerate(itertools.product(*axes.values())):
        records += point(number, dict(zip(axes, values, strict=True)), maps, **options)
    return records


def failure(number: int, axes: dict[str, Any], error: str) -> dict[str, Any]:
    """A failed point."""
    (first,) = point(number, axes, 1)
    kept = ("schema", "identity", "study", "label", "point", "axes", "axes_si", "versions", "seed", "policy")
    return {k: first[k] for k in kept} | {"map_index": -1, "error": error}


def ecc_rows() -> list[dict[str, Any]]:
    """An ECC overhead table."""
    codes = (
        ("secded-39-32", 39, 32, 0.069, 8.0, 380, 0.37e-12, 0.58e-9),
        ("secded-72-64", 72, 64, 0.038, 18.0, 732, 0.78e-12, 0.67e-9),
        ("dected-79-64", 79, 64, 0.06, 300.0, 2611, 1.47e-12, 1.41e-9),
        ("repeat-3", 3, 1, 0.5, 3.0, 3.3, 0.01e-12, 0.05e-9),
    )
    rows = []
    for (name, n, k, limit, factor, ge, energy, latency), p in itertools.product(codes, (1e-4, 1e-3, 1e-2, 1e-1)):
        left = min(factor * p * p * (1 if name != "dected-79-64" else p * 3), 1.05 * p)
        rows.append(
            {
                "code": name,
                "n": n,
                "k": k,
                "parity_fraction": (n - k) / k,
                "p": p,
                "residual_p": left,
                "p_due": min(1.0, n * n * p * p / 2),
                "p_sdc": min(1.0, (n * p) ** 3 / 6),
                "break_even_p": limit,
                "encoder_ge": ge / 2,
                "decoder_ge": ge,
                "area_m2": ge * 0.8e-12,
                "decode_energy_j": energy,
                "decode_latency_s": latency,
                "source": "synthesised (yosys 0.23 + abc, Nangate 45 nm)",
                "hurts": left > p,
            }
        )
    return rows


def write(folder: Path, records: list[dict[str, Any]], *, parameters: bool = True, study: bool = True) -> Path:
    """A store with these records."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records-test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    if parameters:
        beside = {
            "study": "edram-oxide",
            "command": "qtaml-hw sweep configs/quickstart.yaml --out runs/quickstart",
            "parameters": PARAMETERS,
            "citations": [
                "Chun et al., A 667 MHz logic-compatible embedded DRAM, JSSC 47 (2012) 547",
                "Muralimanohar et al., CACTI 6.0, HPL-2009-85",
            ],
        }
        (folder / "parameters.json").write_text(json.dumps(beside), encoding="utf-8")
    if study:
        (folder / "study.yaml").write_text(
            "# How thin may the oxide of a gain cell get before a digits network suffers?\nstudy: edram-oxide\n",
            encoding="utf-8",
        )
    return folder
