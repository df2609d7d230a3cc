"""Tables on the terminal: one builder for all of them, at most 100 columns wide, colours where the terminal has them.

Cells are shown as text, never as markup.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from qtaml_hw.records.text import plain

WIDTH: Final = 100


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]] = (),
    *,
    heading: str = "",
    caption: str = "",
    words: int | None = None,
) -> Table:
    """A table with one head per column; a cell that is a ``rich.text.Text`` keeps its style, any other is plain text.

    The first ``words`` columns hold words and may wrap (None: all do), the others numbers, which do not.
    """
    made = Table(
        title=text(heading, 90) if heading else None,
        title_justify="left",
        title_style="bold",
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    for i, head in enumerate(heads):
        if words is None:
            made.add_column(Text(head), overflow="fold")
        elif i < words:
            made.add_column(Text(head), overflow="fold", min_width=8)
        else:
            made.add_column(Text(head), justify="right", no_wrap=True, vertical="top")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def text(value: object, longest: int = 120) -> Text:
    """What a study file calls something, as one line that is no markup."""
    return Text(plain(value, longest))


def show(*blocks: RenderableType) -> None:
    """Print to stdout; a pipe gets the full width without colours."""
    console = Console(markup=False, width=min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH))
    for block in blocks:
        console.print(block)
