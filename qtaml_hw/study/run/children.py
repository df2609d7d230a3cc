"""Processes that this one starts and outlives: how one ends, in time and in words."""

from __future__ import annotations

import signal
import time
from multiprocessing.context import SpawnProcess

FAREWELL_S = 5.0  # in which a worker ends by itself
MOST_DEATHS = 2  # workers that a point, or a map of it, may cost before it is given up
GUARD = "A script that takes several jobs keeps what it runs under: if __name__ == '__main__'"


def end_all(processes: list[SpawnProcess]) -> None:
    """Wait a little, for all together, until they have ended by themselves; those that are frozen are killed."""
    until_s = time.monotonic() + FAREWELL_S
    for process in processes:
        process.join(max(until_s - time.monotonic(), 0.0))
        if process.is_alive():
            process.kill()
            process.join(FAREWELL_S)


def end_in_words(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    memory = " (the system does so when memory runs out)" if -code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{memory}"
