"""Record fields over simulated time: what a point's array does and spends, and what each fault map suffers.

Lists have one entry per time of ``evaluate.at``.  Energies count from the time before (the first from the first write,
which is left out); counts of corrections run from the first write up to the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from qtaml_hw.config import Study
from qtaml_hw.config.sections.timeline import PhaseSection
from qtaml_hw.memory import EnergyMeter, LayerReads, Memory, Timeline, bank_use, read_stalls
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.cells.array import geometry_of

_MOST_REFRESH: Final = 0.5
ENERGY_PARTS = {
    "read": ("read",),
    "codec": ("decode", "encode", "codec_leakage"),
    "refresh": ("refresh",),
    "scrub": ("scrub",),
    "reload": ("write", "backing"),
    "leakage": ("leakage",),
}


def array_facts(study: Study, chip: Memory) -> dict[str, Any]:
    """What every fault map of a point shares: energy by part and interval, bank time by kind of command."""
    edges = (0.0, *chip.schedule.sample_times_s)
    spent = _in_phases(study, chip).between(chip.log, edges)
    energy = {part: np.sum([spent[action] for action in actions], axis=0) for part, actions in ENERGY_PARTS.items()}
    stalls, stall_s = read_stalls(chip.layout, chip.schedule, chip.log)
    whole = bank_use(chip.layout, chip.schedule, chip.log, (0.0, chip.schedule.horizon_s))
    return {
        "energy_series_j": {part: _short(joules) for part, joules in energy.items() if np.any(joules)},
        "availability": float(whole.available[0]),
        "refresh_bandwidth_share": float(whole.refresh[0]),
        "scrub_bandwidth_share": float(whole.scrub[0]),
        "read_bandwidth_share": float(whole.read[0]),
        "stalls": stalls,
        "stall_s": stall_s,
    }


def bank_warnings(costs: Mapping[str, Any]) -> list[str]:
    """Banks that refresh more than they serve; a record's own figures say by how much."""
    share, see = costs[F.refresh_bandwidth_share], "see refresh.interval and array.banks"
    if share >= 1.0:
        busy = f"refresh takes {100.0 * share:.4g} % of the banks' time"
        return [f"{busy}: the memory does nothing but refresh, and cannot keep up; {see}"]
    told = f"refresh takes more than half of the banks' time: reads wait for it; {see}"
    return [told] if share > _MOST_REFRESH else []


def phase_facts(study: Study) -> dict[str, Any]:
    """The phases of the study's timeline, for plots; nothing without one."""
    phases = study.timeline.phases
    return {"phases": [{"label": p.label, "start_s": p.start_s, "end_s": p.end_s} for p in phases]} if phases else {}


def _in_phases(study: Study, chip: Memory) -> EnergyMeter:
    """The chip's meter, with what leakage and actions cost in each phase over what they do outside."""

    def costs(phase: PhaseSection | None) -> tuple[float, float]:
        bank = geometry_of(study, phase).bank_cost(chip.layout.stored_bits, chip.layout.class_bits)
        return bank.leakage_w + bank.gate_leakage_w, bank.read_energy_j

    leakage_w, read_j = costs(None)
    inside = [costs(phase) for phase in study.timeline.phases]
    return replace(
        chip.meter,
        phase_leakage=tuple(watts / leakage_w for watts, _ in inside),
        phase_actions=tuple(joules / read_j for _, joules in inside),
    )


def _short(values: Any) -> list[float]:
    return [float(f"{v:.6g}") for v in values]


def map_fields(timeline: Timeline) -> dict[str, Any]:
    """What one fault map suffers, time by time."""
    scrub, refresh, lost, reloaded = timeline.counts.corrections.T.tolist()
    return {
        "flips_raw_series": timeline.flips_data.tolist(),
        "flips_parity_series": timeline.flips_parity.tolist(),
        "flips_residual_series": timeline.flips_read.tolist(),
        "words_corrected_series": timeline.words_corrected.tolist(),
        "words_uncorrectable_series": timeline.words_uncorrectable.tolist(),
        "scrub_corrected_series": scrub,
        "refresh_corrected_series": refresh,
        "corrections_uncorrectable_series": lost,
        "words_reloaded_series": reloaded,
        "reload_s": timeline.reload.time_s,
        "reload_energy_j": timeline.reloaded_j,
        "reload_wait_s_series": _short(timeline.reload.wait_s),
    }


def as_written(timeline: Timeline) -> Timeline:
    """The same fault map where no flip of the memory is read: it ages and spends, and its codes are as written."""
    found = ("flips_data", "flips_parity", "flips_read", "words_corrected", "words_uncorrectable")
    none = {name: np.zeros_like(getattr(timeline.counts, name)) for name in found}
    return replace(timeline, counts=replace(timeline.counts, **none))


def slack_facts(
    study: Study, chip: Memory, traffic: LayerReads, compute_s: float, read_latency_s: float
) -> dict[str, Any]:
    """How far reads are from holding up the accelerator, whose layers compute for ``compute_s`` per inference.

    ``clock_slack_s`` : clock period less array access and decode, negative where a read takes several cycles;
    ``layer_slack_s`` : least compute time less reading time over the layers, negative where a layer waits for weights;
    ``throughput_per_s`` : inferences back to back at the mean simulated latency, stalls included.
    """
    period_s = 1.0 / study.accelerator.clock_hz
    latency = chip.log.inference_s
    slack = np.array(chip.schedule.layer_time_s or (0.0,)) - traffic.read_s
    whole_s = max(compute_s, float(np.mean(latency))) if len(latency) else compute_s
    return {
        "clock_slack_s": period_s - read_latency_s,
        "read_cycles": int(np.ceil(read_latency_s / period_s - 1e-9)),
        "layer_slack_s": float(slack.min()),
        "throughput_per_s": 1.0 / whole_s,
    }
