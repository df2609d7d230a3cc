"""Image evaluations that a decision takes, and how often it is wrong: from all images of every map, and early.

``python benchmarks/bench_decisions.py [--samples 20]``: fifty designs that ``design`` and ``feasible`` measured, each
drawn on 200 chips (``scripts/decision_sets.py``), are decided again on resampled chips by the criteria that are in use,
for the mean and for a yield of 90 %.  The truth is that of the 200 chips.  Then the chance of a wrong verdict where a
design keeps exactly what is asked for, and what a control variate would save: the share of the variance of chips'
scores that predictions of their very flips explain, by least squares.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from figures import figure

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import score_ends
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import shown_above
from qtaml_hw.study.design.looking import Seen
from qtaml_hw.study.questions.criterion import Criterion
from qtaml_hw.study.questions.early import Early

FILE = Path(__file__).parent / "data" / "decisions.json"
KEEP, WANTED, ERROR, GOAL = 0.95, 0.9, 0.025, 3.0
ORDERS = 3  # of the images of every chip


@dataclass(frozen=True)
class Answers:
    """A chip's answers, in place of a network: images that the clean network has right, then the others."""

    right_answers: Bool

    def right(self, weights: object, chosen: Int64) -> Bool:
        """Of some images."""
        return self.right_answers[chosen]


@dataclass(frozen=True, eq=False)
class Decision:
    """A design's chips: records of whole maps [chips], and of maps judged early [chips * ORDERS] by criterion."""

    label: str
    target: float
    scores: Float64
    whole: list[Record]
    early: dict[float | None, list[Record]]
    predictions: Float64

    @classmethod
    def of(cls, row: dict[str, Any], images: int) -> Decision:
        """As recorded."""
        right, draws = int(row["right"]), np.random.default_rng(11)
        known = {F.identity: row["label"], F.clean_score: right / images, F.images: images}
        facts = {**known, F.flips_raw: 1, F.flips_parity: 0}
        whole, early = list[Record](), {None: list[Record](), WANTED: list[Record]()}
        for losses, gains in zip(row["losses"], row["gains"], strict=True):
            whole.append(_record(facts, (right - losses + gains) / images))
            answers = np.concatenate([np.arange(right) >= losses, np.arange(images - right) < gains])
            for _ in range(ORDERS):
                order = (draws.permutation(right), right + draws.permutation(images - right))
                seen = Seen(Answers(answers), {}, order)  # type: ignore[arg-type]
                seen.first()
                early[None].append(_record(facts, seen.score, seen.images))
                keeps = seen.until_told(KEEP, Early(KEEP, WANTED, 74).looks.error)
                early[WANTED].append(_record(facts, seen.score, seen.images, keeps))
        scores = np.array([record[F.score] for record in whole])
        predictions = np.array([row["first_order"], row["distortion"]]).T
        return cls(row["label"], KEEP * right / images, scores, whole, early, predictions)

    def good(self, wanted: float | None) -> bool:
        """The truth."""
        return bool((self.scores >= self.target).mean() >= wanted if wanted else self.scores.mean() >= self.target)


def _record(facts: dict[Any, Any], score: float, judged: int = 0, keeps: bool | None = None) -> Record:
    own: dict[Any, Any] = {F.map_index: 0, F.score: score, F.score_series: [[1e-3, score]]}
    own |= {F.judged_images: judged} if judged else {}
    return Record(facts, own, {} if keeps is None else {F.keeps: keeps})


def stopped(criterion: Criterion, drawn: list[Record]) -> list[Record]:
    """The maps after which the criterion needs no more: once it does not, it never does again."""
    low, high = 0, min(criterion.maps, len(drawn))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if criterion(drawn[:middle]) else (middle, high)
    return drawn[:high]


def decided(decisions: list[Decision], wanted: float | None, samples: int) -> bool:
    """Prints what a criterion takes both ways; whether goals are met."""
    asked = {"whole": Criterion.of(KEEP, wanted, None), "early": Early.of(KEEP, wanted, None)}
    images = {name: np.zeros((len(decisions), samples)) for name in asked}
    maps, told = ({name: np.zeros((len(decisions), samples)) for name in asked} for _ in range(2))
    covered = np.zeros((len(decisions), samples))
    for i, decision in enumerate(decisions):
        pools = {"whole": decision.whole, "early": decision.early[wanted]}
        truth = decision.scores.mean() if wanted is None else (decision.scores >= decision.target).mean()
        draws = np.random.default_rng(i)
        for j in range(samples):
            for name, criterion in asked.items():
                drawn = [pools[name][k] for k in draws.integers(len(pools[name]), size=criterion.maps)]
                records = stopped(criterion, drawn)
                figures = criterion.figures(records)
                images[name][i, j], maps[name][i, j] = figures["images_judged"], len(records)
                told[name][i, j] = criterion.is_good(records)
            ends = ("score_ci95_low", "score_ci95_high") if wanted is None else ("yield_ci95_low", "yield_ci95_high")
            covered[i, j] = figures[ends[0]] <= truth <= figures[ends[1]]
    good = np.array([decision.good(wanted) for decision in decisions])
    what = "mean" if wanted is None else f"yield {100 * wanted:g} %"
    fixed = asked["whole"].maps * decisions[0].whole[0][F.images]
    each, met = f"{len(decisions)} decisions, {good.sum()} good, {samples} samples", True
    figure(f"{what}: images of a decision, no map or image left out", fixed, "images", more=each)
    for name in asked:
        figure(f"{what}, {name}: images of a decision", images[name].mean(), "images")
        figure(f"{what}, {name}: maps of a decision", maps[name].mean(), "maps")
        figure(f"{what}, {name}: good ones that are told so", 100 * told[name][good].mean(), "%")
        noise = 3.0 * (ERROR * (1.0 - ERROR) / samples) ** 0.5
        wrong = told[name][~good].mean(axis=1)
        figure(f"{what}, {name}: bad ones told good, all of them", 100 * wrong.mean(), "%", at_most=100 * ERROR)
        met &= figure(f"{what}, {name}: the worst of them", 100 * wrong.max(), "%", at_most=100 * (ERROR + noise))
    same = (told["whole"].mean(axis=1) > 0.5) == (told["early"].mean(axis=1) > 0.5)
    figure(f"{what}: decisions that are told alike in most samples", same.sum(), f"of {len(decisions)}")
    figure(f"{what}, early: intervals that hold the truth", 100 * covered.mean(), "%", at_least=95.0)
    figure(f"{what}, early: fewer images than no map left out", fixed / images["early"].mean(), "x")
    ratio = images["whole"].mean() / images["early"].mean()
    return figure(f"{what}, early: fewer images than whole maps", ratio, "x", at_least=GOAL) and met


def at_the_edge(decisions: list[Decision], samples: int) -> bool:
    """Prints how often a design that keeps exactly what is asked for is told good; whether that is as stated."""
    wrong: dict[str, list[float]] = {"whole": [], "early": []}
    for i, decision in enumerate(decisions):
        mean, draws = float(decision.scores.mean()), np.random.default_rng(i)
        drawn = draws.choice(decision.scores, (samples, Criterion.of(KEEP, None, None).maps))
        wrong["whole"].append(float((score_ends(drawn)[0] > mean).mean()))
        judged = np.array([record[F.score] for record in decision.early[None]])
        early = draws.choice(judged, (samples, Early.of(KEEP, None, None).maps))
        wrong["early"].append(float(np.mean([shown_above(one.tolist(), float(judged.mean())) for one in early])))
    for name, shares in wrong.items():
        figure(f"mean, {name}: told good at the edge, all of them", 100 * np.mean(shares), "%", at_most=100 * ERROR)
    noise = 3.0 * (ERROR * (1.0 - ERROR) / samples) ** 0.5
    return figure("mean, early: the worst of them", 100 * max(wrong["early"]), "%", at_most=100 * (ERROR + noise))


def explained(decisions: list[Decision]) -> None:
    """Prints what of the variance of chips, and of what early verdicts see of them, a control variate takes away."""
    chips, seen = list[float](), list[float]()
    for decision in decisions:
        spread = decision.scores.var(ddof=1)
        if spread == 0.0:
            continue
        known = np.column_stack([np.ones(len(decision.scores)), decision.predictions])
        left = decision.scores - known @ np.linalg.lstsq(known, decision.scores, rcond=None)[0]
        share = 1.0 - float((left**2).sum()) / (len(left) - known.shape[1]) / spread
        chips.append(share)
        seen.append(share * spread / np.var([record[F.score] for record in decision.early[None]], ddof=1))
    for what, shares in (("all images", chips), ("a batch of images", seen)):
        figure(f"variance of chips on {what} that predictions explain, median", 100 * np.median(shares), "%")
        figure(f"variance of chips on {what} that predictions explain, most", 100 * np.max(shares), "%")


def main() -> int:
    """Print the figures; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20)
    samples = parser.parse_args().samples
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    decisions = [Decision.of(row, recorded["images"]) for row in recorded["decisions"]]
    met = [decided(decisions, wanted, samples) for wanted in (None, WANTED)]
    met.append(at_the_edge(decisions, 5 * samples))
    explained(decisions)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
