"""The chips behind fifty decisions, for ``benchmarks/bench_decisions.py``: ``python scripts/decision_sets.py``.

Two spaces are decided by ``design`` and three edges are found by ``feasible``; the first fifty designs that these
measured are drawn again on 200 chips: how many of the test images that the clean network has right a chip loses, how
many it gains, and two predictions of that for the very flips of the chip: the first-order change of the cross-entropy,
and the distortion by the Jacobian energies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml

from qtaml_hw._threads import single_thread
from qtaml_hw.accelerator.served import serving
from qtaml_hw.arrays import Float64
from qtaml_hw.config import Point, Study, parse_study
from qtaml_hw.records.record import Record
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.design import design
from qtaml_hw.study.questions.feasible import feasible
from qtaml_hw.study.run.session import Session

FILE: Final = Path(__file__).parents[1] / "benchmarks" / "data" / "decisions.json"
CHIPS: Final = 200
WANTED: Final = 50
BASE: Final = """
study: {name}
cell: {{t_ox: 1.85 nm, temperature: 85 degC, sigma_t_ox_die: {die}}}
network: {{name: {network}}}
data: {{name: digits}}
protection: {{policy: none, correction: none}}
evaluate: {{at: [1 ms], images: 360}}
"""
REFRESH: Final = (
    "{refresh: {from: 1 us, to: 16 us, count: 9, spacing: log}, policy: [none, uniform], "
    "code: [secded-72-64, parity-zero], planes: [1, 2, 3]}"
)
OXIDES: Final = (
    "{t_ox: {from: 1.7 nm, to: 2.0 nm, count: 13}, policy: [none, uniform, joint], "
    "code: [secded-72-64, bch-63-45], planes: [1, 2]}"
)
ASKED: Final = {
    ("digits-lenet", "0 %"): (REFRESH, ()),
    ("digits-lenet", "1.33 %"): (OXIDES, ("t_ox", "refresh")),
    ("digits-resnet", "1.33 %"): (None, ("t_ox",)),
}
"""The design space and the edges that are asked for, by network and die-to-die spread of the oxide."""


def main() -> None:
    """Write the file."""
    networks, told = Networks(), list[dict[str, Any]]()
    for (network, die), (space, edges) in ASKED.items():
        base = parse_study(BASE.format(name=network, network=network, die=die))
        with noted() as points:
            if space is not None:
                design(base.with_({"space": yaml.safe_load(space)}), 0.95)
            if edges:
                feasible(base, edges, keep=0.95)
        for point in points[: WANTED - len(told)]:
            label = f"{network}, die {die}: {point.label}"
            told.append({"label": label, **_chips(point.study, networks)})
            print(f"{len(told)}: {label}: {np.mean(told[-1]['losses']):.2f} lost", flush=True)
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in told)
    FILE.write_text(f'{{"images":360,"decisions":[\n{lines}\n]}}\n', encoding="utf-8")


@contextmanager
def noted() -> Iterator[list[Point]]:
    """The points that are measured meanwhile, each once, in the order in which they are asked for."""
    measure, found, seen = Session.measure, list[Point](), set[str]()

    def noting(self: Session, points: Sequence[Point], *named: Any) -> list[list[Record]]:
        records = measure(self, points, *named)
        for point, maps in zip(points, records, strict=True):
            if not maps[0].failed and point.study.identity() not in seen:
                seen.add(point.study.identity())
                found.append(point)
        return records

    Session.measure = noting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Session.measure = measure  # type: ignore[method-assign]


def _chips(study: Study, networks: Networks) -> dict[str, Any]:
    with single_thread():
        made, stored = prepare(study, networks), networks.load(study)
        network, right = made.network, np.asarray(made.network.clean_right)
        slope, worth = _slope(made), stored.calibration.worth(made.image)
        written = _flat(made, made.image.decode())
        drawn = []
        for chip in range(CHIPS):
            weights = made.weights(made.reading.read(study.evaluate.seed, chip).codes[-1])
            answers = network.right(weights, np.arange(network.images))
            apart = _flat(made, weights) - written
            counts = (int((right & ~answers).sum()), int((~right & answers).sum()))
            drawn.append((*counts, float(f"{slope @ apart:.3g}"), float(f"{worth @ apart**2:.3g}")))
    names = ("losses", "gains", "first_order", "distortion")
    columns = dict(zip(names, map(list, zip(*drawn, strict=True)), strict=True))
    return {"right": int(right.sum()), **columns}


def _flat(made: DesignPoint, weights: Any) -> Float64:
    return np.concatenate([np.asarray(weights[name], dtype=np.float64).reshape(-1) for name in made.image.names])


def _slope(made: DesignPoint) -> Float64:
    """Gradient of the cross-entropy of the clean network's own answers, by stored weight."""
    served, inputs = made.network.served, made.network.inputs[:128]
    with serving(served.module, made.network.weights) as module:
        parameters = dict(module.named_parameters(remove_duplicate=False))
        outputs = module(inputs)
        loss = torch.nn.functional.cross_entropy(outputs, outputs.argmax(dim=-1))
        found = torch.autograd.grad(loss, [parameters[name] for name in made.image.names])
    return np.concatenate([one.numpy().reshape(-1).astype(np.float64) for one in found])


if __name__ == "__main__":
    main()
