"""Tables on the terminal: at most 100 columns wide, colours only where the terminal wants them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 100


def show(*blocks: RenderableType) -> None:
    """Print to stdout; a pipe gets the full width without colours."""
    console = Console(markup=False, width=min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH))
    for block in blocks:
        console.print(block)


def effective_values(provenance: Mapping[str, Any]) -> Table:
    """Every value that is in force, and where it comes from (``config.Study.provenance``)."""
    table = Table(title="effective values", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("value", "", "from"):
        table.add_column(heading, overflow="fold")
    for path, origin in provenance.items():
        place = {"default": "default", "set": "--set"}.get(origin.kind, origin.source)
        if origin.kind == "file" and origin.line:
            place = f"{origin.source}:{origin.line}"
        if origin.citation:
            place = f"{origin.source}: {origin.citation}"
        table.add_row(path, origin.text, place)
    return table
