"""Every real network of a folder through one standard study; the tables go to docs/gallery.md.

The networks and their test data are not part of the repository: --data names their folder.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.records.results import SweepResult
from qtaml_hw.workloads.published import PUBLISHED

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
TITLES = {
    "resnet20": ("ResNet-20", "CIFAR-10 (JPEG copy)", 250, 128),
    "resnet56": ("ResNet-56", "CIFAR-10 (JPEG copy)", 100, 32),
    "resnet8": ("ResNet-8, MLPerf Tiny", "CIFAR-10 (JPEG copy)", 500, 128),
    "dscnn": ("DS-CNN, MLPerf Tiny", "keywords", 500, 100),
    "lenet-cifar": ("LeNet", "CIFAR-10 (JPEG copy)", 500, 128),
}
"""Network -> title, data, test images per fault map, calibration images."""

CIFAR, KEYWORDS = "cifar10_jpeg_test2000.npz", "kws01_mlperf_tiny.npz"
IMAGENET = "{layout: nhwc, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
PREPROCESSING = {
    "resnet20": IMAGENET,
    "resnet56": IMAGENET,
    "resnet8": "{layout: nhwc, scale: 1.0}",
    "dscnn": "{scale: 0.5847029, mean: 48.5303407}",
    "lenet-cifar": "{layout: nhwc, mean: 0.5, std: 0.5}",
}
CASES = {
    "none": "protection.policy: none",
    "uniform 5 %": "protection.policy: uniform",
    "tac 5 %": "protection.policy: tac",
    "tac 5 % + correction": "protection.policy: tac, protection.correction: auto",
}
POINTS = {
    "p = 0.01": "flips: {law: fixed, p: 0.01, direction: symmetric}\nrefresh: off\n",
    "p = 0.05": "flips: {law: fixed, p: 0.05, direction: symmetric}\nrefresh: off\n",
    "1.8 nm, 10 us": "flips: {law: retention}\nrefresh: {interval: 10 us}\n",
}
STUDY = """
study: gallery {name}
cell: {{preset: gain-cell-65nm, t_ox: 1.8 nm, temperature: 85 degC}}
{point}
weights: {{scale: per_channel, fold_batch_norm: true}}
protection: {{group: layer, budget: {{bits: 5 %}}, menu: [ideal], correction: none}}
network:
  factory: "qtaml_hw.workloads.published:build"
  arguments: {{name: {name}}}
  weights: {weights}
data: {{npz: {data}, preprocessing: {preprocessing}, calibration: {calibration}, take: spread}}
evaluate: {{at: 1 ms, images: {images}, maps: {{min: 8, max: 8}}}}
sweep: {{cases: [{cases}]}}
"""


def study_of(name: str, point: str, data: Path) -> q.Study:
    """The standard study of a network at one of the points."""
    _, _, images, calibration = TITLES[name]
    text = STUDY.format(
        name=name,
        point=POINTS[point],
        weights=data / "networks" / f"{PUBLISHED[name].weights}.safetensors",
        data=data / (KEYWORDS if name == "dscnn" else CIFAR),
        preprocessing=PREPROCESSING[name],
        images=images,
        calibration=calibration,
        cases=", ".join(f"{{label: {label}, {setting}}}" for label, setting in CASES.items()),
    )
    return parse_study(text, name=f"gallery {name}")


def row(name: str, point: str, found: SweepResult) -> str:
    """One network at one point: clean, quantised, and every case with its interval."""
    if found.failures:
        raise SystemExit("\n".join(found.failures))
    first = found.results[0]
    cells = [
        f"{100 * r.accuracy.mean:.1f} ({100 * r.accuracy.low:.1f}–{100 * r.accuracy.high:.1f})" for r in found.results
    ]
    weights = sum(layer["weights"] for layer in first.layers)
    clean = f"{100 * first.clean_accuracy:.1f} / {100 * first.quantised_accuracy:.1f}"
    flips = f"{0.5 * (first.p01 + first.p10):.3g}"
    return (
        f"| {TITLES[name][0]} | {weights / 1e3:,.0f} k | {first.images} | {clean} | {point} | {flips} | "
        + " | ".join(cells)
        + " |"
    )


def main() -> None:
    """Run what is asked for, resume what is there, and write the table into the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the real networks and their data")
    arguments.add_argument("--out", type=Path, default=Path("runs/gallery"), help="stores, to resume from")
    arguments.add_argument("--only", choices=TITLES, help="this network alone; the page is left as it is")
    given = arguments.parse_args()
    rows = []
    for name in [given.only] if given.only else TITLES:
        for number, point in enumerate(POINTS):
            study = study_of(name, point, given.data.resolve())
            found = q.sweep(study, store=given.out / f"{name}-{number}")
            rows.append(row(name, point, found))
            print(rows[-1], flush=True)
    if given.only is None:
        heads = ["Network", "Stored weights", "Images", "Clean / int8 (%)", "Point", "Mean p", *CASES]
        table = "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *rows])
        page = PAGE.read_text(encoding="utf-8")
        block = f"<!-- table: networks -->\n{table}\n<!-- end -->"
        PAGE.write_text(
            re.sub(r"<!-- table: networks -->.*?<!-- end -->", lambda _: block, page, flags=re.S), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
