"""How long a study's cell keeps its bits, in closed form; no network is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from qtaml_hw import device
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study, takes_study
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.errors import InputError
from qtaml_hw.prompt import Rows, Shown, Suggesting
from qtaml_hw.records.text import number, percent, retention_basis, scale, share_of_cells
from qtaml_hw.study.design.cells.by_plane import one_cell
from qtaml_hw.study.design.cells.cell import QUANTILES, exposure_s, view_cell

SPAN = (0.03, 30.0)  # of the study's interval: the range over which flip probabilities are listed


@dataclass(frozen=True, eq=False, repr=False)
class Retention(Suggesting, Shown):
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
    temperature_k: float
    intervals: tuple[tuple[float, float, float], ...]
    warnings: tuple[str, ...]

    def _title_and_rows(self) -> tuple[str, Rows]:
        rows: Rows = [
            (f"{share_of_cells(share)} of cells failed after", _seconds(t)) for share, t in self.quantiles_s.items()
        ]
        rows += [
            ("at an interval of", _seconds(self.interval_s)),
            ("p(1→0)", number(self.p10)),
            ("p(0→1)", number(self.p01)),
        ]
        rows += (
            [] if self.gate_share is None else [("share of the gate in the leakage", f"{percent(self.gate_share)} %")]
        )
        rows += [("warning", text) for text in self.warnings]
        return f"Retention (law {self.law}; {retention_basis(self.law)})", rows

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; quantiles under the names "1e-6", "1e-3", "0.05", "0.1", "0.5"."""
        named = {name: self.quantiles_s.get(float(name)) for name in QUANTILES}
        table = [{"interval_s": t, "p01": up, "p10": down} for t, up, down in self.intervals]
        return {**asdict(self), "quantiles_s": named, "intervals": table, "warnings": list(self.warnings)}

    def to_csv(self) -> str:
        """Points ``time,p,temperature`` of the worse stored value, as ``flips: {law: curve, file: ..}`` reads them."""
        lines, last = ["time,p,temperature"], 0.0
        for time_s, up, down in self.intervals:
            p = max(up, down)
            if last < p < 1.0:
                lines.append(f"{time_s:.9g} s,{p:.9g},{self.temperature_k:g} K")
                last = p
        return "\n".join([*lines, ""])

    def to_nvsim(self, share: float) -> str:
        """Lines of an eDRAM cell file of NVSim and DESTINY: the time after which a share of the cells has failed.

        Raises InputError for a share that is not among ``quantiles_s``.
        """
        if share not in self.quantiles_s:
            raise InputError(f"no retention time is known for a share of {share:g}; known: {', '.join(QUANTILES)}")
        return (
            f"// qtaml_hw: {100.0 * share:g} % of the cells have lost their bit after this time (law {self.law})\n"
            f"-RetentionTime (us): {self.quantiles_s[share] * 1e6:.6g}\n"
            f"-Temperature (K): {self.temperature_k:g}\n"
        )


def _seconds(time_s: float) -> str:
    unit = scale([time_s], "s")
    return f"{unit.show(time_s)} {unit.unit}"


@takes_study
def retention(study: Study) -> Retention:
    """Closed form, instant.

    Raises InputError for law ``fixed``, which has no cell behind it.
    """
    one_cell(study, "retention")
    if study.flips.law == "fixed":
        raise InputError("flips.law is fixed: the study states its flip probability, no cell retention is behind it")
    view, interval_s = view_cell(study, 1), exposure_s(study)
    cell, times_s = build_cell(study), interval_s * np.geomspace(*SPAN, 13)
    law: Literal["retention", "poisson"] = "poisson" if study.flips.law == "poisson" else "retention"
    if isinstance(view.population, device.CurvePopulation):
        times_s = np.unique(np.clip(times_s, *view.population.span_s))

    def after(t: float) -> tuple[float, float]:
        channel = FlipChannel.over_dies(
            [(share, device.flip_channel(cell, t, 1, law, people)) for share, people in view.lot]
        )
        return float(channel.p01[0]), float(channel.p10[0])

    return Retention(
        {float(q): seconds for q, seconds in (view.retention_quantiles_s or {}).items()},
        interval_s,
        float(view.channel.p01[0]),
        float(view.channel.p10[0]),
        view.gate_share,
        study.flips.law,
        study.cell.temperature_k,
        tuple((float(t), *after(float(t))) for t in times_s),
        view.warnings,
    )
