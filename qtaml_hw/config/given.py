"""What a function of the scripting face is given in place of a study, told in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from qtaml_hw.config.study import Study
from qtaml_hw.errors import InputError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def takes_study(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function with an argument ``study``, which may be None where that is its default.

    What is made of it raises InputError for anything else, with what a study is had from.
    """
    places = signature(function).parameters
    place, default = list(places).index("study"), places["study"].default

    @wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        found = args[place] if len(args) > place else kwargs.get("study", default)
        if not isinstance(found, Study) and found is not default:
            name = str(getattr(function, "__name__", "this"))
            hint = f": q.load({os.fspath(found)!r}) reads one" if isinstance(found, str | os.PathLike) else ""
            raise InputError(f"q.{name} takes a study; got {str(found)[:40]!r} ({type(found).__name__}){hint}")
        return function(*args, **kwargs)

    return checked
