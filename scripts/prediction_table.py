"""Budgets predicted without labels beside measured ones, over networks and flip probabilities.

    python scripts/prediction_table.py --jobs 16 --out prediction.jsonl

Every (network, flip probability) is measured as in `qtaml-hw reproduce paper` (eight maps, 200 test images, ideal
protection, isotonic crossing) and predicted by soft agreement on 128 held-out inputs without labels (four drawn
networks). The file of JSON lines is continued where it stopped. With --data DIR the published networks join.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from qtaml_hw._threads import single_thread
from qtaml_hw.reproduce.compact import effort_for
from qtaml_hw.reproduce.networks import published, zoo
from qtaml_hw.reproduce.paper import FULL
from qtaml_hw.reproduce.prediction import Pair, pairs_of, qualities, within

SETTINGS = {
    "digits-resnet-wide": (0.10, 0.15),
    "digits-vgg": (0.10, 0.15),
    "digits-resnet": (0.10, 0.05),
    "digits-mlp": (0.10, 0.15),
    "digits-transformer": (0.05, 0.03),
    "digits-mobilenet": (0.03, 0.15),
    "digits-lenet": (0.10, 0.05, 0.02),
}
"""Slow networks first, so that processes end together."""
PUBLISHED = {"resnet20": (0.10, 0.02), "resnet8": (0.02,), "dscnn": (0.02,), "lenet-cifar": (0.02,)}

Cell = tuple[str, float, Path | None]


def measured(cell: Cell) -> list[Pair]:
    """One network at one flip probability, on one thread."""
    name, flip_p, folder = cell
    with single_thread():
        if name in PUBLISHED:
            assert folder is not None
            return pairs_of(published(name, folder, flip_p), flip_p, effort_for(name, FULL))
        return pairs_of(zoo(name, flip_p), flip_p)


def cells(networks: Sequence[str], folder: Path | None) -> list[Cell]:
    """What is asked, the slow ones first."""
    wanted = {**(PUBLISHED if folder is not None else {}), **SETTINGS}
    return [(name, p, folder) for name, probabilities in wanted.items() if name in networks for p in probabilities]


def show(pairs: Sequence[Pair]) -> None:
    """The table, then how well the prediction does."""
    print("| network | p | policy | measured, % | predicted, % | ratio measured | predicted | rho* |\n|" + "---|" * 8)
    for x in sorted(pairs, key=lambda pair: (pair.network, -pair.flip_p)):
        cells_of = (
            f"{100 * x.measured:.3g} ({100 * x.measured_low:.3g} to {100 * x.measured_high:.3g})",
            f"{100 * x.predicted:.3g} ({100 * x.predicted_low:.3g} to {100 * x.predicted_high:.3g})",
            f"{x.measured_ratio:.2f} | {x.predicted_ratio:.2f} ({x.ratio_low:.2f} to {x.ratio_high:.2f})",
        )
        print(f"| {x.network} | {x.flip_p:g} | {x.policy} | {' | '.join(cells_of)} | {x.rho_star:.2f} |")
    for name, found in qualities(pairs).items():
        print(
            f"{name}: Spearman {found.spearman:.3f}, median error {found.median:.1%}, "
            f"largest {found.largest:.0%}, {found.count} values"
        )
    inside, of = within(pairs)
    print(f"predicted budgets within the measured interval and a rung: {inside} of {of}")


def main() -> None:
    """Measure, keep, show."""
    names = [*PUBLISHED, *SETTINGS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, continued where it stopped")
    parser.add_argument("--data", type=Path, help="folder of the published networks and their test data")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--networks", type=lambda text: text.split(","), default=names, help=f"of {', '.join(names)}")
    asked = parser.parse_args()
    lines = asked.out.read_text().splitlines() if asked.out.exists() else []
    pairs = [Pair(**json.loads(line)) for line in lines]
    known = {(pair.network, pair.flip_p) for pair in pairs}
    todo = [cell for cell in cells(asked.networks, asked.data) if cell[:2] not in known]
    with ProcessPoolExecutor(max_workers=asked.jobs) as pool, asked.out.open("a") as file:
        for task in as_completed([pool.submit(measured, cell) for cell in todo]):
            for pair in task.result():
                pairs.append(pair)
                file.write(json.dumps(pair.as_dict()) + "\n")
                file.flush()
                print(f"{pair.network} p={pair.flip_p:g} {pair.policy}: {pair.measured:.4f}, {pair.predicted:.4f}")
    show(pairs)


if __name__ == "__main__":
    main()
