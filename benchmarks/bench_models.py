"""Memory and time of large models: a transformer of random weights, surveyed, protected, corrupted and written out.

Run as ``python benchmarks/bench_models.py [--parameters 1e9] [--device cuda]``.  Each figure is of a process of its
own: peak resident memory (ru_maxrss) above that of a process that has done the same with a tiny model, so that imports
and compiled kernels do not count.  Goal: 1.3 times the int8 size of the stored weights, for every policy.
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

GOAL = 1.3
WIDTH, HIDDEN, VOCABULARY = 2048, 8192, 32_000
SHARD_LAYERS = 4
RUNS = (("magnitude", False), ("uniform", False), ("magnitude", True))  # policy, whether the result is written out
STUDY = """
study: stream
cell: {{preset: gain-cell-65nm}}
flips: {{law: fixed, p: 0.01}}
refresh: off
weights: {{scale: per_channel}}
protection: {{policy: {policy}, budget: {{bits: 5 %}}, menu: [secded-72-64]}}
"""


def layer(number: int, width: int, hidden: int) -> dict[str, tuple[int, int]]:
    """Shapes of one decoder layer: attention and a gated MLP."""
    parts = {f"attention.{p}": (width, width) for p in "qkvo"}
    parts |= {"mlp.gate": (hidden, width), "mlp.up": (hidden, width), "mlp.down": (width, hidden)}
    return {f"layers.{number}.{name}.weight": shape for name, shape in parts.items()}


def write(folder: Path, parameters: float) -> int:
    """Shards in float16 with normal weights, written row by row; the number of stored weights."""
    width, hidden = (WIDTH, HIDDEN) if parameters > 1e7 else (64, 256)
    per_layer = sum(a * b for a, b in layer(0, width, hidden).values())
    layers = max(1, round((parameters - VOCABULARY * width * (parameters > 1e8)) / per_layer))
    groups = [range(i, min(i + SHARD_LAYERS, layers)) for i in range(0, layers, SHARD_LAYERS)]
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(1 << 22, dtype=np.float32).astype(np.float16)
    for number, group in enumerate(groups):
        shapes = {name: shape for i in group for name, shape in layer(i, width, hidden).items()}
        if number == 0 and parameters > 1e8:
            shapes["embed_tokens.weight"] = (VOCABULARY, width)
        header, at = {}, 0
        for name, shape in shapes.items():
            size = 2 * shape[0] * shape[1]
            header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        with (folder / f"model-{number:03d}.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for shape in shapes.values():
                left = shape[0] * shape[1]
                scale = np.float16(0.02 * (1.0 + rng.random()))
                while left:
                    start = int(rng.integers(0, noise.size // 2))
                    piece = noise[start : start + min(left, noise.size // 2)]
                    file.write((piece * scale).tobytes())
                    left -= piece.size
    return layers * per_layer


def worker(folder: str, policy: str, device: str, out: str) -> None:
    import qtaml_hw as q
    from qtaml_hw.config import parse_study

    start = time.perf_counter()
    place = tempfile.mkdtemp(dir=Path(folder).parent) if out == "out" else None
    try:
        found = q.stream(
            parse_study(STUDY.format(policy=policy)), folder, out=place, device=None if device == "-" else device
        )
    finally:
        if place is not None:
            shutil.rmtree(place)
    seconds = time.perf_counter() - start
    shares = {"protected": found.plan.protected_bits_fraction, "flips": found.flips / found.image.stored_bits}
    print(
        json.dumps({"seconds": seconds, "bytes": peak_bytes(), "weights": int(found.image.tensor_starts[-1]), **shares})
    )


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
        return
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--parameters", type=float, default=1e9)
    arguments.add_argument("--device", help="where codes are flipped")
    arguments.add_argument("--runs", type=int, default=len(RUNS), help="so many of the runs")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as room:
        tiny, large = Path(room) / "tiny", Path(room) / "large"
        for folder, parameters in ((tiny, 1.0), (large, given.parameters)):
            folder.mkdir()
            write(folder, parameters)
        for policy, out in RUNS[: given.runs]:
            asked = (policy, given.device or "-", "out" if out else "-")
            base, found = (told_by(__file__, "--worker", str(folder), *asked) for folder in (tiny, large))
            above, size = found["bytes"] - base["bytes"], found["weights"]
            beside = (
                f"{above / 1e6:.0f} MB above {base['bytes'] / 1e6:.0f} MB, {found['seconds']:.1f} s, "
                f"{100 * found['protected']:.2f} % protected, {100 * found['flips']:.4f} % flipped"
            )
            what = f"{policy}{', written out' if out else ''}, {size / 1e9:.3f} G weights: peak memory"
            figure(what, above / size, "of their int8", at_most=GOAL, more=beside)


if __name__ == "__main__":
    main()
