"""Memory and time of streaming a GGUF file: Llama-like, random int4 codes in groups of 32 (Q4_0), through the memory.

Run as ``python benchmarks/bench_stream.py [--parameters 1e9] [--room DIR]``; the file has 0.56 bytes a parameter and
is deleted.
Each figure is of a process of its own: CPU seconds a billion parameters, and peak resident memory (ru_maxrss) above
that of a process that has done the same with a tiny file.  Goal: memory does not grow with the file, but with its
largest tensor (of a billion the table of 32,000 tokens, 2 bytes of codes a weight): 0.5 GB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import figure, peak_bytes, told_by

GOAL_MB = 500.0
SIZES = ((4e9, (4096, 14_336, 128_256)), (1e7, (2048, 8192, 32_000)), (0.0, (64, 256, 320)))
"""From how many parameters on: width, hidden width and tokens (those of Llama 3 8B first)."""
Q4_0, BLOCK, BYTES = 2, 32, 18
RUNS = (("none", False), ("magnitude", False), ("magnitude", True))  # policy, whether the file is written out
STUDY = """
study: stream
cell: {{preset: gain-cell-65nm-chun2012}}
array: {{banks: 4096, row_bits: 8192}}
weights: {{format: file}}
protection: {{policy: {policy}, budget: {{bits: 5 %}}, menu: [secded-72-64]}}
"""


def shapes(parameters: float) -> dict[str, tuple[int, int]]:
    """Tensors of a decoder of about so many parameters whose table is its output layer too."""
    width, hidden, words = next(sizes for least, sizes in SIZES if parameters >= least)
    parts = {f"attn_{p}": (width, width) for p in ("q", "k", "v", "output")}
    parts |= {"ffn_gate": (hidden, width), "ffn_up": (hidden, width), "ffn_down": (width, hidden)}
    layers = max(1, round((parameters - words * width) / sum(a * b for a, b in parts.values())))
    return {
        "token_embd.weight": (words, width),
        **{f"blk.{i}.{name}.weight": shape for i in range(layers) for name, shape in parts.items()},
    }


def text(value: str) -> bytes:
    """A text as the format has it."""
    return struct.pack("<Q", len(value)) + value.encode()


def write(path: Path, parameters: float) -> int:
    """The file, written piece by piece; the number of its weights."""
    tensors = shapes(parameters)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    at = 0
    for name, (rows, columns) in tensors.items():
        head += text(name) + struct.pack("<IQQIQ", 2, columns, rows, Q4_0, at)
        at += rows * columns // BLOCK * BYTES
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (1 << 16, BYTES), dtype=np.uint8)
    scales = rng.uniform(0.001, 0.01, len(noise)).astype(np.float16)
    noise[:, :2] = scales.view(np.uint8).reshape(-1, 2)
    with path.open("wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for rows, columns in tensors.values():
            left = rows * columns // BLOCK
            while left:
                piece = np.roll(noise, int(rng.integers(len(noise))), axis=0)[:left]
                file.write(piece.tobytes())
                left -= len(piece)
    return sum(rows * columns for rows, columns in tensors.values())


def worker(path: str, policy: str, out: str) -> None:
    """One stream, in this process: CPU seconds, peak memory in bytes, and what was done."""
    import qtaml_hw as q
    from qtaml_hw.config import parse_study

    place = tempfile.mkdtemp(dir=Path(path).parent) if out == "out" else None
    study, start = parse_study(STUDY.format(policy=policy)), time.process_time()
    try:
        found = q.stream(study, path, out=place).as_dict()
    finally:
        if place is not None:
            shutil.rmtree(place)
    told = {key: found[key] for key in ("stored_weights", "protected_bits_fraction", "area_m2", "read_all_s")}
    print(json.dumps({"seconds": time.process_time() - start, "bytes": peak_bytes(), **told}))


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
        return
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--parameters", type=float, default=1e9)
    asked.add_argument("--room", type=Path, help="where the files lie meanwhile")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.room) as room:
        tiny, large = Path(room) / "tiny.gguf", Path(room) / "large.gguf"
        write(tiny, 1.0)
        write(large, given.parameters)
        for policy, out in RUNS:
            base, found = (
                told_by(__file__, "--worker", str(path), policy, "out" if out else "-") for path in (tiny, large)
            )
            billions = found["stored_weights"] / 1e9
            what = f"{billions:.3f} G weights of Q4_0, {policy}{', written out' if out else ''}"
            whole = f"{found['bytes'] / 1e6:.0f} MB in all, file of {large.stat().st_size / 1e6:.0f} MB"
            figure(f"peak memory above a tiny file: {what}", (found["bytes"] - base["bytes"]) / 1e6, "MB",
                   at_most=GOAL_MB, more=whole)  # fmt: skip
            figure(f"CPU time: {what}", (found["seconds"] - base["seconds"]) / billions, "s/G weights")


if __name__ == "__main__":
    main()
