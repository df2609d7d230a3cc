"""What plans can know before the commands are simulated: the flip probability of a cell when everything is on time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.memory.ageing.exposure import Exposure
from qtaml_hw.memory.ageing.history import Visits, build_history, sample_thresholds
from qtaml_hw.memory.cells import CellModel, FixedCells
from qtaml_hw.memory.traffic.schedule import Schedule

Float64 = NDArray[np.float64]
NONE = np.empty(0, dtype=np.float64)


def planned_flip_probability(cell: CellModel, schedule: Schedule) -> Float64:
    """P(lost) at the last sample of a leaky-state cell that nothing corrects, by row class: float64 [classes].

    Refresh, updates and phases are on time and nothing queues.  ``schedule.refresh_interval_s`` says the classes.
    Raises ValueError for cells of fixed probabilities, which know no time, and without a sample.
    """
    if isinstance(cell, FixedCells) or not schedule.sample_times_s:
        raise ValueError("planning ahead needs a cell that ages and a time at which it is read")
    given = schedule.refresh_interval_s
    intervals = given if isinstance(given, tuple) else (given,)
    exposure, last = Exposure(cell, schedule), np.array(schedule.sample_times_s[-1:])
    writes = np.array(schedule.rewrites_s, dtype=np.float64)
    out = np.empty(len(intervals))
    for row_class, interval_s in enumerate(intervals):
        visits = Visits(_refreshes(schedule, interval_s), NONE, NONE, writes[writes < last[0]], last)
        history = build_history(visits, exposure)
        if exposure.law == "poisson":
            history = history.epochs(cumulative=True)[-1]
        out[row_class] = sample_thresholds(history, exposure, 1)[0]
    return out


def _refreshes(schedule: Schedule, interval_s: float | None) -> Float64:
    """Multiples of an interval outside the phases that stop them."""
    if interval_s is None:
        return NONE
    ticks = int(schedule.horizon_s / interval_s * (1.0 + 1e-12))
    times: Float64 = np.arange(1, ticks + 1, dtype=np.float64) * interval_s
    for phase in schedule.phases:
        if not (phase.refresh and phase.powered):
            times = times[(times < phase.start_s) | (times >= phase.end_s)]
    return times
