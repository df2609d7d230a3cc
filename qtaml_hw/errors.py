"""What a user can put right: said in one line, exit code 2; and what a mistyped name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input outside the study file itself: weights that do not fit, a folder that cannot be used."""


class StoreError(InputError):
    """A folder of results that cannot be used; the message says why and what is safe."""


def in_one_line(error: BaseException) -> str:
    """An error that says nothing a user can put right: its kind and its words, at most 500 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def closest(word: object, names: Iterable[str], cutoff: float = 0.4) -> str | None:
    """The name that a word was probably meant to be; None when none is as close as ``cutoff``, 0 to 1."""
    known, text = list(names), str(word)[:80]
    near = (difflib.get_close_matches(spelling, known, n=1, cutoff=cutoff) for spelling in (text, text.lower()))
    return next((found[0] for found in near if found), None)


def nearest(word: object, names: Iterable[str], cutoff: float = 0.4) -> str:
    """``; did you mean 'x'?`` for the closest name, or an empty text when nothing is close."""
    near = closest(word, names, cutoff)
    return "" if near is None else f"; did you mean {near!r}?"


def unknown(what: str, word: object, names: Iterable[str]) -> str:
    """Why a name is refused and what is allowed: the message of every table look-up."""
    known = list(names)
    return f"unknown {what} {str(word)[:60]!r}; allowed: {', '.join(known)}{nearest(word, known)}"
