"""Questions with a closed-form answer: gate current, retention, the ECC table, the protection plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw import device, ecc, units
from qtaml_hw.config import Study
from qtaml_hw.device.current import CurrentMethod
from qtaml_hw.device.transmission import barrier_of, stack_transmission
from qtaml_hw.ecc.table import DEFAULT_CODES, DEFAULT_P
from qtaml_hw.study.cell import QUANTILES, build_cell, exposure_s, view_cell
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.plan_facts import plan_facts
from qtaml_hw.study.planning import Protection, protect
from qtaml_hw.study.progress import Progress
from qtaml_hw.study.store import write_atomically
from qtaml_hw.study.subject import Subject, Workshop
from qtaml_hw.study.tensors import tensor_rows
from qtaml_hw.study.transforming import stored_subject

SPAN = (0.03, 30.0)  # of the study's interval: the range over which flip probabilities are listed


def gate_current(
    t_ox: str,
    voltage: str,
    temperature: str = "25 degC",
    *,
    stack: str = "sio2",
    method: CurrentMethod = "closed_form",
) -> dict[str, Any]:
    """Gate current density and band-edge transmission for values with units, with warnings outside the calibration.

    Raises InputError for values outside the physical ranges, with the reason.
    """
    try:
        t_ox_m, voltage_v = units.parse(t_ox, "length"), units.parse(voltage, "voltage")
        temperature_k = units.parse(temperature, "temperature")
        density = device.current_density(t_ox_m, voltage_v, temperature_k, method=method, stack=stack)
        through = _band_edge_transmission(t_ox_m, voltage_v, stack)
        warnings = device.calibration_warnings(t_ox_m, voltage_v, stack)
    except ValueError as error:
        raise InputError(str(error)) from error
    return {
        "t_ox_m": t_ox_m,
        "voltage_v": voltage_v,
        "temperature_k": temperature_k,
        "stack": stack,
        "method": method,
        "j_a_per_m2": float(density),
        "transmission": through,
        "warnings": list(warnings),
    }


def _band_edge_transmission(t_ox_m: float, voltage_v: float, stack: str) -> float:
    """WKB transmission of an electron at the band edge with the whole voltage over the dielectric."""
    layers = barrier_of(device.named_stack(stack, t_ox_m), voltage_v, "electron")
    return float(stack_transmission(layers, 0.0))


@dataclass(frozen=True, eq=False)
class Retention:
    """Retention of a study's cell: after ``quantiles_s[p]`` seconds without refresh a share p of cells has failed.

    ``p01`` and ``p10`` are flip probabilities at ``interval_s``; ``intervals`` lists (seconds, p01, p10) around it.
    Empty quantiles: a static cell, which holds its bit for ever or not at all.
    """

    quantiles_s: dict[float, float]
    interval_s: float
    p01: float
    p10: float
    gate_share: float | None
    law: str
    intervals: tuple[tuple[float, float, float], ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; quantiles under the names "1e-6", "1e-3", "0.05", "0.1", "0.5"."""
        named = {name: self.quantiles_s.get(float(name)) for name in QUANTILES}
        table = [{"interval_s": t, "p01": up, "p10": down} for t, up, down in self.intervals]
        return {**asdict(self), "quantiles_s": named, "intervals": table, "warnings": list(self.warnings)}


def retention(study: Study) -> Retention:
    """Closed form, instant.

    Raises InputError for law ``fixed``, which has no cell behind it.
    """
    if study.flips.law == "fixed":
        raise InputError("flips.law is fixed: the study states its flip probability, no cell retention is behind it")
    view, interval_s = view_cell(study, 1), exposure_s(study)
    cell, law = build_cell(study), study.flips.law
    channels = [(float(t), device.flip_channel(cell, float(t), 1, law)) for t in interval_s * np.geomspace(*SPAN, 13)]
    return Retention(
        {float(q): seconds for q, seconds in (view.retention_quantiles_s or {}).items()},
        interval_s,
        float(view.channel.p01[0]),
        float(view.channel.p10[0]),
        view.gate_share,
        law,
        tuple((t, float(c.p01[0]), float(c.p10[0])) for t, c in channels),
        view.warnings,
    )


def ecc_table(
    study: Study | None = None, *, p: Sequence[float] | None = None, codes: Sequence[str] | None = None
) -> list[ecc.EccRow]:
    """The ECC overhead table; with a study, at its node and with its raw flip probability put before ``p``.

    Raises InputError for an unknown code or a probability outside [0, 1].
    """
    values, node_m = list(p) if p else [], 45e-9
    if study is not None:
        node_m = study.array.node_m
        channel = view_cell(study, 1).channel
        values = [0.5 * float(channel.p01[0] + channel.p10[0]), *values]  # mean over balanced bits
    if not values:
        values = list(DEFAULT_P)
    try:
        return ecc.overhead_table(values, codes or DEFAULT_CODES, node_m)
    except ValueError as error:
        raise InputError(str(error)) from error


@dataclass(frozen=True, eq=False)
class AllocationResult:
    """A protection plan with its predictions, for tables and JSON."""

    protection: Protection
    subject: Subject
    node_m: float
    clock_hz: float
    facts: dict[str, Any] = field(default_factory=dict)

    def _code_row(self, row: ecc.PlanRow) -> dict[str, Any]:
        """One entry in one layer; variance saved per check bit is None where no check bit is paid."""
        plain = {**asdict(row), "tensor": self.subject.image.tensors[row.tensor].name}
        saved = row.lsb2_saved_per_parity_bit
        return {**plain, "lsb2_saved_per_parity_bit": saved if np.isfinite(saved) else None}

    @property
    def plan(self) -> ecc.ProtectionPlan:
        """The plan itself."""
        return self.protection.plan

    def save(self, path: Path) -> None:
        """Write the plan as JSON, for ``protection: {plan: ..}``.

        Raises StoreError when the file cannot be written.
        """
        write_atomically(path, self.plan.to_json())

    def as_dict(self) -> dict[str, Any]:
        """Groups with their weights and protected planes, overheads, prediction, bound, gap, rho*, how it was found."""
        plan, found = self.plan, self.protection
        names = group_names(plan, [t.name for t in self.subject.image.tensors])
        sizes, planes = np.diff(plan.starts), plan.planes_protected()
        return {
            "policy": plan.policy,
            "menu": list(plan.menu),
            "tensors": tensor_rows(self.subject),
            "groups": [
                {"group": name, "weights": int(n), "planes": int(k), "choice": [plan.menu[c] for c in row]}
                for name, n, k, row in zip(names, sizes, planes, plan.choice, strict=True)
            ],
            "corrections": list(found.decoder.kinds),
            "codes": [self._code_row(row) for row in ecc.plan_table(plan, found.channel, self.node_m, self.clock_hz)],
            "protected_bits_fraction": plan.protected_bits_fraction,
            "parity_bits_fraction": plan.parity_bits_fraction,
            "predicted_distortion": found.predicted_distortion,
            "lower_bound": found.lower_bound,
            "gap": found.gap,
            "rho_star": found.rho_star,
            **self.facts,
        }


def group_names(plan: ecc.ProtectionPlan, tensors: Sequence[str]) -> list[str]:
    """``conv.weight``, ``conv.weight[3]`` (channel), ``conv.weight[word 12]``, ``conv.weight[row 3]``."""
    prefix = {"layer": None, "channel": "", "word": "word ", "row": "row "}[plan.group_kind]
    names = []
    for tensor, name in enumerate(tensors):
        first, last = plan.tensor_groups(tensor)
        names += [name if prefix is None else f"{name}[{prefix}{i}]" for i in range(last - first)]
    return names


def allocate(study: Study, *, progress: Progress | None = None) -> AllocationResult:
    """The protection plan of a study on its network, without evaluating any fault map.

    Raises InputError when the network cannot be loaded or the budget cannot price the menu.
    """
    subject = Workshop(progress).subject(study)
    try:
        channel = view_cell(study, subject.image.planes).channel
        subject = stored_subject(subject, study, channel)
        protection = protect(study, subject, channel)
        facts = plan_facts(study, subject, protection)
        return AllocationResult(protection, subject, study.array.node_m, study.accelerator.clock_hz, facts)
    except ValueError as error:
        raise InputError(str(error)) from error
