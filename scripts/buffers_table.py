"""What flips in the weights, in a buffer, and in both take from three networks: scripts/buffers_table.py --out DIR.

Every bit of a memory flips with the same probability either way, a chip has its own weak cells, nothing is protected;
``evaluate.faulty`` reads one memory or both.  Stores are continued where they stopped; the rows go to docs/buffers.md.
``--data`` names the folder of ResNet-20 and its images, ``--gguf`` the file of SmolLM2 (configs/smollm.yaml says where
it comes from); without them their rows are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import counted, measure_of
from qtaml_hw.records.results import SweepResult

MEMORIES: Final = {"weights alone": "[weights]", "buffer alone": "[buffers]", "both": "[weights, buffers]"}
STUDY: Final = """
study: {name}
flips: {{law: fixed, p: {first}}}
refresh: off
protection: {{policy: none, correction: none}}
{network}
buffers: [{{name: values, contents: {contents}, format: int8, scale: {scale}, protection: {{policy: none}}}}]
sweep:
  grid: {{flips.p: [{flips}]}}
  cases: [{cases}]
"""
LENET: Final = """network: {name: digits-lenet}
data: {name: digits}
evaluate: {images: 360, maps: {min: 32, max: 32}}"""
RESNET: Final = """weights: {{scale: per_channel}}
network:
  factory: "qtaml_hw.workloads.published:build"
  arguments: {{name: resnet20}}
  weights: {folder}/networks/resnet20_cifar10.safetensors
data:
  npz: {folder}/cifar10_jpeg_test2000.npz
  preprocessing: {{layout: nhwc, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
  take: spread
evaluate: {{images: 200, maps: {{min: 8, max: 8}}}}"""
LANGUAGE: Final = """weights: {{format: file}}
network: {{gguf: {gguf}, store: {{exclude: ["*embed_tokens*", "*lm_head*"]}}}}
data: {{texts: dataset-descriptions, tokens: 128, stride: 128, calibration: 2, take: spread}}
accelerator: {{inferences_per_second: 1}}
evaluate: {{metric: perplexity, images: 4, maps: {{min: 3, max: 3}}}}"""


def study_of(name: str, network: str, flips: tuple[str, ...], contents: str, scale: str) -> q.Study:
    """A network with one buffer, over flip probabilities and memories."""
    text = STUDY.format(
        name=name,
        first=flips[0],
        network=network,
        contents=contents,
        scale=scale,
        flips=", ".join(flips),
        cases=", ".join(f"{{label: {label}, evaluate.faulty: {faulty}}}" for label, faulty in MEMORIES.items()),
    )
    return parse_study(text, name=name)


def studies(data: Path | None, gguf: Path | None) -> dict[str, q.Study]:
    """What there is to measure, by the words of a row."""
    found = {"LeNet, digits": study_of("lenet", LENET, ("0.001", "0.01", "0.03"), "activations", "per_tensor")}
    if data is not None:
        network = RESNET.format(folder=data.resolve())
        found["ResNet-20"] = study_of("resnet20", network, ("1e-4", "1e-3", "1e-2"), "activations", "per_tensor")
    if gguf is not None:
        network = LANGUAGE.format(gguf=gguf.resolve())
        found["SmolLM2-135M"] = study_of("smollm", network, ("1e-4", "1e-3"), "kv", "per_token")
    return found


def rows(title: str, found: SweepResult) -> Iterator[str]:
    """A row per flip probability: the three cells with their 95 % intervals over fault maps."""
    if found.failures:
        raise SystemExit("\n".join(found.failures))
    points = found.summaries
    first = points[0].facts
    read = measure_of(first)
    values = first[F.buffers][0]
    yield (
        f"{title}: quantised {read.show(first[F.quantised_score])} {read.unit}, {counted(first)}, "
        f"{len(values['numbers'])} values of {sum(values['numbers']):,} numbers, {points[0].accuracy.maps} maps"
    )
    settings = len(points) // len(MEMORIES)
    for here in (points[start::settings] for start in range(settings)):  # cases are the slower axis
        cells = [f"{read.show(s.accuracy.mean)} ({read.ends(s.accuracy)})" for s in here]
        yield f"| {here[0].facts[F.p10]:g} | {' | '.join(cells)} |"


def main() -> None:
    """Measure what is not in the stores yet, and print the rows."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--out", type=Path, required=True, help="folder of the stores, to resume from")
    asked.add_argument("--data", type=Path, help="folder of ResNet-20 and CIFAR-10")
    asked.add_argument("--gguf", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    given = asked.parse_args()
    for title, study in studies(given.data, given.gguf).items():
        found = q.sweep(study, store=given.out / study.label)
        print("\n".join(rows(title, found)), flush=True)


if __name__ == "__main__":
    main()
