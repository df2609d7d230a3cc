"""Forward passes of fault maps: what a study does beside whole passes in one piece, in turns, and what else was tried.

``python benchmarks/bench_passes.py [--maps 8] [--images 360] [--tried] [digits-lenet digits-resnet resnet20 ...]``

Every map is decoded once and scored whole, exactly and fused; exact outputs that differ in a bit are counted, and
predictions that differ when fused.  The pages that passes free are kept in this process for all: alone, whole passes
take longer.  ``--tried`` times changes that alter last bits, on the clean network.  Published networks lie where
``QTAML_HW_DATA`` says.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from figures import figure, medians
from torch import nn

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.passes import Passes
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.faults import flip_bits
from qtaml_hw.weights import quantise
from qtaml_hw.weights.network import call_with, fold_batch_norm, weight_arrays
from qtaml_hw.workloads import load_data, load_network, network
from qtaml_hw.workloads.published import PUBLISHED

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.realnets import real_network

FLIPS = (0.05, 1e-3, 1e-4, 1e-5, 1e-6)
GOAL = {"resnet20": 1.5}
ROUNDS = 7


def loaded(name: str, images: int) -> tuple[nn.Module, torch.Tensor]:
    """A network in eval mode and test inputs of its own."""
    if name in PUBLISHED:
        module, data = real_network(name)
    else:
        module, data = load_network(name).module.eval(), load_data(network(name).data)
    return module, torch.from_numpy(data.test_x[:images])


def maps(name: str, module: nn.Module, inputs: torch.Tensor, count: int) -> None:
    """One line a flip probability."""
    image, whole = quantise(weight_arrays(module)), ServedNetwork(module)
    served = ServedNetwork.in_caches(module, inputs)
    passes, fused = Passes(served, inputs), Passes(served, inputs, fused=True)
    passes.outputs(image.decode())
    fused.outputs(image.decode())
    for p in FLIPS:
        taken: tuple[list[float], ...] = ([], [], [])
        before, unequal, others, most = (passes.counts.known, passes.counts.resumed), 0, 0, 0.0
        for number in range(count):
            codes = [flip_bits(c, p, p, seed=7, map_index=number, tensor=t) for t, c in enumerate(image.codes())]
            weights, found = image.decode(codes), []
            ways: tuple[Callable[[], torch.Tensor], ...] = (
                lambda w=weights: whole.begun(w, inputs),  # type: ignore[misc]
                lambda w=weights: passes.outputs(w),  # type: ignore[misc]
                lambda w=weights: fused.outputs(w),  # type: ignore[misc]
            )
            for way, seconds in zip(ways, taken, strict=True):
                start = time.process_time()
                found.append(way().numpy())
                seconds.append(time.process_time() - start)
            own, exact, near = found
            unequal += not np.array_equal(own, exact, equal_nan=True)
            others += int((own.argmax(1) != near.argmax(1)).sum())
            if np.isfinite(own).all():
                most = max(most, float(np.abs(near - own).max() / np.abs(own).max()))
        known, resumed = passes.counts.known - before[0], passes.counts.resumed - before[1]
        told = f"{1e3 * statistics.mean(taken[1]):.1f} ms a map, {known} known, {resumed} resumed, {unequal} unequal"
        ratio = sum(taken[0]) / sum(taken[1])
        figure(f"{name}, flips {p:g}: passes, times as fast", ratio, "x", at_least=GOAL.get(name), more=told)
        told = f"{1e3 * statistics.mean(taken[2]):.1f} ms a map, {others} of {count * len(inputs)} predictions change"
        told += f", outputs by {most:.1g} of the largest" + ("" if fused.fuses else ", not fused")
        ratio = sum(taken[0]) / sum(taken[2])
        figure(f"{name}, flips {p:g}: fused, times as fast", ratio, "x", at_least=GOAL.get(name), more=told)


def deployed(name: str, module: nn.Module, inputs: torch.Tensor) -> None:
    """onnxruntime on one thread, the peer: a pass of the clean network, beside ours with weights never met before."""
    passes, image = Passes(ServedNetwork.in_caches(module, inputs), inputs), quantise(weight_arrays(module))
    fresh = iter(
        [
            image.decode(
                [flip_bits(c, 0.05, 0.05, seed=7, map_index=number, tensor=t) for t, c in enumerate(image.codes())]
            )
            for number in range(ROUNDS + 1)
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "network.onnx")
        axes = {"x": {0: "images"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter that needs no package
            torch.onnx.export(module, (inputs[:2],), file, input_names=["x"], dynamic_axes=axes, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        fed = {"x": inputs.numpy()}
        taken = medians({"ours": lambda: passes.outputs(next(fresh)), "its": lambda: session.run(None, fed)}, ROUNDS)
    told = f"{1e3 * taken['ours']:.1f} and {1e3 * taken['its']:.1f} ms"
    figure(f"{name}: a clean pass in onnxruntime takes", taken["its"] / taken["ours"], "times as long", more=told)


def tried(name: str, module: nn.Module, inputs: torch.Tensor) -> None:
    """Changes that alter last bits, against pieces of the same size."""
    batch = ServedNetwork.in_caches(module, inputs).batch
    last = inputs.contiguous(memory_format=torch.channels_last)
    compiled = torch.compile(lambda w, x: call_with(module, w, x), dynamic=False)
    weights = {n: torch.from_numpy(w) for n, w in weight_arrays(module).items()}

    def by(run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], torch.Tensor]:
        def job() -> torch.Tensor:
            with torch.inference_mode():
                return torch.cat([run(piece) for piece in torch.tensor_split(x, -(-len(x) // batch))])

        return job

    jobs = {"": by(module, inputs), "channels last": by(module, last)}
    if any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
        folded = fold_batch_norm(module)
        jobs |= {"batch norm folded": by(folded, inputs), "folded, channels last": by(folded, last)}
    start = time.perf_counter()
    jobs["torch.compile"] = by(lambda x: compiled(weights, x), inputs)
    jobs["torch.compile"]()
    wall = time.perf_counter() - start
    seconds, plain = medians(jobs, 5), jobs[""]()
    for what in [what for what in jobs if what]:
        found = jobs[what]()
        change, other = float((found - plain).abs().max()), int((found.argmax(1) != plain.argmax(1)).sum())
        told = f"outputs change by {change:.1g}, {other} predictions" + f"; {wall:.0f} s to compile" * ("comp" in what)
        figure(f"{name}, tried: {what}, times as fast", seconds[""] / seconds[what], "x", more=told)


def main() -> None:
    """All networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["digits-lenet", "digits-resnet", "resnet20"])
    parser.add_argument("--maps", type=int, default=8)
    parser.add_argument("--images", type=int, default=360)
    parser.add_argument("--tried", action="store_true")
    asked = parser.parse_args()
    with single_thread():
        for name in asked.networks:
            try:
                module, inputs = loaded(name, asked.images)
            except FileNotFoundError as error:
                print(f"{name}: not measured, {error}")
                continue
            if asked.tried:
                tried(name, module, inputs)
            else:
                maps(name, module, inputs, asked.maps)
                deployed(name, module, inputs)


if __name__ == "__main__":
    main()
