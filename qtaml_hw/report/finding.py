"""The answer, computed from the records and put in plain words: how far can one go and keep 95 % of the clean accuracy?

A point keeps it when its whole 95 % interval over fault maps lies at or above the target.  With one map there is no
interval and nothing is claimed.  Where an axis has an easy and a hard end, a value counts only if every easier tested
value keeps the target too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.report.columns import score_name, show
from qtaml_hw.report.layout import POLICY, Axis, Layout, Line, focus, lay_out, short, title
from qtaml_hw.report.material import Material
from qtaml_hw.report.steps import step_sentences
from qtaml_hw.report.text import count, number, percent, percent_interval, plain, scale

KEEP: Final = 0.95
_FEW: Final = 6
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
    """How far one line goes: ``at`` in words and ``point`` there, both empty when none keeps it; and the best point."""

    shared: tuple[tuple[str, str], ...]
    name: str
    point: PointSummary | None
    best: PointSummary
    at: str

    @property
    def shown(self) -> PointSummary:
        """The point whose figures stand beside the verdict."""
        return self.point or self.best


@dataclass(frozen=True)
class Finding:
    """The sentences of the summary, and the verdicts behind them with the headings of their columns."""

    sentences: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()
    series: str = ""
    heading: str = ""


def keeps(point: PointSummary) -> bool:
    """Whether the whole interval of a point lies at or above 95 % of its clean accuracy."""
    found = point.accuracy
    return found.maps > 1 and found.low >= KEEP * float(point.facts[F.clean_score])


def find(material: Material) -> Finding:
    """The summary of a store: a sweep's limits, or a few points side by side."""
    layout = lay_out(material.points)
    if not material.points:
        return Finding(("No point of this study finished; the errors are listed below.",))
    if layout.x is None:
        return Finding((*_side_by_side(material), *_over_time(material.points), *step_sentences(material.points)))
    axis, goal = layout.x, GOALS.get(layout.x.path)
    verdicts = [_verdict(p.shared, line, axis, goal) for p in layout.panels for line in p.lines]
    sentences = (_target(material.points), *_limits(layout, axis, verdicts, goal), *_comparison(material, layout))
    sentences += step_sentences(material.points)
    heading = f"{goal.extreme.capitalize()} tested {short(axis.path)}" if goal else f"Tested {short(axis.path)}"
    series = title(layout.series or POLICY).capitalize()
    return Finding(sentences, tuple(verdicts), series, f"{heading} that keeps 95 % of clean")


def _verdict(shared: tuple[tuple[str, str], ...], line: Line, axis: Axis, goal: Goal | None) -> Verdict:
    best = max(line.points, key=lambda s: s.accuracy.mean)
    if goal is None:
        kept = [s for s in line.points if keeps(s)]
        at = ", ".join(axis.show(axis.at(s)) for s in kept[:_FEW]) + (" …" if len(kept) > _FEW else "")
        return Verdict(shared, line.name, best if best in kept else next(iter(kept), None), best, at)
    reached = None
    for point in line.points[::-1] if goal.smallest else line.points:  # from the easy end
        if not keeps(point):
            break
        reached = point
    return Verdict(shared, line.name, reached, best, axis.show(axis.at(reached)) if reached else "")


def _over_time(points: Sequence[PointSummary]) -> list[str]:
    """Where the accuracy was worst, when that was not at the last time: what tables show is the last time."""
    falls = []
    for s in points[:_FEW]:
        low = min(range(len(s.series)), key=lambda i: s.series[i][1].mean)
        time_s, found = s.series[low]
        if found.mean < s.accuracy.mean:
            unit, kept, maps = scale([time_s], "s"), s.yield_series(KEEP)[low], len(s.accuracies)
            name = f"that of “{plain(s.facts.get(F.label, ''), 60)}” " if len(points) > 1 else ""
            falls.append(
                f"{name}to {percent(found.mean)} % after {unit.show(time_s)} {unit.unit}, "
                f"when {round(kept * maps)} of {maps} chips reach the target"
            )
    return (
        [f"That is the last time; before it the accuracy falls{',' if len(points) > 1 else ''} {'; '.join(falls)}."]
        if falls
        else []
    )


def _target(points: Sequence[PointSummary]) -> str:
    clean = {float(s.facts[F.clean_score]) for s in points}
    name = score_name(points)
    stands = "" if name == F.score.heading else f"Accuracy stands here for: {name[0].lower()}{name[1:]}. "
    if len(clean) > 1:
        return f"{stands}Target: at least {percent(KEEP, 0)} % of each network’s clean accuracy."
    value = clean.pop()
    return (
        f"{stands}Target: at least {percent(KEEP, 0)} % of the clean accuracy of {percent(value)} %, "
        f"that is {percent(KEEP * value)} %, with the whole 95 % interval over fault maps."
    )


def _limits(layout: Layout, axis: Axis, verdicts: Sequence[Verdict], goal: Goal | None) -> list[str]:
    tested = sorted({axis.at(s) for p in layout.panels for line in p.lines for s in line.points})
    span = f"{axis.show(tested[0])} to {axis.show(tested[-1])}"
    met = [v for v in verdicts if v.point is not None]
    missed = [v for v in verdicts if v.point is None]
    if len(layout.panels) > 1:
        lead = f"{len(met)} of {len(verdicts)} combinations reach it between {short(axis.path)} {span}."
        return [lead, *_by_panel(layout, axis, met, goal)]
    said = []
    if met:
        hardest = axis.show(tested[0] if goal and goal.smallest else tested[-1])
        parts = [_met(v, layout, hardest if goal else "") for v in _best_first(met, axis, goal)]
        lead = (
            f"The {goal.extreme} tested {short(axis.path)} that keeps it"
            if goal
            else f"The tested {short(axis.path)} that keeps it"
        )
        said.append(f"{lead} is {_listed(parts)}.")
    if missed:
        parts = [_missed(v, layout) for v in missed]
        said.append(f"No tested {short(axis.path)} ({span}) keeps it {_listed(parts)}.")
    return said


def _by_panel(layout: Layout, axis: Axis, met: Sequence[Verdict], goal: Goal | None) -> list[str]:
    """How far each panel goes, in a few words; the table has the intervals."""
    if len(layout.panels) > _FEW:
        return ["The table below says how far each goes."]
    said = []
    for panel in layout.panels:
        mine = _best_first([v for v in met if v.shared == panel.shared], axis, goal)
        parts = [" ".join(filter(None, [v.at, with_words(v.name, layout)])) for v in mine]
        said.append(f"at {panel.title} {_listed(parts) if parts else 'none'}")
    return [f"The {goal.extreme if goal else 'tested'} {short(axis.path)} that keeps it: {'; '.join(said)}."]


def _best_first(verdicts: Sequence[Verdict], axis: Axis, goal: Goal | None) -> list[Verdict]:
    sign = 1.0 if goal is None or goal.smallest else -1.0
    return sorted(verdicts, key=lambda v: sign * axis.at(v.shown))


def with_words(name: str, layout: Layout) -> str:
    """``with tac``, ``without protection``, ``with temperature 85 degC``; nothing where a store has one line."""
    if layout.series is None:
        return ""
    if layout.series == POLICY:
        return "without protection" if name == "none" else f"with {name}"
    return f"with {short(layout.series)} {name}"


def _figures(point: PointSummary) -> str:
    found = point.accuracy
    if found.maps == 1:
        return f"{percent(found.mean)} %, one map, no interval"
    return f"{percent(found.mean)} %, 95 % interval {percent_interval(found)}, {count(found.maps, 'map')}"


def _met(verdict: Verdict, layout: Layout, hardest: str) -> str:
    end = ", the end of the tested range" if verdict.at == hardest else ""
    words = " ".join(filter(None, [verdict.at, with_words(verdict.name, layout)]))
    return f"{words} ({_figures(verdict.shown)}{end})"


def _missed(verdict: Verdict, layout: Layout) -> str:
    words = with_words(verdict.name, layout)
    return " ".join(filter(None, [words, f"(best {_figures(verdict.best)})"]))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _comparison(material: Material, layout: Layout) -> list[str]:
    """The best line against the next where they differ most, over the same fault maps, and what it costs there."""
    if len(layout.panels) > 1 or len(layout.panels[0].lines) < 2:
        return []
    where, pairs = focus(layout, layout.panels[0])
    ranked = sorted(pairs, key=lambda p: -p[1].accuracy.mean)
    if len(ranked) < 2 or (gain := material.paired(ranked[0][1], ranked[1][1])) is None:
        return []
    (first, a), (second, b) = ranked[:2]
    interval = f"95 % interval {percent(gain.low)} to {percent(gain.high)}, paired over {count(gain.maps, 'map')}"
    ahead, behind = with_words(first, layout), with_words(second, layout)
    lead = f"At {where}, where the choice matters most,"
    if gain.low <= 0.0 <= gain.high:
        return [f"{lead} the two best cannot be told apart: {ahead} and {behind} ({interval} points)."]
    said = (
        f"{lead} the accuracy {ahead} is {percent(gain.mean)} points above that {behind} ({interval}){_unequal(a, b)}."
    )
    return [said, *_extra_cost(a, next((s for n, s in pairs if n == "none"), None), ahead)]


def _unequal(first: PointSummary, second: PointSummary) -> str:
    """Said where two lines do not protect the same share of bits, so that nobody takes them for equals."""
    mine, other = (s.facts.get(F.protected_bits_fraction) for s in (first, second))
    if not (is_number(mine) and is_number(other)) or abs(mine - other) <= _EQUAL * max(mine, other):
        return ""
    return f", protecting {percent(mine)} % of the stored bits against {percent(other)} %"


def _extra_cost(point: PointSummary, bare: PointSummary | None, words: str) -> list[str]:
    if bare is None or bare is point:
        return []
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
    costs = _listed([f"{100 * share:+.1f} % {what}" for share, what in parts])
    return [f"Against no protection that costs, {words}, {costs} (modelled)."]


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
    said = [_target(points), *(f"“{plain(s.facts.get(F.label, s.identity), 80)}” {_judged(s)}." for s in points)]
    best, *others = sorted(points, key=lambda s: -s.accuracy.mean)
    if (gain := material.paired(best, others[0])) is not None:
        said.append(
            f"The best is {percent(gain.mean)} points above the next (95 % interval {percent(gain.low)} to "
            f"{percent(gain.high)}, paired over {count(gain.maps, 'map')})."
        )
    return said


def _judged(s: PointSummary) -> str:
    found = s.accuracy
    target = KEEP * float(s.facts[F.clean_score])
    if found.maps == 1:
        return f"reaches {_figures(s)}, so nothing is claimed about other chips"
    verdict = (
        "keeps it" if found.low >= target else "does not keep it" if found.high < target else "may or may not keep it"
    )
    return f"{verdict} ({_figures(s)})"


def _alone(s: PointSummary) -> list[str]:
    facts, said = s.facts, [f"The network {_judged(s)}."]
    if len(s.accuracies) > 1:
        kept = round(s.yield_at(KEEP) * len(s.accuracies))
        said.append(f"{kept} of {count(len(s.accuracies), 'chip')} (fault maps) reach the target on their own.")
    if is_number(facts.get(F.protected_bits_fraction)):
        share, parity = percent(facts[F.protected_bits_fraction]), percent(facts.get(F.parity_bits_fraction))
        said.append(f"{share} % of the stored bits are protected, at {parity} % parity.")
        said.append(f"{number(s.means.get(F.flips_raw))} bits read wrong per map before ECC.")
    costs = [(what, show([s], key)) for key, what in _COSTS.items() if is_number(facts.get(key))]
    if costs:
        said.append(f"Modelled cost: {_listed([f'{what} {c.cells[0]} {c.unit}' for what, c in costs])}.")
    return said
