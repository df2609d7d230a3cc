"""Checking a study is light: nothing heavy is imported, and of the package only config and the light ground floor."""

from __future__ import annotations

import subprocess
import sys

_CHECK = """
import sys
from qtaml_hw.config import load_study, json_schema
load_study("configs/quickstart.yaml").identity()
json_schema()
heavy = {"torch", "numba", "scipy", "matplotlib", "sklearn", "pandas", "numpy", "simpy", "typer", "rich"}
print(sorted(heavy & set(sys.modules)))
own = {name.split(".")[1] for name in sys.modules if name.startswith("qtaml_hw.")}
print(sorted(own - {"_collection", "_lazy", "config", "errors", "limits", "names", "prompt", "units"}))
"""


def test_config_imports_nothing_heavy() -> None:
    found = subprocess.run([sys.executable, "-c", _CHECK], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["[]", "[]"]
