"""No network: every module imported and a whole study run and reported in a process that may open no connection."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import importlib, importlib.util, json, pkgutil, sys
tried = []

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        tried.append(event)
        raise OSError(f"{event}: no network here")

sys.addaudithook(refuse)
import qtaml_hw as q

modules = [m.name for m in pkgutil.walk_packages(q.__path__, "qtaml_hw.") if not m.name.endswith("__main__")]
if importlib.util.find_spec("triton") is None:  # comes with PyTorch's builds for CUDA alone
    modules.remove("qtaml_hw.faults._triton")
for name in modules:
    importlib.import_module(name)
study = q.config.parse_study(sys.argv[1], name="offline")
result = q.run(study, store=sys.argv[2])
import socket
try:
    socket.create_connection(("127.0.0.1", 9), 0.1)
except OSError as error:
    blocked = "no network here" in str(error)
print(json.dumps([len(modules), result.maps, str(result.report), tried, blocked]))
"""
STUDY = """
study: offline
cell: {t_ox: 1.8 nm}
network: {name: digits-mlp}
evaluate: {at: [1 ms], images: 50, maps: {min: 2, max: 2}}
"""


def test_nothing_is_fetched(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, STUDY, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    modules, maps, report, tried, blocked = json.loads(done.stdout)
    assert modules > 150
    assert maps == 2
    assert Path(report).is_file()
    assert blocked  # the guard works ...
    assert set(tried) <= {"socket.getaddrinfo", "socket.connect"}
    assert len(tried) == 1  # ... and this test alone has met it
