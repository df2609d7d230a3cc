"""What this machine offers: versions, cores, device, and whether the places we write to can be written."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from qtaml_hw.versions import versions


def writable(folder: Path) -> str:
    """ "writable", or why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return f"not writable: {error.strerror}"
    return "writable"


def examine() -> dict[str, str]:
    """The lines of ``qtaml-hw doctor``."""
    import torch

    from qtaml_hw.workloads import cache_folder

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    cache = cache_folder()
    return {
        **versions(),
        "platform": platform.platform(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "device": device,
        f"cache {cache}": writable(cache),
        f"results {Path.cwd()}": writable(Path.cwd()),
    }
