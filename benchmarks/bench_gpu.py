"""Flips of stored codes on a GPU: the torch twin beside a device copy of the same codes and beside one core.

    python benchmarks/bench_gpu.py [--weights 1000000000] [--rounds 7] [--tokens 1024]

Then whole fault maps (flips, decoding, forward pass) of a network of the size and shape of SmolLM2-135M with random
weights, whose codes stay on the device, beside the same work on one core.

Device seconds are taken with events, in turns, medians; the copy reads and writes every code once, as the flips do.
Every rate is first checked bit for bit against the compiled engine on the first ten million codes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from figures import cpu_s, figure

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.served import ServedNetwork, on_host
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MapKey, flip_bits
from qtaml_hw.faults.torch_twin import flip_torch
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.tac import ProtectedImage
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import weight_arrays

GOAL_COPIES, GOAL_MAPS = 3.0, 20.0
LAYERS, WIDTH, INNER, HEADS, WORDS = 30, 576, 1536, 9, 49152  # of SmolLM2-135M; 9 key and value heads instead of 3
P = 1e-3
CHECKED = 10_000_000
RATES = (0.5, 0.1, 1e-2, 1e-4, 1e-6)


def device_seconds(job: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    job()
    end.record()
    torch.cuda.synchronize()
    return 1e-3 * start.elapsed_time(end)


def medians(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median device seconds of every job, taken in turns after one warm-up each."""
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name].append(device_seconds(job))
    return {name: statistics.median(values) for name, values in taken.items()}


def same_bits(codes: torch.Tensor, p: float) -> bool:
    part = codes[:CHECKED]
    expected = flip_bits(part.cpu().numpy(), p, p, seed=3, map_index=1)
    return np.array_equal(flip_torch(part, p, p, MapKey(3, 1)).cpu().numpy(), expected)


def flips_beside_copies(weights: int, rounds: int) -> None:
    """Device seconds of the flips at every rate over those of a copy."""
    codes = torch.randint(0, 256, (weights,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(codes)
    host = codes[:CHECKED].cpu().numpy()
    for p in RATES:
        if not same_bits(codes, p):
            sys.exit(f"p = {p:g}: the bits differ from the compiled engine's")

        def flips(p: float = p) -> object:
            return flip_torch(codes, p, p, MapKey(3, 1))

        found = medians({"copy": lambda: target.copy_(codes), "flips": flips}, rounds)
        ratio = found["flips"] / found["copy"]
        core = cpu_s(lambda p=p: flip_bits(host, p, p, seed=3, map_index=1)) * weights / CHECKED
        told = f"{1e3 * found['flips']:.2f} ms, one core {core / found['flips']:.0f} times as long"
        figure(f"{weights:,} int8 codes, p = {p:g}: flips", ratio, "device copies", at_most=GOAL_COPIES, more=told)


class Block(torch.nn.Module):
    """A decoder layer: causal attention and a gated product."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.o = torch.nn.Linear(WIDTH, 3 * WIDTH, bias=False), torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = torch.nn.Linear(WIDTH, 2 * INNER, bias=False), torch.nn.Linear(INNER, WIDTH, bias=False)
        self.one, self.two = torch.nn.RMSNorm(WIDTH), torch.nn.RMSNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(self.one(x)).reshape(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(seen.transpose(1, 2).reshape(n, t, -1))
        gate, up = self.up(self.two(x)).chunk(2, dim=-1)
        return x + self.down(torch.nn.functional.silu(gate) * up)


class Language(torch.nn.Module):
    """Next-token logits of the last position, so that outputs are no part of what is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(WORDS, WIDTH)
        self.blocks = torch.nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.head = torch.nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.table(tokens))
        return self.head(x[:, -1])


def maps(tokens: int, rounds: int) -> None:
    """Wall seconds of a fault map on the device, several in flight, and CPU seconds of one on one core."""
    torch.manual_seed(0)
    module, inputs = Language().eval(), torch.randint(0, WORDS, (max(tokens // 256, 1), 256))
    image = quantise(weight_arrays(module), None, "per_channel")
    plan = ProtectionPlan.unprotected(image.tensor_starts, image.planes)
    decoder = ProtectedImage(image, plan, FlipChannel.uniform(P, image.planes)).decoder("none")
    served = ServedNetwork(module)
    device = torch.device("cuda")

    def on_core(index: int) -> torch.Tensor:
        codes = [flip_bits(c, P, P, seed=3, map_index=index, tensor=t) for t, c in enumerate(image.codes())]
        return served.begun(decoder.tensors(codes, torch.device("cpu")), inputs)

    with single_thread():
        core = cpu_s(lambda: on_core(0))
        expected = on_host(on_core(0))
    module.to(device)
    stored, seen = [torch.from_numpy(c.copy()).to(device) for c in image.codes()], inputs.to(device)

    def there(index: int) -> torch.Tensor:
        codes = [flip_torch(c, P, P, MapKey(3, index, t)) for t, c in enumerate(stored)]
        return served.begun(decoder.tensors(codes, device), seen)

    found = on_host(there(0))
    worst = float(np.abs(found - expected).max() / np.abs(expected).max())
    torch.cuda.synchronize()
    start = time.perf_counter()
    for begun in [there(index) for index in range(rounds)]:
        on_host(begun)
    seconds = (time.perf_counter() - start) / rounds
    told = (
        f"{1e3 * seconds:.1f} ms and {core:.2f} s; outputs agree to {worst:.1e} of the largest; "
        f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB at peak"
    )
    what = f"{image.weights:,} weights, {inputs.numel()} tokens, p = {P:g}: a map on one core takes"
    figure(what, core / seconds, "times as long", at_least=GOAL_MAPS, more=told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=lambda text: int(float(text)), default=1_000_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=1024, help="of a fault map's forward pass")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU on this machine: nothing to measure")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {asked.weights:,} int8 codes")
    flips_beside_copies(asked.weights, asked.rounds)
    maps(asked.tokens, asked.rounds)


if __name__ == "__main__":
    main()
