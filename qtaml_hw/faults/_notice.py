"""Say so when the first call of a kernel spends its time compiling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_S = 2.0

_log = logging.getLogger("qtaml_hw.faults")


@contextmanager
def compile_notice(kernel: Any) -> Iterator[None]:
    """Log one line if the kernel has never run in this process and its first call takes longer than two seconds."""
    if getattr(kernel, "overloads", True):
        yield
        return
    message = "compiling the bit-flip kernels (once; cached on disk for later runs)"
    timer = threading.Timer(PATIENCE_S, _log.warning, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
