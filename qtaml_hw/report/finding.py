"""The answer, computed from the records and put in plain words: how far can one go and keep 95 % of the clean accuracy?

"Keeps" means that the whole 95 % interval over fault maps lies at or above the target, here and at every easier value
of the axis that was tested.  With one map there is no interval and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtaml_hw.report.columns import show
from qtaml_hw.report.layout import Layout, Line, lay_out, title
from qtaml_hw.report.material import Material
from qtaml_hw.report.text import count, is_number, number, percent, percent_interval, plain
from qtaml_hw.study.summary import PointSummary

KEEP: Final = 0.95


@dataclass(frozen=True)
class Goal:
    """What an architect wants of an axis: ``extreme`` in words, and whether small values are the hard ones."""

    extreme: str
    smallest: bool


GOALS: Final = {
    "cell.t_ox": Goal("thinnest", True),
    "cell.c_store": Goal("smallest", True),
    "refresh.interval": Goal("longest", False),
    "scrub.interval": Goal("longest", False),
    "cell.temperature": Goal("highest", False),
    "flips.p": Goal("highest", False),
    "protection.planes": Goal("smallest", True),
    "protection.budget.bits": Goal("smallest", True),
    "protection.budget.parity": Goal("smallest", True),
    "protection.budget.area": Goal("smallest", True),
    "protection.budget.energy": Goal("smallest", True),
}
DEFAULT_GOAL: Final = Goal("lowest", True)


@dataclass(frozen=True)
class Verdict:
    """How far one line goes. ``point`` : the most extreme point that keeps the target, None when none does.

    ``best`` : the point with the highest mean, to show how close a line without such a point comes.
    """

    panel: str
    name: str
    point: PointSummary | None
    best: PointSummary
    at: str
    everywhere: bool


@dataclass(frozen=True)
class Finding:
    """The paragraphs of the summary, and the verdicts behind them."""

    sentences: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    axis: str
    extreme: str


def keeps(point: PointSummary) -> bool:
    """Whether the whole interval of a point lies at or above 95 % of its clean accuracy."""
    found = point.accuracy
    return found.maps > 1 and found.low >= KEEP * float(point.facts["clean_accuracy"])


def _verdict(panel: str, line: Line, layout: Layout, goal: Goal) -> Verdict:
    axis = layout.x
    assert axis is not None
    hardest_last = line.points[::-1] if goal.smallest else line.points
    kept: PointSummary | None = None
    reached = 0
    for point in hardest_last:
        if not keeps(point):
            break
        kept, reached = point, reached + 1
    best = max(line.points, key=lambda s: s.accuracy.mean)
    return Verdict(panel, line.name, kept, best, axis.show(axis.at(kept)) if kept else "", reached == len(line.points))


def find(material: Material) -> Finding:
    """The summary of a store: a sweep's limits, or a few points side by side."""
    layout = lay_out(material.points)
    if not material.points:
        return Finding(("No point of this study finished; the errors are listed below.",), (), "", "")
    if layout.x is None:
        return Finding(tuple(_side_by_side(material)), (), "", "")
    goal = GOALS.get(layout.x.path, DEFAULT_GOAL)
    verdicts = tuple(_verdict(p.title, line, layout, goal) for p in layout.panels for line in p.lines)
    sentences = [_target(material.points), *_limits(layout, verdicts, goal), *_pairs(material, layout)]
    return Finding(tuple(filter(None, sentences)), verdicts, layout.x.path, goal.extreme)


def _target(points: Sequence[PointSummary]) -> str:
    clean = sorted({float(s.facts["clean_accuracy"]) for s in points})
    if len(clean) > 1:
        return f"Target: at least {percent(KEEP, 0)} % of each network's clean accuracy."
    return f"Target: at least {percent(KEEP, 0)} % of the clean accuracy of {percent(clean[0])} %, which is {percent(KEEP * clean[0])} %."


def _limits(layout: Layout, verdicts: Sequence[Verdict], goal: Goal) -> list[str]:
    axis = layout.x
    assert axis is not None
    tested = sorted({axis.at(s) for p in layout.panels for line in p.lines for s in line.points})
    name = title(axis.path)
    span = f"{axis.show(tested[0])} to {axis.show(tested[-1])}"
    if len({v.panel for v in verdicts}) > 1:
        met = sum(v.point is not None for v in verdicts)
        return [f"{met} of {count(len(verdicts), 'combination')} keep it at some tested value of {name} ({span}); the table names each."]
    return [_sentence(v, goal, name, span) for v in verdicts]


def _sentence(verdict: Verdict, goal: Goal, name: str, span: str) -> str:
    label = f"“{verdict.name}”" if verdict.name else "The memory"
    if verdict.point is None:
        found = verdict.best.accuracy
        if found.maps == 1:
            return f"{label}: one fault map per point gives no interval, so nothing is claimed (best {percent(found.mean)} %)."
        return f"{label} keeps it at no tested value ({span}); its best is {percent(found.mean)} % ({percent_interval(found)}, {count(found.maps, 'map')})."
    found = verdict.point.accuracy
    figures = f"{percent(found.mean)} % (95 % interval {percent_interval(found)}, {count(found.maps, 'map')})"
    if verdict.everywhere:
        return f"{label} keeps it at every tested value ({span}); at the {goal.extreme}, {verdict.at}, it reaches {figures}."
    return f"{label} keeps it as far as {verdict.at}, the {goal.extreme} tested {name[0].lower() + name[1:]} that does: {figures}."


def _pairs(material: Material, layout: Layout) -> list[str]:
    """Best line against the runner-up where they differ most, over the same fault maps; only with one panel."""
    from qtaml_hw.report.layout import focus

    if len(layout.panels) > 1 or len(layout.panels[0].lines) < 2:
        return []
    where, pairs = focus(layout, layout.panels[0])
    ranked = sorted(pairs, key=lambda p: -p[1].accuracy.mean)
    (first, a), (second, b) = ranked[0], ranked[1]
    gain = material.paired(a, b)
    if gain is None:
        return []
    interval = f"95 % interval {percent(gain.low)} to {percent(gain.high)}, paired over {count(gain.maps, 'map')}"
    if gain.low <= 0.0 <= gain.high:
        return [f"At {where}, where the lines differ most, “{first}” and “{second}” cannot be told apart ({interval} points)."]
    return [f"At {where}, where the lines differ most, “{first}” is {percent(gain.mean)} points better than “{second}” ({interval})."]


_COSTS: Final = ("energy_per_inference_j", "area_m2", "read_latency_s")
_COST_WORDS: Final = dict(zip(_COSTS, ("energy per inference", "memory area", "read latency"), strict=True))


def _side_by_side(material: Material) -> list[str]:
    said = [_target(material.points)]
    for s in material.points[:6]:
        said.append(_point_sentence(s, len(material.points) == 1))
    if len(material.points) > 6:
        met = sum(map(keeps, material.points))
        said = [said[0], f"{met} of {len(material.points)} points keep it with their whole interval; the table has all of them."]
    if len(material.points) == 2 and (gain := material.paired(material.points[1], material.points[0])) is not None:
        said.append(
            f"The second differs from the first by {percent(gain.mean)} points (95 % interval {percent(gain.low)} to "
            f"{percent(gain.high)}, paired over {count(gain.maps, 'map')})."
        )
    return said


def _point_sentence(s: PointSummary, alone: bool) -> str:
    found = s.accuracy
    label = "The network" if alone else f"“{plain(s.facts.get('label', s.facts.get('policy', '')), 80)}”"
    interval = f"95 % interval {percent_interval(found)}, " if found.maps > 1 else "no interval, "
    figures = f"{percent(found.mean)} % ({interval}{count(found.maps, 'map')})"
    if found.maps == 1:
        verdict = f"reaches {figures}; one map claims nothing about other chips"
    elif keeps(s):
        verdict = f"keeps it: {figures}"
    elif found.high >= KEEP * float(s.facts["clean_accuracy"]):
        verdict = f"may or may not keep it: {figures}"
    else:
        verdict = f"does not keep it: {figures}"
    costs = []
    for key in _COSTS if alone else ():
        if is_number(s.facts.get(key)):
            shown = show([s], key)
            costs.append(f"{_COST_WORDS[key]} {shown.cells[0]} {shown.unit}")
    return f"{label} {verdict}." + (f" Modelled: {', '.join(costs)}." if costs else "") + _bits(s, alone)


def _bits(s: PointSummary, alone: bool) -> str:
    if not alone or not is_number(s.facts.get("protected_bits_fraction")):
        return ""
    share = percent(s.facts["protected_bits_fraction"])
    parity = percent(s.facts.get("parity_bits_fraction"))
    flips = number(s.means.get("flips_raw"))
    return f" {share} % of the stored bits are protected, with {parity} % parity; {flips} bits read wrong per map before ECC."
