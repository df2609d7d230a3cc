"""Leaking weight memories of neural-network accelerators: physics, flips, ECC, accuracy and cost in one chain.

The scripting face.  Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtaml_hw import (
        accelerator,
        channel,
        config,
        device,
        ecc,
        faults,
        memory,
        protection,
        records,
        tac,
        units,
        weights,
        workloads,
    )
    from qtaml_hw.config import Study, StudyError
    from qtaml_hw.config import load_study as load
    from qtaml_hw.errors import InputError
    from qtaml_hw.records.compare import compare
    from qtaml_hw.records.results import Result, SweepResult, WhatIf
    from qtaml_hw.report import write_report
    from qtaml_hw.reproduce import ReproductionResult, reproduce
    from qtaml_hw.study.design.corruption import corrupted
    from qtaml_hw.study.design.streamed import stream
    from qtaml_hw.study.questions.allocation import allocate
    from qtaml_hw.study.questions.ecc_table import ecc_table
    from qtaml_hw.study.questions.feasible import feasible
    from qtaml_hw.study.questions.gate import gate_current
    from qtaml_hw.study.questions.retention import retention
    from qtaml_hw.study.questions.search import search
    from qtaml_hw.study.questions.tensors import tensors
    from qtaml_hw.study.questions.tornado import tornado
    from qtaml_hw.study.questions.validate import validate
    from qtaml_hw.verbs import run, sweep, what_if

    __version__: str

_MODULES = (
    "accelerator",
    "channel",
    "config",
    "device",
    "ecc",
    "faults",
    "memory",
    "protection",
    "records",
    "tac",
    "units",
    "weights",
    "workloads",
)
_HOMES = {
    "Study": "config.Study",
    "StudyError": "config.StudyError",
    "load": "config.load_study",
    "InputError": "errors.InputError",
    "corrupted": "study.design.corruption.corrupted",
    "allocate": "study.questions.allocation.allocate",
    "ecc_table": "study.questions.ecc_table.ecc_table",
    "gate_current": "study.questions.gate.gate_current",
    "compare": "records.compare.compare",
    "feasible": "study.questions.feasible.feasible",
    "tornado": "study.questions.tornado.tornado",
    "retention": "study.questions.retention.retention",
    "Result": "records.results.Result",
    "SweepResult": "records.results.SweepResult",
    "WhatIf": "records.results.WhatIf",
    "run": "verbs.run",
    "search": "study.questions.search.search",
    "sweep": "verbs.sweep",
    "stream": "study.design.streamed.stream",
    "tensors": "study.questions.tensors.tensors",
    "validate": "study.questions.validate.validate",
    "what_if": "verbs.what_if",
    "write_report": "report.write_report",
    "ReproductionResult": "reproduce.ReproductionResult",
    "reproduce": "reproduce.run.reproduce",
}

__all__ = [
    "InputError",
    "ReproductionResult",
    "Result",
    "Study",
    "StudyError",
    "SweepResult",
    "WhatIf",
    "__version__",
    "accelerator",
    "allocate",
    "channel",
    "compare",
    "config",
    "corrupted",
    "device",
    "ecc",
    "ecc_table",
    "faults",
    "feasible",
    "gate_current",
    "load",
    "memory",
    "protection",
    "records",
    "reproduce",
    "retention",
    "run",
    "search",
    "stream",
    "sweep",
    "tac",
    "tensors",
    "tornado",
    "units",
    "validate",
    "weights",
    "what_if",
    "workloads",
    "write_report",
]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qtaml-hw")
    except PackageNotFoundError:  # used from a checkout that is not installed
        return "0+unknown"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _MODULES:
        return importlib.import_module(f"qtaml_hw.{name}")
    if name in _HOMES:
        module, _, attribute = f"qtaml_hw.{_HOMES[name]}".rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'qtaml_hw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
