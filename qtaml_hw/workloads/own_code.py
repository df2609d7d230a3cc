"""A user's functions, loaded: modules of a study's folder under names of their own, so that two folders never mix.

Every folder is a private package.  Its modules see their neighbours first, as a script sees those beside it; nothing is
put on ``sys.path``, and ``sys.modules`` has their plain names free for everybody else.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from qtaml_hw import usercode
from qtaml_hw.errors import nearest
from qtaml_hw.files import stamp
from qtaml_hw.workloads.reading import in_words

PREFIX: Final = "_qtaml_hw_study_"


def load_function(name: str, folder: str | Path | None, allowed: Collection[str] = ()) -> Callable[..., Any]:
    """The function ``package.module:function`` of a study in ``folder`` (None: the current one); imports its module.

    Raises ValueError when its code may not be run (see ``usercode.find``), when the module cannot be imported, has no
    such function, or only hands on one that is defined where code may not be run.
    """
    place = Path() if folder is None else Path(folder)
    code = usercode.find(name, place, allowed)
    root = _root(place)
    try:
        home = importlib.import_module(f"{root}.{code.module}" if code.own else code.module)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ValueError(f"the module of {name!r} cannot be imported ({in_words(error)})") from error
    function: Callable[..., Any] | None = getattr(home, code.function, None)
    if not callable(function):
        hint = nearest(code.function, [n for n in dir(home) if callable(getattr(home, n))])
        raise ValueError(f"module {code.module!r} has no function {code.function!r}{hint}")
    defined = str(getattr(function, "__module__", None))
    if not defined.startswith(f"{root}.") and not usercode.may_run(defined, allowed):
        raise ValueError(f"{name!r} is defined in {defined!r}: call it in a function of the study's own folder")
    return function


def called(name: str, function: Callable[..., Any], /, *inputs: Any, **named: Any) -> Any:
    """What a user's function returns.  Raises ValueError for whatever it raises, an exit of the process among it."""
    try:
        return function(*inputs, **named)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name} failed: {type(error).__name__}: {' '.join(str(error).split())}") from error


def _root(folder: Path) -> str:
    """The name of a folder's private package; modules are forgotten when one of them has changed on disk."""
    place = str(folder.resolve())
    name = PREFIX + hashlib.sha256(place.encode()).hexdigest()[:16]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    loaded = [key for key in sys.modules if key.startswith(f"{name}.")]
    loaders = [getattr(sys.modules[key].__spec__, "loader", None) for key in loaded]
    if any(isinstance(loader, _Loader) and loader.stamp != stamp(Path(loader.path)) for loader in loaders):
        for key in loaded:
            del sys.modules[key]
        importlib.invalidate_caches()
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [place]
        sys.modules[name] = package
    return name


class _Finder(MetaPathFinder):
    """Modules of private packages, found as usual and loaded with neighbours first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Source whose ``import`` statements look in the study's folder first, whenever they run.

    Compiled anew by every process: Python believes its ``.pyc`` by size and whole seconds, and then runs old code.
    """

    stamp: list[int | str] | None = None

    def get_code(self, fullname: str) -> CodeType:
        self.stamp = stamp(Path(self.path))
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        own = partial(_import, module.__name__.split(".")[0])
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": own}
        super().exec_module(module)


def _import(
    root: str,
    name: str,
    scope: Mapping[str, object] | None = None,
    local: Mapping[str, object] | None = None,
    wanted: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    """``__import__`` of a private package's modules."""
    first = name.split(".")[0]
    if level or first == usercode.PRODUCT or not _neighbour(root, first):
        return builtins.__import__(name, scope, local, wanted, level)
    found = builtins.__import__(f"{root}.{name}", scope, local, wanted, 0)
    return found if wanted else sys.modules[f"{root}.{first}"]


def _neighbour(root: str, first: str) -> bool:
    """Whether a name is a module or package of the folder; a bare folder only where nothing installed has the name."""
    spec = PathFinder.find_spec(first, sys.modules[root].__path__)
    return spec is not None and (spec.origin is not None or PathFinder.find_spec(first) is None)
