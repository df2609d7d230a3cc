"""How a value shows itself at a prompt: rows under a title, as text in columns or as an HTML table."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from qtaml_hw.errors import nearest

Rows = list[tuple[str, ...]]


def as_text(title: str, rows: Rows) -> str:
    """Rows under a title, columns in line."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join([title, *(f"  {line}" for line in lines)])


def as_html(title: str, rows: Rows) -> str:
    """The same as a table; labels come from study files and are escaped."""
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><caption>{html.escape(title)}</caption><tbody>{body}</tbody></table>"


class Shown:
    """A value that shows itself: subclasses say under which title, and in which rows."""

    def _title_and_rows(self) -> tuple[str, Rows]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return as_text(*self._title_and_rows())

    def _repr_html_(self) -> str:
        return as_html(*self._title_and_rows())


class Suggesting:
    """A value whose mistyped attributes are answered with the one that was probably meant."""

    if not TYPE_CHECKING:  # type checkers know the attributes

        def __getattr__(self, name: str) -> Any:
            known = [n for n in (*getattr(type(self), "__dataclass_fields__", ()), *dir(type(self))) if n[0] != "_"]
            raise AttributeError(f"{type(self).__name__} has no {name!r}{nearest(name, known)}")
