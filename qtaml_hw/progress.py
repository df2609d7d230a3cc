"""Progress on stderr: what is happening, how far, how long it will take; silent when asked or not a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what)."""


def silent(done: int, total: int, what: str) -> None:
    """Progress of someone who does not want any."""


@contextmanager
def terminal_progress(quiet: bool = False) -> Iterator[Progress]:
    """A rich progress bar on stderr with elapsed and remaining time."""
    if quiet:
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),  # a label such as [/x] is shown as it is
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def update(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what[:60])

        yield update
