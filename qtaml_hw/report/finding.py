"""The answer, computed from the records and put in plain words: how far can one go and keep 95 % of the clean accuracy?

A point keeps it when its whole 95 % interval over fault maps lies at or above the target, at every time that was
asked for.  With one map there is no interval and nothing is claimed.  Where an axis has an easy and a hard end, a value
counts only if every easier tested value keeps the target too.  Every line of the sweep is judged under the name that
its user gave it, and no sentence says what a cell of the tables beside it denies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.records.chips import KEEP
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval, fewest_to_keep
from qtaml_hw.records.kinds import STEP_NUMBERS, is_number
from qtaml_hw.records.measure import heading_of, measure_of, title_of
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.records.text import count, listed, number, percent, plain, scale, spelled
from qtaml_hw.report.columns import score_name, show
from qtaml_hw.report.layout import CASE, POLICY, Axis, Layout, Line, focus, lay_out, short, title
from qtaml_hw.report.material import Material

_FEW: Final = 6
_FEW_STEPS: Final = 4
_EQUAL: Final = 0.1
_NO_COST: Final = 5e-4


@dataclass(frozen=True)
class Goal:
    """What an architect wants of an axis, and which way is easier."""

    extreme: str
    easier: str
    smallest: bool


GOALS: Final = {
    "cell.t_ox": Goal("thinnest", "thicker", True),
    "refresh.interval": Goal("longest", "shorter", False),
    "scrub.interval": Goal("longest", "shorter", False),
    "cell.temperature": Goal("highest", "lower", False),
    "flips.p": Goal("highest", "lower", False),
    "protection.planes": Goal("smallest", "larger", True),
    "protection.budget.bits": Goal("smallest", "larger", True),
    "protection.budget.parity": Goal("smallest", "larger", True),
    "protection.budget.area": Goal("smallest", "larger", True),
    "protection.budget.energy": Goal("smallest", "larger", True),
    "protection.budget.distortion": Goal("largest", "smaller", False),
}


@dataclass(frozen=True)
class Verdict:
    """How far one line goes: ``at`` in words and ``point`` there, both empty when none keeps it; and the best point.

    ``past`` : values that keep it although an easier one misses it.
    """

    shared: tuple[tuple[str, str], ...]
    name: str
    point: PointSummary | None
    best: PointSummary
    at: str
    past: str = ""

    @property
    def shown(self) -> PointSummary:
        """The point whose figures stand beside the verdict."""
        return self.point or self.best

    @property
    def reach(self) -> str:
        """How far it goes, as a cell of the table says it."""
        again = f", and {self.past} past a miss" if self.past else ""
        if self.point:
            return f"{self.at}{again}"
        return f"{'not shown' if too_few(self.best) else 'never'}{again}; its best:"


@dataclass(frozen=True)
class Finding:
    """The sentences of the summary, and the verdicts behind them with the headings of their columns."""

    sentences: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()
    series: str = ""
    heading: str = ""


def keeps(point: PointSummary) -> bool:
    """Whether the whole interval lies at or above 95 % of its clean accuracy, at every time; none at chance does."""
    found = point.worst[1]
    return found.maps > 1 and not point.facts.get(F.at_chance) and found.low >= KEEP * float(point.facts[F.clean_score])


def too_few(point: PointSummary) -> bool:
    """Whether a point reaches the target on the chips drawn, which are too few for any point to show that it does."""
    found, fewest = point.worst[1], fewest_to_keep(KEEP)
    reached = not point.facts.get(F.at_chance) and found.mean >= KEEP * float(point.facts[F.clean_score])
    return reached and not keeps(point) and fewest is not None and found.maps < fewest


def find(material: Material) -> Finding:
    """The summary of a store: a sweep's limits, or a few points side by side."""
    layout = lay_out(material.points)
    if not material.points:
        return Finding(("No point of this study finished; the errors are listed below.",))
    if layout.x is None:
        return Finding((*_side_by_side(material), *_over_time(material.points), *step_sentences(material.points)))
    axis, goal = layout.x, None if layout.along else GOALS.get(layout.x.path)
    verdicts = [_verdict(p.shared, line, axis, goal) for p in layout.panels for line in p.lines]
    sentences = (_target(material.points), *_limits(layout, axis, verdicts, goal), *_comparison(material, layout))
    sentences += (*_over_time(material.points), *step_sentences(material.points))
    heading = f"{goal.extreme.capitalize()} tested {short(axis.path)}" if goal else f"Tested {short(axis.path)}"
    series = title(layout.series or POLICY).capitalize()
    return Finding(sentences, tuple(verdicts), series, f"{heading} that keeps 95 % of clean")


def _verdict(shared: tuple[tuple[str, str], ...], line: Line, axis: Axis, goal: Goal | None) -> Verdict:
    best = max(line.points, key=lambda s: s.worst[1].mean)
    easy_first = line.points[::-1] if goal and goal.smallest else line.points
    kept = [s for s in easy_first if keeps(s)]
    if goal is None:
        return Verdict(shared, line.name, best if best in kept else next(iter(kept), None), best, _values(axis, kept))
    straight = [s for s, easier in zip(kept, easy_first, strict=False) if s is easier]
    reached = straight[-1] if straight else None
    at = axis.show(axis.at(reached)) if reached else ""
    return Verdict(shared, line.name, reached, best, at, _values(axis, kept[len(straight) :]))


def _values(axis: Axis, points: Sequence[PointSummary]) -> str:
    """``0.9 V, 1.1 V``, and how many more."""
    few = ", ".join(axis.show(axis.at(s)) for s in points[:_FEW])
    return f"{few} and {len(points) - _FEW} more" if len(points) > _FEW else few


def _over_time(points: Sequence[PointSummary]) -> list[str]:
    """At which time a verdict was made, where the accuracy was not worst at the last one."""
    falls = [s for s in points if s.worst[1].mean < s.accuracy.mean]
    if not falls:
        return []
    if len(points) > 1:
        return [
            f"Verdicts stand on the worst of the times asked for; in {len(falls)} of {len(points)} points "
            "that is not the last, which has a column of its own."
        ]
    s = falls[0]
    time_s, found = s.worst
    last_s = s.series[-1][0]
    unit, kept, maps = scale([time_s], "s"), s.yield_series(KEEP)[[t for t, _ in s.series].index(time_s)], found.maps
    end, moves = scale([last_s], "s"), "rises" if measure_of(s.facts).lower else "falls"
    return [
        f"The verdict stands on the worst time, {unit.show(time_s)} {unit.unit}: the {_called_score(s)} {moves} to "
        f"{_value(s, found.mean)}, when {round(kept * maps)} of {maps} chips reach the target. At the last time, "
        f"{end.show(last_s)} {end.unit}, it is {_value(s, s.accuracy.mean)}."
    ]


def _target(points: Sequence[PointSummary]) -> str:
    clean = {float(s.facts[F.clean_score]) for s in points}
    name = score_name(points)
    read = heading_of(s.facts for s in points)[1]
    if read.logarithmic and len(clean) == 1:
        value = clean.pop()
        most = f"that is at most {read.show(KEEP * value)}{read.suffix}"
        return (
            f"Target: a score of at least {percent(KEEP, 0)} % of the clean one, whose {name.lower()} is "
            f"{read.show(value)}{read.suffix}; {most}, with the whole 95 % interval over fault maps."
        )
    stands = "" if name == F.score.heading else f"Accuracy stands here for: {name[0].lower()}{name[1:]}. "
    if len(clean) > 1:
        return f"{stands}Target: at least {percent(KEEP, 0)} % of each network’s clean accuracy."
    value = clean.pop()
    return (
        f"{stands}Target: at least {percent(KEEP, 0)} % of the clean accuracy of {percent(value)} %, "
        f"that is {percent(KEEP * value)} %, with the whole 95 % interval over fault maps."
    )


def _limits(layout: Layout, axis: Axis, verdicts: Sequence[Verdict], goal: Goal | None) -> list[str]:
    tested = sorted({axis.at(s) for _, line in layout.lines for s in line.points})
    span = f"{axis.show(tested[0])} to {axis.show(tested[-1])}"
    met, missed = ([v for v in verdicts if (v.point is not None) is met] for met in (True, False))
    moved = [f"{listed([title(p) for p in layout.along])} moves with {short(axis.path)}."] if layout.along else []
    if len(layout.panels) > 1:
        lead = f"{len(met)} of {len(verdicts)} combinations reach it between {short(axis.path)} {span}."
        return [*moved, lead, *_by_panel(layout, axis, verdicts, goal)]
    said, one = list(moved), f"{f'{goal.extreme} ' if goal else ''}tested {short(axis.path)}"
    if met:
        hardest = axis.show(tested[0] if goal and goal.smallest else tested[-1])
        parts = [_met(v, layout, hardest if goal else "") for v in _best_first(met, axis, goal)]
        said.append(f"The {one} that keeps it is {listed(parts)}.")
    if unshown := [v for v in missed if not v.past and too_few(v.best)]:
        reached = listed([_missed(v, layout) for v in unshown])
        least = f"that takes {fewest_to_keep(KEEP)} chips that lose nothing"
        said.append(f"On so few chips it cannot be shown, though the mean reaches it, {reached}: {least}.")
    if never := [v for v in missed if not v.past and v not in unshown]:
        said.append(f"No tested {short(axis.path)} ({span}) keeps it {listed([_missed(v, layout) for v in never])}.")
    if again := [v for v in verdicts if v.past]:
        parts = [" ".join(filter(None, [v.past, with_words(v.name, layout)])) for v in again]
        said.append(f"Past a {goal.easier if goal else ''} value that misses it, it is kept at {listed(parts)}.")
    return said


def _by_panel(layout: Layout, axis: Axis, verdicts: Sequence[Verdict], goal: Goal | None) -> list[str]:
    """How far each panel goes, in a few words; the table has the intervals."""
    if len(layout.panels) > _FEW:
        return ["The table below says how far each goes."]
    said = []
    for panel in layout.panels:
        mine = [v for v in verdicts if v.shared == panel.shared and (v.point or v.past)]
        parts = [
            " ".join(filter(None, [v.reach.removesuffix("; its best:"), with_words(v.name, layout)]))
            for v in _best_first(mine, axis, goal)
        ]
        said.append(f"at {panel.title} {listed(parts) if parts else 'none'}")
    return [f"The {goal.extreme if goal else 'tested'} {short(axis.path)} that keeps it: {'; '.join(said)}."]


def _best_first(verdicts: Sequence[Verdict], axis: Axis, goal: Goal | None) -> list[Verdict]:
    sign = 1.0 if goal is None or goal.smallest else -1.0
    return sorted(verdicts, key=lambda v: sign * axis.at(v.shown))


def with_words(name: str, layout: Layout) -> str:
    """``with tac``, ``without protection``, ``with “my case”``; nothing where a store has one line."""
    if layout.series is None:
        return f"with {name}" if layout.versions else ""
    if layout.series == CASE:
        return f"with “{name}”"
    if layout.series == POLICY:
        return "without protection" if name == "none" else f"with {name}"
    return f"with {short(layout.series)} {name}"


def _figures(s: PointSummary, found: Interval) -> str:
    if found.maps == 1:
        return f"{_value(s, found.mean)}, one map, no interval"
    return f"{measure_of(s.facts).shown(found)}, {count(found.maps, 'map')}"


def _value(s: PointSummary, score: float) -> str:
    read = measure_of(s.facts)
    return f"{read.show(score)}{read.suffix}"


def _called_score(s: PointSummary) -> str:
    return title_of(s.facts).lower() if measure_of(s.facts).logarithmic else "accuracy"


def _met(verdict: Verdict, layout: Layout, hardest: str) -> str:
    end = ", the end of the tested range" if verdict.at == hardest else ""
    words = " ".join(filter(None, [verdict.at, with_words(verdict.name, layout)]))
    return f"{words} ({_figures(verdict.shown, verdict.shown.worst[1])}{end})"


def _missed(verdict: Verdict, layout: Layout) -> str:
    words = with_words(verdict.name, layout)
    return " ".join(filter(None, [words, f"(best {_figures(verdict.best, verdict.best.worst[1])})"]))


def _comparison(material: Material, layout: Layout) -> list[str]:
    """The best line against the next where they differ most, over the same fault maps, and what it costs there."""
    if len(layout.panels) > 1 or len(layout.panels[0].lines) < 2:
        return []
    where, pairs = focus(layout)
    ranked = sorted(pairs, key=lambda p: -p[1].accuracy.mean)
    if len(ranked) < 2 or (gain := material.paired(ranked[0][1], ranked[1][1])) is None:
        return []
    (first, a), (second, b) = ranked[:2]
    read = measure_of(a.facts)
    if read.logarithmic:
        words = f"{with_words(first, layout)} against {with_words(second, layout)}: {material.change(a, b)}"
        return [f"At {where}, where the choice matters most, {title_of(a.facts).lower()} {words}."]
    interval = f"95 % interval {percent(gain.low)} to {percent(gain.high)} points, {_paired(gain, a, b)}"
    ahead, behind = with_words(first, layout), with_words(second, layout)
    lead = f"At {where}, where the choice matters most,"
    if gain.low <= 0.0 <= gain.high:
        return [f"{lead} the two best cannot be told apart: {ahead} and {behind} ({interval})."]
    side, points = ("above", gain.mean) if gain.mean > 0 else ("below", -gain.mean)
    said = f"{lead} the accuracy {ahead} is {percent(points)} points {side} that {behind} ({interval}){_unequal(a, b)}."
    bare = [(n, s) for n, s in pairs if s.facts.get(F.policy) == "none" and s is not a]
    against = "no protection" if layout.series == POLICY else f"“{bare[0][0]}”" if bare else ""
    return [said, *(_extra_cost(a, bare[0][1], ahead, against) if len(bare) == 1 else [])]


def _paired(gain: Interval, *points: PointSummary) -> str:
    """Over which fault maps; some points have been given more of them than others."""
    both = "" if all(len(s.accuracies) == gain.maps for s in points) else " that both saw"
    return f"paired over {count(gain.maps, 'map')}{both}"


def _unequal(first: PointSummary, second: PointSummary) -> str:
    """Said where two lines do not protect the same share of bits, so that nobody takes them for equals."""
    mine, other = (s.facts.get(F.protected_bits_fraction) for s in (first, second))
    if not (is_number(mine) and is_number(other)) or abs(mine - other) <= _EQUAL * max(mine, other):
        return ""
    return f", protecting {percent(mine)} % of the stored bits against {percent(other)} %"


def _extra_cost(point: PointSummary, bare: PointSummary, words: str, against: str) -> list[str]:
    parts = []
    for key, what in ((F.energy_per_inference_j, "energy per inference"), (F.area_m2, "memory area")):
        with_, without = point.facts.get(key), bare.facts.get(key)
        if is_number(with_) and is_number(without) and without:
            parts.append((with_ / without - 1, what))
    if not parts:
        return []
    if all(abs(share) < _NO_COST for share, _ in parts):
        free = ", because ideal protection is free by assumption" if "ideal" in point.facts.get(F.menu, ()) else ""
        return [f"The model counts no extra energy or area for it{free}."]
    costs = listed([f"{100 * share:+.1f} % {what}" for share, what in parts])
    return [f"Against {against} that costs, {words}, {costs} (modelled)."]


_COSTS: Final = {
    F.energy_per_inference_j: "energy per inference",
    F.area_m2: "memory area",
    F.read_latency_s: "read latency",
}


def _side_by_side(material: Material) -> list[str]:
    points = material.points
    if len(points) == 1:
        return [_target(points), *_alone(points[0])]
    if len(points) > _FEW:
        return [
            _target(points),
            f"{sum(map(keeps, points))} of {len(points)} points keep it; the table has all of them.",
        ]
    said = [_target(points), *(f"{_called(s)} {_judged(s)}." for s in points)]
    best, other, *_ = sorted(points, key=lambda s: -s.accuracy.mean)
    if (gain := material.paired(best, other)) is not None:
        said.append(
            f"The accuracy of {_called(best)} less that of the next, {_called(other)}, is {percent(gain.mean)} points "
            f"(95 % interval {percent(gain.low)} to {percent(gain.high)}, {_paired(gain, best, other)})."
        )
    return said


def _called(s: PointSummary) -> str:
    return f"“{spelled(s.facts.get(F.label, s.identity), 80)}”"


def _judged(s: PointSummary) -> str:
    found = s.worst[1]
    target = KEEP * float(s.facts[F.clean_score])
    if found.maps == 1:
        return f"reaches {_figures(s, found)}, so nothing is claimed about other chips"
    if s.facts.get(F.at_chance):
        return f"is at chance without a fault, so there is nothing to keep ({_figures(s, found)})"
    verdict = "keeps it" if keeps(s) else "does not keep it" if found.high < target else "may or may not keep it"
    return f"{verdict} ({_figures(s, found)})"


def _alone(s: PointSummary) -> list[str]:
    facts, said = s.facts, [f"The network {_judged(s)}."]
    if len(s.accuracies) > 1 and not facts.get(F.at_chance):
        kept = round(s.yield_at(KEEP) * len(s.accuracies))
        said.append(f"{kept} of {count(len(s.accuracies), 'chip')} (fault maps) reach the target on their own.")
    if is_number(facts.get(F.protected_bits_fraction)):
        share, parity = percent(facts[F.protected_bits_fraction]), percent(facts.get(F.parity_bits_fraction))
        said.append(f"{share} % of the stored bits are protected, at {parity} % parity.")
        said.append(f"{number(s.means.get(F.flips_raw))} bits read wrong per map before ECC.")
    costs = [(what, show([s], key)) for key, what in _COSTS.items() if is_number(facts.get(key))]
    if costs:
        said.append(f"Modelled cost: {listed([f'{what} {c.cells[0]} {c.unit}' for what, c in costs])}.")
    return said


def step_sentences(points: Sequence[PointSummary]) -> tuple[str, ...]:
    """What steps before storage did, one sentence per different list of steps, at most four; none without steps."""
    found: dict[str, str] = {}
    for point in points:
        effects = point.facts.get(F.transform_effects)
        if effects:
            steps = ", then ".join(_step(effect) for effect in effects)
            found.setdefault(str([effect["step"] for effect in effects]), f"Before storage: {steps}.")
    return tuple(list(found.values())[:_FEW_STEPS])


def _step(effect: Mapping[str, Any]) -> str:
    before, after = (effect[name] for name in STEP_NUMBERS[:2])
    left, right = (effect[name] for name in STEP_NUMBERS[2:])
    same = "unchanged" if left == right else f"{percent(left)} % to {percent(right)} %"
    return (
        f"{plain(effect['step'], 40)} (predicted distortion with nothing protected {number(before)} to {number(after)}"
        f", accuracy without flips {same})"
    )
