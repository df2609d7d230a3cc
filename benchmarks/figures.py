"""How every benchmark here takes time and says what it found: CPU seconds, in turns with the peer, a line a figure.

A figure has a goal or is a peer's. `scripts/benchmark --save` collects them through the file that ``COLLECT`` names.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

COLLECT = "QTAML_HW_BENCHMARK_FIGURES"
"""Environment variable: a file to which every figure is appended, a JSON object a line."""

Job = Callable[[], object]


def cpu_s(job: Job, least_s: float = 0.0) -> float:
    """CPU seconds of one call; a shorter job is called again until ``least_s`` have gone, and the mean returned."""
    calls, start = 0, time.process_time()
    while True:
        job()
        calls += 1
        taken = time.process_time() - start
        if taken >= least_s:
            return taken / calls


def in_turns(jobs: Mapping[str, Job], rounds: int, least_s: float = 0.0) -> dict[str, list[float]]:
    """CPU seconds of every job in every round, one after the other, after a call each that compiles and loads."""
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name].append(cpu_s(job, least_s))
    return taken


def medians(jobs: Mapping[str, Job], rounds: int, least_s: float = 0.0) -> dict[str, float]:
    """Medians of :func:`in_turns`."""
    return {name: statistics.median(taken) for name, taken in in_turns(jobs, rounds, least_s).items()}


def median_s(job: Job, rounds: int = 5) -> float:
    """Median CPU seconds of one job, after a call that compiles and loads."""
    return medians({"": job}, rounds)[""]


def children_cpu_s(command: list[str], **named: object) -> float:
    """CPU seconds, the system's included, of a process that is waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, **named)  # type: ignore[call-overload]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_bytes() -> int:
    """The most resident memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux


def told_by(script: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark prints last, a JSON object, in a process of its own with these arguments."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def figure(
    what: str,
    value: float,
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    more: str = "",
) -> bool:
    """Say one figure beside its goal, if it has one; whether it is met."""
    if at_most is not None and at_least is not None:
        raise ValueError("a figure has one goal")
    goal, sense = (at_most, "<=") if at_most is not None else (at_least, ">=")
    met = goal is None or (value <= goal if sense == "<=" else value >= goal)
    beside = f"goal {sense} {goal:g}" if goal is not None else ""
    verdict = "" if goal is None else ("met" if met else "MISSED")
    print(f"{what:<72} {value:>10.4g} {unit:<16} {beside:<16} {verdict:<7} {more}".rstrip(), flush=True)
    if collected := os.environ.get(COLLECT):
        said = {
            "part": Path(sys.argv[0]).stem.removeprefix("bench_"), "what": what, "value": float(value), "unit": unit,
            "goal": goal, "sense": sense if goal is not None else None, "more": more,
        }  # fmt: skip
        with Path(collected).open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
    return met
