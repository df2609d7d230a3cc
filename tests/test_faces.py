"""Every public name stands in a stub, and is there when it is asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("package", "known"),
    [
        ("qtaml_hw", ("load", "run", "sweep", "what_if", "Study", "corrupted", "device", "__version__")),
        ("qtaml_hw.accelerator", ("systolic_cost", "serving")),
        ("qtaml_hw.hardening", ("hardened", "METHODS")),
        ("qtaml_hw.report", ("write_report", "run_table")),
        ("qtaml_hw.workloads", ("load_network", "names")),
    ],
)
def test_every_name_of_a_face_loads(package: str, known: tuple[str, ...]) -> None:
    face = importlib.import_module(package)
    assert {*known} <= {*face.__all__} == {*dir(face)}
    assert all(getattr(face, name) is getattr(face, name) is not None for name in face.__all__)
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing'"):
        face.nothing  # noqa: B018


def test_a_function_is_no_part_of_its_name() -> None:
    """``qtaml_hw.reproduce`` is a function, whatever part of the package of that name was imported before."""
    code = "import qtaml_hw.reproduce.paper, qtaml_hw as q; assert callable(q.reproduce), q.reproduce"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
