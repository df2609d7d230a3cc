"""Codec area and delay from yosys and a liberty file, where both are at hand; results are cached by content hash.

yosys builds have been seen to die silently inside abc with exit status 0, so a run counts only if it printed a chip
area.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.hardware import DECODE_PJ_PER_GE, ENCODE_PJ_PER_GE, CodecHardware
from qtaml_hw.ecc.rtl import verilog

# yosys' own area script for combinational logic, with abc's static timing added at the end
ABC_SCRIPT = "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;strash;&get,-n;&dch,-f;&nf;&put;topo;stime,-p"

# !(A*B), (!(A B)), (!A)+(!B): the ways in which liberty files write a NAND2
_NAND2 = re.compile(r"\(?\s*!\s*\(\s*\w+\s*[*& ]\s*\w+\s*\)\s*\)?|\(?\s*!\s*\w+\s*\)?\s*[+|]\s*\(?\s*!\s*\w+\s*\)?")


@dataclass(frozen=True)
class Synthesis:
    """Of one module: ``area`` in the library's unit (um^2), ``ge`` = area / NAND2 area, ``delay_ps`` by abc (0 where
    it gave none)."""

    area: float
    ge: float
    delay_ps: float


def nand2_area(liberty: str) -> float:
    """Area of the smallest two-input NAND of a liberty text; ValueError where there is none."""
    areas = []
    for block in re.split(r"\n\s*cell\s*\(", liberty)[1:]:
        area = re.search(r"\barea\s*:\s*([\d.]+)", block)
        function = re.search(r'\bfunction\s*:\s*"([^"]*)"', block)
        if area and function and _NAND2.fullmatch(function.group(1).strip()):
            areas.append(float(area.group(1)))
    if not areas:
        raise ValueError('the liberty file has no two-input NAND (function "!(A*B)") to count gate equivalents in')
    return min(areas)


def _run_yosys(yosys: str, source: str, top: str, liberty: Path) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "design.v").write_text(source, encoding="utf-8")
        (Path(folder) / "cells.lib").symlink_to(liberty)
        script = (
            f"read_verilog design.v; synth -flatten -top {top}; abc -liberty cells.lib -script {ABC_SCRIPT}; "
            f"stat -liberty cells.lib -top {top}"
        )
        done = subprocess.run(  # noqa: S603
            [yosys, "-p", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
    area = re.findall(r"Chip area for (?:top )?module '[^']*':\s*([\d.eE+]+)", done.stdout)
    if done.returncode == 0 and re.search(r"Number of cells:\s+0\n", done.stdout.rpartition("Printing statistics")[2]):
        return 0.0, 0.0  # wires only, as the encoder of a repetition code
    if done.returncode != 0 or not area:
        tail = (done.stderr or done.stdout).strip()[-400:]
        raise RuntimeError(f"yosys printed no chip area for {top} (exit status {done.returncode}): {tail}")
    delay = re.findall(r"Delay\s*=\s*([\d.]+)\s*ps", done.stdout)
    return float(area[-1]), float(delay[0]) if delay else 0.0


def synthesise(code: Code, liberty: str | Path, cache: str | Path | None = None) -> tuple[Synthesis, Synthesis]:
    """(encoder, decoder) of a code in a liberty library.

    ``cache`` is a folder in which results are kept under the hash of Verilog and liberty.  Raises ValueError when
    yosys is not installed or the liberty file cannot be read, RuntimeError when yosys gives no area.
    """
    yosys = shutil.which("yosys")
    if yosys is None:
        raise ValueError("yosys is not installed (Debian: apt-get install yosys)")
    library = Path(liberty).resolve()
    try:
        text = library.read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the liberty file {library}: {error}") from error
    gate = nand2_area(text)
    tag = verilog.identifier(code)
    results = []
    for kind, source in (("encoder", verilog.encoder(code)), ("decoder", verilog.decoder(code))):
        key = hashlib.sha256(f"{source}\0{text}".encode()).hexdigest()[:32]
        kept = Path(cache) / f"{tag}_{kind}_{key}.json" if cache is not None else None
        if kept is not None and kept.exists():
            results.append(Synthesis(**json.loads(kept.read_text(encoding="utf-8"))))
            continue
        area, delay = _run_yosys(yosys, source, f"{tag}_{kind}", library)
        result = Synthesis(area, area / gate, delay)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(asdict(result)), encoding="utf-8")
        results.append(result)
    return results[0], results[1]


def synthesised_hardware(code: Code, liberty: str | Path, cache: str | Path | None = None) -> CodecHardware:
    """Codec figures from synthesis in the user's library; energies stay estimates per gate (45 nm, 1.1 V), and it
    says so."""
    enc, dec = synthesise(code, liberty, cache)
    return CodecHardware(
        encoder_ge=enc.ge,
        decoder_ge=dec.ge,
        encoder_area_m2=enc.area * 1e-12,
        decoder_area_m2=dec.area * 1e-12,
        encode_energy_j=ENCODE_PJ_PER_GE * enc.ge * 1e-12,
        decode_energy_j=DECODE_PJ_PER_GE * dec.ge * 1e-12,
        encode_latency_s=enc.delay_ps * 1e-12,
        decode_latency_s=dec.delay_ps * 1e-12,
        source=f"synthesised (yosys, {Path(liberty).name}); energy: estimate per gate at 45 nm, 1.1 V",
    )
