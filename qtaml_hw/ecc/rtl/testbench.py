"""Self-checking testbench for emitted codecs: vectors come from our own codec, iverilog runs them."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.rtl import verilog


@dataclass(frozen=True)
class BenchResult:
    """Outcome of a simulation: ``vectors`` run, ``failures`` among them."""

    vectors: int
    failures: int


def error_patterns(code: Code, extra: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """No error, every single, every double, and ``extra`` random patterns of three to six errors; uint8 [m, n]."""
    rows: list[tuple[int, ...]] = [
        (),
        *itertools.combinations(range(code.n), 1),
        *itertools.combinations(range(code.n), 2),
    ]
    rows += [
        tuple(rng.choice(code.n, size=min(code.n, int(size)), replace=False)) for size in rng.integers(3, 7, extra)
    ]
    out = np.zeros((len(rows), code.n), dtype=np.uint8)
    for pattern, row in zip(rows, out, strict=True):
        row[list(pattern)] = 1
    return out


def vectors(code: Code, extra: int = 500, seed: int = 0) -> str:
    """Lines of hex for $readmemh: {uncorrectable, corrected, data out, word, error, data in}, most significant
    first."""
    rng = np.random.default_rng(seed)
    errors = error_patterns(code, extra, rng)
    data = rng.integers(0, 2, (len(errors), code.k), dtype=np.uint8)
    words = code.encode(data)
    silent = code.with_policy("raw") if code.policy == "reload" else code
    out = silent.decode(words ^ errors)
    flags = np.stack([out.corrected, out.uncorrectable], axis=1).astype(np.uint8)
    bits = np.concatenate([data, errors, words, out.data, flags], axis=1)
    digits = -(-bits.shape[1] // 4)
    packed = np.packbits(np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))), axis=1, bitorder="little")
    return "".join(f"{int.from_bytes(row.tobytes(), 'little'):0{digits}x}\n" for row in packed)


def testbench(code: Code, count: int) -> str:
    """A bench that drives encoder and decoder with ``vectors.hex`` and prints ``PASS count`` or ``FAIL``."""
    tag, k, n = verilog.identifier(code), code.k, code.n
    width = 2 * k + 2 * n + 2
    return f"""`timescale 1ns/1ps
module {tag}_bench;
  reg [{width - 1}:0] vectors [0:{count - 1}];
  reg [{width - 1}:0] v;
  wire [{k - 1}:0] data_in = v[{k - 1}:0];
  wire [{n - 1}:0] error = v[{k + n - 1}:{k}];
  wire [{n - 1}:0] expected_word = v[{k + 2 * n - 1}:{k + n}];
  wire [{k - 1}:0] expected_data = v[{2 * k + 2 * n - 1}:{k + 2 * n}];
  wire [{n - 1}:0] word;
  wire [{k - 1}:0] data_out;
  wire corrected, uncorrectable;
  integer i, failures;
  {tag}_encoder enc (.data(data_in), .word(word));
  {tag}_decoder dec (.word(word ^ error), .data(data_out), .corrected(corrected), .uncorrectable(uncorrectable));
  initial begin
    $readmemh("vectors.hex", vectors);
    failures = 0;
    for (i = 0; i < {count}; i = i + 1) begin
      v = vectors[i];
      #1;
      if (word !== expected_word || data_out !== expected_data ||
          corrected !== v[{width - 2}] || uncorrectable !== v[{width - 1}]) begin
        failures = failures + 1;
        if (failures < 5) $display("FAIL vector %0d", i);
      end
    end
    $display("%0d vectors, %0d failures", i, failures);
    if (failures == 0) $display("PASS"); else $display("FAIL");
    $finish;
  end
endmodule
"""


def image_bench(code: Code, count: int) -> str:
    """A bench that decodes the words of a memory image and holds data and flags against what is expected.

    Reads ``words_<name>.held.memh`` (a word a line) and ``words_<name>.expected.memh`` ({uncorrectable, corrected,
    data}); prints ``<words> words, <corrected> corrected, <uncorrectable> uncorrectable, <failures> failures``.
    """
    tag, k, n = verilog.identifier(code), code.k, code.n
    return f"""`timescale 1ns/1ps
module {tag}_image_bench;
  reg [{n - 1}:0] held [0:{count - 1}];
  reg [{k + 1}:0] expected [0:{count - 1}];
  reg [{n - 1}:0] word;
  wire [{k - 1}:0] data;
  wire corrected, uncorrectable;
  integer i, failures, fixed, lost;
  {tag}_decoder dec (.word(word), .data(data), .corrected(corrected), .uncorrectable(uncorrectable));
  initial begin
    $readmemh("words_{tag}.held.memh", held);
    $readmemh("words_{tag}.expected.memh", expected);
    failures = 0; fixed = 0; lost = 0;
    for (i = 0; i < {count}; i = i + 1) begin
      word = held[i];
      #1;
      fixed = fixed + (corrected === 1'b1);
      lost = lost + (uncorrectable === 1'b1);
      if ({{uncorrectable, corrected, data}} !== expected[i]) begin
        failures = failures + 1;
        if (failures < 5) $display("FAIL word %0d", i);
      end
    end
    $display("%0d words, %0d corrected, %0d uncorrectable, %0d failures", i, fixed, lost, failures);
    $finish;
  end
endmodule
"""


def emit(code: Code, folder: str | Path, seed: int = 0) -> dict[str, Path]:
    """Write ``<name>.v``, ``<name>_bench.v`` and ``vectors.hex`` into a folder (made if absent); the paths by file
    name."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tag, lines = verilog.identifier(code), vectors(code, seed=seed)
    texts = {
        f"{tag}.v": verilog.encoder(code) + "\n" + verilog.decoder(code),
        f"{tag}_bench.v": testbench(code, lines.count("\n")),
        "vectors.hex": lines,
    }
    for name, text in texts.items():
        (target / name).write_text(text, encoding="utf-8")
    return {name: target / name for name in texts}


def run_iverilog(code: Code, folder: str | Path) -> BenchResult:
    """Compile and run the emitted bench; ValueError when iverilog is not installed, RuntimeError when it rejects the
    files."""
    return BenchResult(*_simulated(code, Path(folder), "bench", r"(\d+) vectors, (\d+) failures"))


def run_image_bench(code: Code, folder: str | Path) -> dict[str, int]:
    """Words, corrected, uncorrectable and failures of :func:`image_bench` in a folder; errors as ``run_iverilog``."""
    names = ("words", "corrected", "uncorrectable", "failures")
    verdict = ", ".join(rf"(\d+) {name}" for name in names)
    return dict(zip(names, _simulated(code, Path(folder), "image_bench", verdict), strict=True))


def _simulated(code: Code, place: Path, bench: str, verdict: str) -> list[int]:
    """The numbers of the verdict that a bench prints."""
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        raise ValueError("iverilog is not installed (Debian: apt-get install iverilog)")
    tag = verilog.identifier(code)
    with tempfile.TemporaryDirectory() as compiled:
        program = str(Path(compiled) / "bench.vvp")
        for command in (
            ["iverilog", "-g2005", "-o", program, f"{tag}.v", f"{tag}_{bench}.v"],
            ["vvp", "-n", program],
        ):
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
            if done.returncode != 0:
                raise RuntimeError(f"{command[0]} failed on {tag}: {(done.stderr or done.stdout).strip()[:500]}")
    match = re.search(verdict, done.stdout)
    if match is None:
        raise RuntimeError(f"the bench of {tag} printed no verdict: {done.stdout[:500]!r}")
    return [int(number) for number in match.groups()]
