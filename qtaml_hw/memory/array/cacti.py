"""Figures of one bank from a user's own CACTI 7, run for every array that is asked for and kept on disk.

The program is started as it is, without a shell, on a configuration of its own: ``cache.cfg`` beside it with the values
of the array.  It has a time limit, what it prints is bounded, and a figure that it does not print is missing, not
guessed.  Nothing of CACTI is part of this package.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.files import cache_folder, content_digest, write_atomically

TEMPLATE: Final = "cache.cfg"
TEMPERATURES_K: Final = (300, 400)  # CACTI takes multiples of 10 K within
LP_DRAM_FROM_NM: Final = 32.0
_LONGEST_S: Final = 60.0
_MOST_BYTES: Final = 1_000_000
_POLL_S: Final = 0.02
PRINTED: Final = {
    "access_s": ("Access time (ns)", 1e-9),
    "cycle_s": ("Cycle time (ns)", 1e-9),
    "read_energy_j": ("Total dynamic read energy per access (nJ)", 1e-9),
    "write_energy_j": ("Total dynamic write energy per access (nJ)", 1e-9),
    "leakage_w": ("Total leakage power of a bank (mW)", 1e-3),
    "gate_leakage_w": ("Total gate leakage power of a bank (mW)", 1e-3),
    "area_m2": ("Data array: Area (mm2)", 1e-6),
    "refresh_w": ("Refresh power (mW)", 1e-3),
}
"""Quantity -> the words that CACTI prints before it, and their unit; the last only where CACTI was made to print it."""


@dataclass(frozen=True)
class Asked:
    """One bank as CACTI is asked for it.

    ``cell`` of the data array (itrs-hp .. or lp-dram), whole kilobytes; ``temperature_k`` is the nearest that it takes.
    """

    node_nm: float
    cell: str
    periphery: str
    kilobytes: int
    width_bits: int
    temperature_k: int = 350

    @classmethod
    def of(cls, node_nm: float, laws: str, periphery: str, bits: float, width_bits: int, kelvin: float) -> Asked:
        """The bank of an array: its capacity rounded up to whole kilobytes."""
        low, high = TEMPERATURES_K
        near = int(min(max(10.0 * round(kelvin / 10.0), low), high))
        cell = "lp-dram" if laws == "edram" else f"itrs-{periphery}"
        return cls(node_nm, cell, f"itrs-{periphery}", max(1, math.ceil(bits / 8192.0)), width_bits, near)


def configuration(template: str, asked: Asked) -> str:
    """CACTI's cache.cfg with the values of a bank. Raises ValueError where it lacks a line."""
    values = {
        "-size (bytes)": f"{asked.kilobytes * 1024}",
        "-block size (bytes)": f"{max(asked.width_bits // 8, 1)}",
        "-associativity": "1",
        "-technology (u)": f"{asked.node_nm / 1000:.3f}",
        "-Data array cell type -": f'"{asked.cell}"',
        "-Data array peripheral type -": f'"{asked.periphery}"',
        "-output/input bus width": f"{asked.width_bits}",
        "-operating temperature (K)": f"{asked.temperature_k}",
        "-cache type": '"ram"',
        "-Add ECC -": '"false"',
        "-Print level (DETAILED, CONCISE) -": '"DETAILED"',
    }
    text = "\n".join(line for line in template.splitlines() if not line.lstrip().startswith("//"))
    for name, value in values.items():
        text, found = re.subn(rf"^{re.escape(name)}.*$", f"{name} {value}", text, flags=re.MULTILINE)
        if not found:
            raise ValueError(f"{TEMPLATE} has no line {name!r}")
    return text


def read_figures(printed: str) -> dict[str, float]:
    """The figures that CACTI printed, in SI; those that it did not print are left out."""
    found = {}
    for name, (words, unit) in PRINTED.items():
        match = re.search(rf"{re.escape(words)}\s*:?\s*([-+.\deE]+)", printed)
        try:
            value = float(match[1]) * unit if match is not None else math.nan
        except ValueError:
            continue
        if math.isfinite(value) and value > 0.0:
            found[name] = value
    return found


@dataclass(frozen=True)
class Answer:
    """What CACTI gave for a bank: figures in SI; and why there are none, where there are none."""

    figures: Mapping[str, float]
    reason: str = ""


def complaint(program: Path) -> str | None:
    """Why a program cannot be started as CACTI, in words; None where nothing speaks against it."""
    if not program.is_file():
        return f"there is no {program}"
    if not os.access(program, os.X_OK):
        return f"{program} is not a program that may be run (chmod +x)"
    if not (program.parent / TEMPLATE).is_file():
        return f"{program} has no {TEMPLATE} beside it, which CACTI comes with"
    return None


@lru_cache(maxsize=4096)
def ask(program: Path, asked: Asked) -> Answer:
    """CACTI's figures of a bank: from disk where this program was asked before, else by running it.

    Raises InputError where the program does not start; an array that it does not answer is an answer with its reason.
    """
    wrong = complaint(program)
    if wrong is not None:
        raise InputError(f"array.cacti: {wrong}")
    if asked.cell == "lp-dram" and asked.node_nm < LP_DRAM_FROM_NM:
        return Answer({}, f"CACTI has no LP-DRAM below {LP_DRAM_FROM_NM:g} nm")
    try:
        text = configuration((program.parent / TEMPLATE).read_text(encoding="latin-1"), asked)
    except (OSError, ValueError) as error:
        raise InputError(f"array.cacti: {program.parent / TEMPLATE}: {error}") from error
    key = hashlib.sha256(f"{content_digest(program)}\n{text}".encode()).hexdigest()
    kept = cache_folder() / "cacti" / f"{key}.json"
    known = _kept(kept)
    if known is not None:
        return Answer(known)
    answer = _run(program, text)
    if answer.figures:
        with suppress(OSError, StoreError):  # a cache that cannot be written costs time, not the answer
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, json.dumps(dict(answer.figures)))
    return answer


def _kept(path: Path) -> dict[str, float] | None:
    """Figures kept on disk; None where there are none, or the file is damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    fine = (
        isinstance(content, dict)
        and content
        and all(name in PRINTED and isinstance(value, float) and value > 0.0 for name, value in content.items())
    )
    return content if fine else None


def _run(program: Path, text: str) -> Answer:
    """One run on a configuration, in the program's own folder, where its technology files are."""
    with tempfile.TemporaryDirectory() as scratch, (Path(scratch) / "printed").open("w+b") as printed:
        config = Path(scratch) / "array.cfg"
        config.write_text(text)
        try:
            process = subprocess.Popen(  # noqa: S603  # the program that the user names, without a shell
                [str(program), "-infile", str(config)],
                cwd=program.parent,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.DEVNULL,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(f"array.cacti: {program} does not run: {error.strerror}") from error
        stopped = _wait(process, Path(scratch) / "printed")
        printed.seek(0)
        found = read_figures(printed.read(_MOST_BYTES).decode("latin-1"))
    missing = [PRINTED[name][0] for name in PRINTED if name != "refresh_w" and name not in found]
    if stopped or process.returncode:
        return Answer({}, stopped or f"CACTI ended with status {process.returncode}")
    return Answer({}, f"CACTI did not print {missing[0]!r}") if missing else Answer(found)


def _wait(process: subprocess.Popen[bytes], printed: Path) -> str:
    """Wait for the end of a run; why it was stopped before, or an empty text."""
    until = time.monotonic() + _LONGEST_S
    while process.poll() is None:
        too_much = printed.stat().st_size > _MOST_BYTES
        if too_much or time.monotonic() > until:
            process.kill()
            process.wait()
            return f"CACTI printed more than {_MOST_BYTES:,} bytes" if too_much else f"CACTI took over {_LONGEST_S:g} s"
        time.sleep(_POLL_S)
    return ""
