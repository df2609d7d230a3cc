"""No sentence of the finding says what a cell of the tables beside it, or the records themselves, deny.

Records of random sweeps: cases, grids, axes that move together, points that failed, one fault map or several, times.
Every sentence must be of a form that is read here, and what it states is looked up and computed again.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from qtaml_hw.records.chips import share_changed
from qtaml_hw.records.interval import score_interval
from qtaml_hw.records.text import percent
from qtaml_hw.report.finding import GOALS, Finding, find
from qtaml_hw.report.grids import results_grids, verdict_grid
from qtaml_hw.report.layout import short, title
from qtaml_hw.report.material import Material, material
from tests.report import synthetic

CLEAN = 0.974
TARGET = 0.95 * CLEAN
UNITS = {"µs": 1e-6, "nm": 1e-9, "V": 1.0, "%": 1e-2, "": 1.0, "°C": 1.0}
AXES: dict[str, list[Any]] = {
    "refresh.interval": [4, 6, 7, 8],
    "cell.t_ox": [1.5, 1.6, 1.7],
    "cell.v_dd": [0.9, 1.0, 1.1],
    "protection.budget.bits": [1, 5, 20],
    "protection.policy": ["none", "uniform", "tac"],
    "network.name": ["a", "b"],
}
LABELS = ["unprotected", "1 MSB SEC-DED", "tac 2 %", "none", "hot, 85 degC", "tac with 3"]
CASES = st.lists(
    st.fixed_dictionaries(
        {"protection.policy": st.sampled_from(["none", "uniform", "tac"])},
        optional={"protection.planes": st.sampled_from([1, 3]), "cell.temperature": st.sampled_from([25, 85])},
    ),
    max_size=4,
)
SCORE = st.sampled_from([0.5, 0.92, 0.9253, 0.926, 0.93, 0.95, 0.97])
NOISE = st.lists(st.sampled_from([-0.004, -0.001, 0.0, 0.002, 0.003]), min_size=4, max_size=4)


@dataclass(frozen=True)
class Chip:
    """One point as it was made up: its place, and a score of every map at every time."""

    label: str
    case: str
    axes: dict[str, Any]
    scores: np.ndarray  # [maps, times]
    facts: dict[str, Any] = field(repr=False)
    flips: float

    def intervals(self) -> list[tuple[float, float, float]]:
        """Mean and ends at every time; what was read wrong bounds them at the last."""
        times = self.scores.T
        changed = [1.0] * (len(times) - 1) + [share_changed(self.facts, self.flips)]
        found = [
            score_interval([float(v) for v in values], share) for values, share in zip(times, changed, strict=True)
        ]
        return [(one.mean, one.low, one.high) for one in found]

    @property
    def worst(self) -> tuple[float, float, float]:
        return min(self.intervals(), key=lambda found: (found[1], found[0]))

    @property
    def keeps(self) -> bool:
        return len(self.scores) > 1 and all(low >= TARGET for _, low, _ in self.intervals())


@st.composite
def sweeps(draw: st.DrawFn) -> list[Chip]:
    paths = draw(st.lists(st.sampled_from(sorted(AXES)), max_size=3, unique=True))
    cases = [*zip(draw(st.permutations(LABELS)), draw(CASES), strict=False)]
    taken = {path for _, case in cases for path in case}
    grid = [p for p in paths if p not in taken]
    values = [AXES[p][: draw(st.integers(1, len(AXES[p])))] for p in grid]
    rows = [dict(zip(grid, found, strict=True)) for found in itertools.product(*values)]
    if len(grid) > 1 and draw(st.booleans()):  # a zip: they move together
        rows = [dict(zip(grid, found, strict=True)) for found in zip(*values, strict=False)]
    points = [(label, case | row) for label, case in cases or [("", {})] for row in rows][:14]
    maps, times = draw(st.sampled_from([1, 4, 70])), draw(st.sampled_from([(1e-3,), (1e-6, 1e-3)]))
    records, chips = [], []
    for number, (case, axes) in enumerate(points):
        if draw(st.integers(0, 9)) == 0:
            records.append(synthetic.failure(number, axes, "no memory left"))
            continue
        more = maps if draw(st.booleans()) else maps + 2 * (maps > 1)
        found = np.array([draw(SCORE) for _ in times])[None, :] + np.resize(draw(NOISE), (more, len(times)))
        found = np.round(found, 6)
        shown = ", ".join(filter(None, [case, *(synthetic.shown(p, axes[p])[0] for p in axes)])) or "run"
        base = synthetic.point(number, axes, more, times=times, case=case, label=shown)
        few = draw(st.booleans())  # nothing read wrong: chips that were not drawn are like these
        for i, r in enumerate(base):
            r |= {"flips_raw": 0} if few else {}
            series = [[t, float(s)] for t, s in zip(times, found[i], strict=True)]
            records.append(r | {"score_series": series, "score": series[-1][1]})
        flips = sum(float(r["flips_raw"]) for r in base) / len(base)
        chips.append(Chip(shown, case, base[0]["axes"], found, base[0], flips))
    return material(records), chips


@dataclass(frozen=True)
class Truth:
    """The sentences' claims against the tables and the points."""

    found: Finding
    data: Material
    chips: list[Chip]

    def rows(self) -> list[dict[str, str]]:
        grid = verdict_grid(self.found)
        assert grid is not None
        return [dict(zip([h.name for h in grid.heads], row, strict=True)) for row in grid.rows]

    def row(self, panel: str, name: str) -> dict[str, str]:
        """The row of the verdict table that a part of a sentence speaks of."""
        shared = [path for path, _ in self.found.verdicts[0].shared]
        place = {row_panel(r, shared): r for r in self.rows() if self.named(r) == name}
        return place[panel]

    def named(self, row: dict[str, str]) -> str:
        """What a sentence calls a row's line."""
        name, series = row[self.found.series], self.found.series
        if series == "Case":
            return f"with “{name}”"
        if series == "Policy":
            several = {c.axes.get("protection.policy") for c in self.chips}
            told = "without protection" if name == "none" else f"with {name}"
            return told if len(several) > 1 else ""
        path = next(p for p in AXES if title(p).capitalize() == series)
        return f"with {short(path)} {name}"

    def of(self, row: dict[str, str]) -> list[Chip]:
        """The points of a line, from its row alone."""
        shared = [path for path, _ in self.found.verdicts[0].shared]

        def mine(chip: Chip) -> bool:
            own = chip.case if self.found.series == "Case" else None
            if own is not None and own != row["Case"]:
                return False
            wanted = {p: row[title(p)] for p in shared if p != "case"}
            path = next((p for p in AXES if own is None and title(p).capitalize() == self.found.series), None)
            if path is not None and path in chip.axes:
                wanted[path] = row[self.found.series]
            return all(chip.axes.get(p) == v for p, v in wanted.items())

        return [chip for chip in self.chips if mine(chip)]

    def at(self, chips: Sequence[Chip], path: str, words: str) -> Chip:
        """The one point of a line at a value of its axis."""
        number, _, unit = words.partition(" ")
        (found,) = [c for c in chips if abs(c.facts["axes_si"][path] - float(number) * UNITS[unit]) < 1e-12]
        return found

    def labelled(self, label: str) -> Chip:
        return next(c for c in self.chips if c.label == label)


def row_panel(row: dict[str, str], shared: Sequence[str]) -> str:
    return ", ".join(f"{short(p)} {row[title(p)]}" for p in shared)


def axis_of(words: str) -> str:
    return next(p for p in AXES if short(p) == words)


FIGURES = (
    r"(?P<mean>[\d.]+) %, "
    r"(?:95 % interval (?P<low>[\d.]+) to (?P<high>[\d.]+), (?P<maps>\d+) maps|one map, no interval)"
)
PART = re.compile(rf"(?:(?P<words>[^()]*?) ?)?\((?P<best>best )?{FIGURES}(?P<end>, the end of the tested range)?\)")


def same_figures(match: re.Match[str], chip: Chip) -> None:
    mean, low, high = chip.worst
    assert match["mean"] == percent(mean)
    if match["maps"] is None:
        assert len(chip.scores) == 1
        return
    assert (match["low"], match["high"], int(match["maps"])) == (percent(low), percent(high), len(chip.scores))


def parts(text: str, truth: Truth) -> list[tuple[re.Match[str], str, str]]:
    """(figures, words before the line, line's words) of every part of a list of limits."""
    lines = sorted({truth.named(r) for r in truth.rows()}, key=len, reverse=True)
    found = []
    for match in PART.finditer(text):
        words = re.sub(r"^(, | and )", "", match["words"]).strip()
        line = next(n for n in lines if words.endswith(n))
        found.append((match, words.removesuffix(line).strip(), line))
    return found


def easier(chips: Sequence[Chip], chip: Chip, path: str) -> list[Chip]:
    value, smallest = chip.facts["axes_si"][path], GOALS[path].smallest
    return [c for c in chips if (c.facts["axes_si"][path] > value) is smallest and c is not chip]


def limit(truth: Truth, match: re.Match[str]) -> None:
    path = axis_of(match["axis"])
    listed = parts(match["parts"], truth)
    assert listed
    for figures, at, line in listed:
        row = truth.row("", line)
        chips = truth.of(row)
        assert row[truth.found.heading].startswith(at)
        shown = at
        if match["extreme"] is None:  # no easy end: what keeps it is listed, the figures are of the best
            values = re.sub(r" and \d+ more$", "", at).split(", ")
            assert all(truth.at(chips, path, v).keeps for v in values)
            assert sum(c.keeps for c in chips) == len(values)
            same_figures(figures, max((c for c in chips if c.keeps), key=lambda c: c.worst[0]))
        else:
            chip = truth.at(chips, path, shown)
            same_figures(figures, chip)
            assert chip.keeps
            assert all(c.keeps for c in easier(chips, chip, path))
            harder = [c for c in chips if chip in easier(chips, c, path)]
            following = min(harder, key=lambda c: len(easier(chips, c, path)), default=None)
            assert following is None or not following.keeps
            hardest = max(truth.chips, key=lambda c: (-1 if GOALS[path].smallest else 1) * c.facts["axes_si"][path])
            assert (figures["end"] is not None) == (hardest.facts["axes_si"][path] == chip.facts["axes_si"][path])
        assert (row["Accuracy"], row["Maps"]) == (figures["mean"], figures["maps"])


def missed(truth: Truth, match: re.Match[str]) -> None:
    for figures, _, line in parts(match["parts"], truth):
        row = truth.row("", line)
        chips = truth.of(row)
        assert row[truth.found.heading] == "never; its best:"
        assert not any(c.keeps for c in chips)
        assert figures["mean"] == percent(max(c.worst[0] for c in chips)) == row["Accuracy"]


def unshown(truth: Truth, match: re.Match[str]) -> None:
    assert int(match["fewest"]) == 35  # chips that lose nothing, to show 95 % (records.interval.fewest_to_keep)
    for figures, _, line in parts(match["parts"], truth):
        row = truth.row("", line)
        chips = truth.of(row)
        assert row[truth.found.heading] == "not shown; its best:"
        assert not any(c.keeps for c in chips)
        best = max(chips, key=lambda c: c.worst[0])
        assert best.worst[0] >= 0.95 * best.facts["clean_score"]
        assert len(best.scores) < 35
        assert figures["mean"] == percent(best.worst[0]) == row["Accuracy"]


def again(truth: Truth, match: re.Match[str]) -> None:
    lines = sorted({truth.named(r) for r in truth.rows()}, key=len, reverse=True)
    told = [r for r in truth.rows() if " past a miss" in r[truth.found.heading]]
    for row in told:
        line = truth.named(row)
        assert line in lines
        values = re.search(r"and (.*) past a miss", row[truth.found.heading])
        assert values is not None
        assert f"{values[1]} {line}".strip() in match["parts"]
        path = axis_of(next(h for h in [short(p) for p in AXES] if f" {h} " in truth.found.heading))
        for value in values[1].split(", "):
            chip = truth.at(truth.of(row), path, value)
            assert chip.keeps
            assert not all(c.keeps for c in easier(truth.of(row), chip, path))


def combinations(truth: Truth, match: re.Match[str]) -> None:
    rows = truth.rows()
    assert int(match["all"]) == len(rows)
    assert int(match["met"]) == sum(not r[truth.found.heading].startswith(("never", "not shown")) for r in rows)


def panels(truth: Truth, match: re.Match[str]) -> None:
    shared = [path for path, _ in truth.found.verdicts[0].shared]
    text = match["panels"]
    for row in truth.rows():
        said = f"{row[truth.found.heading].removesuffix('; its best:')} {truth.named(row)}".strip()
        mine = next(part for part in text.split("; at ") if part.removeprefix("at ").startswith(row_panel(row, shared)))
        reached = row[truth.found.heading] not in ("never; its best:", "not shown; its best:")
        assert (said in mine) is reached
        assert any(c.keeps for c in truth.of(row)) is reached


def paired(first: Chip, second: Chip) -> tuple[float, float, float, int]:
    n = min(len(first.scores), len(second.scores))
    gain = first.scores[:n, -1] - second.scores[:n, -1]
    half = float(stats.t.ppf(0.975, n - 1)) * float(gain.std(ddof=1)) / n**0.5
    return float(gain.mean()), float(gain.mean()) - half, float(gain.mean()) + half, n


def close(text: str, share: float) -> bool:
    return abs(float(text) - 100 * share) <= max(0.051, 0.051 * abs(100 * share)) or text == percent(share)


def focus(truth: Truth, match: re.Match[str]) -> list[tuple[str, Chip]]:
    path = axis_of(re.sub(r" [\d.]+( \S+)?$", "", match["where"]))
    value = match["where"].removeprefix(f"{short(path)} ")
    found = []
    for row in truth.rows():
        number, _, unit = value.partition(" ")
        for c in truth.of(row):
            if abs(c.facts["axes_si"][path] - float(number) * UNITS[unit]) < 1e-12:
                found.append((truth.named(row), c))
    return found


def above(truth: Truth, match: re.Match[str]) -> None:
    there = focus(truth, match)
    ahead, behind = (next(c for n, c in there if n == match[k]) for k in ("first", "second"))
    mean, low, high, n = paired(ahead, behind)
    assert int(match["maps"]) == n
    assert close(match["points"], mean if match["side"] == "above" else -mean)
    assert close(match["low"], low)
    assert close(match["high"], high)
    assert low > 0 or high < 0
    ranked = sorted((float(c.scores[:, -1].mean()) for _, c in there), reverse=True)
    assert float(ahead.scores[:, -1].mean()) == ranked[0]
    assert float(behind.scores[:, -1].mean()) == ranked[1]
    assert (match["saw"] is not None) == (len(ahead.scores) != len(behind.scores))
    if match["mine"]:
        assert match["mine"] == percent(ahead.facts["protected_bits_fraction"])
        assert match["other"] == percent(behind.facts["protected_bits_fraction"])


def equal(truth: Truth, match: re.Match[str]) -> None:
    there = focus(truth, match)
    first, second = (next(c for n, c in there if n == match[k]) for k in ("first", "second"))
    _, low, high, n = paired(first, second)
    assert low <= 1e-12
    assert high >= -1e-12
    assert int(match["maps"]) == n


def extra(truth: Truth) -> dict[str, float]:
    """What the best line costs above the one without protection, where the sentence before compares it."""
    where = next(m for s in truth.found.sentences if (m := re.fullmatch(ABOVE, s)))
    there = focus(truth, where)
    chip = next(c for n, c in there if n == where["first"])
    (bare,) = [c for _, c in there if c.facts["policy"] == "none" and c is not chip]
    keys = {"energy per inference": "energy_per_inference_j", "memory area": "area_m2"}
    return {what: chip.facts[key] / bare.facts[key] - 1 for what, key in keys.items()}


def costs(truth: Truth, match: re.Match[str]) -> None:
    assert all(f"{100 * share:+.1f} % {what}" in match[0] for what, share in extra(truth).items())


def free_of_charge(truth: Truth, match: re.Match[str]) -> None:
    assert all(abs(share) < 5e-4 for share in extra(truth).values())


def judged(truth: Truth, match: re.Match[str]) -> None:
    chip = truth.labelled(match["label"]) if match["label"] else truth.chips[0]
    _, _, high = chip.worst
    same_figures(match, chip)
    if len(chip.scores) == 1:
        assert match["verdict"] == "reaches"
    else:
        may = "does not keep it" if high < TARGET else "may or may not keep it"
        assert match["verdict"] == ("keeps it" if chip.keeps else may)
    (rows,) = [grid for name, grid in results_grids(truth.data) if name == "Scores and errors"]
    assert any(match["mean"] in row for row in rows.rows)


def counted(truth: Truth, match: re.Match[str]) -> None:
    assert (int(match["kept"]), int(match["all"])) == (sum(c.keeps for c in truth.chips), len(truth.chips))


def less(truth: Truth, match: re.Match[str]) -> None:
    first, second = truth.labelled(match["first"]), truth.labelled(match["second"])
    mean, low, high, n = paired(first, second)
    assert close(match["points"], mean)
    assert close(match["low"], low)
    assert close(match["high"], high)
    assert int(match["maps"]) == n
    means = sorted((float(c.scores[:, -1].mean()) for c in truth.chips), reverse=True)
    assert [float(c.scores[:, -1].mean()) for c in (first, second)] == means[:2]


def target(truth: Truth, match: re.Match[str]) -> None:
    assert (match["clean"], match["target"]) == (percent(CLEAN), percent(TARGET))


def moves(truth: Truth, match: re.Match[str]) -> None:
    axis = axis_of(match["axis"])
    for words in re.split(r", | and ", match["along"]):
        path = next(p for p in AXES if title(p) == words)
        assert len({(c.axes[axis], c.axes[path]) for c in truth.chips}) == len({c.axes[axis] for c in truth.chips})


def worst_times(truth: Truth, match: re.Match[str]) -> None:
    moved = [c for c in truth.chips if c.worst[0] < float(c.scores[:, -1].mean())]
    assert (int(match["moved"]), int(match["all"])) == (len(moved), len(truth.chips))


def worst_time(truth: Truth, match: re.Match[str]) -> None:
    (chip,) = truth.chips
    assert match["mean"] == percent(chip.worst[0])
    assert match["last"] == percent(float(chip.scores[:, -1].mean()))
    assert int(match["kept"]) == int((chip.scores[:, 0] >= TARGET).sum())


def on_their_own(truth: Truth, match: re.Match[str]) -> None:
    (chip,) = truth.chips
    assert int(match["kept"]) == int((chip.scores[:, -1] >= TARGET).sum())
    assert int(match["all"]) == len(chip.scores)


def many(truth: Truth, match: re.Match[str]) -> None:
    shared = [path for path, _ in truth.found.verdicts[0].shared]
    assert len({row_panel(r, shared) for r in truth.rows()}) > 6


def plain_facts(truth: Truth, match: re.Match[str]) -> None:
    assert len(truth.chips) == 1


_LINE = r"(?:with “[^”]*”|without protection|with .+?)"
_NUMBER = r"-?[\d.,×⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+"
_GAIN = (
    rf"95 % interval (?P<low>{_NUMBER}) to (?P<high>{_NUMBER})(?: points)?, "
    r"paired over (?P<maps>\d+) maps(?P<saw> that both saw)?"
)
_PLACE = r"At (?P<where>[^,]+), where the choice matters most, "
_TOLD = rf" \(?{FIGURES}(?:\)|, so nothing is claimed about other chips)\."
ABOVE = (
    rf"{_PLACE}the accuracy (?P<first>{_LINE}) is (?P<points>[\d.]+) points "
    rf"(?P<side>above|below) that (?P<second>{_LINE}) \({_GAIN}\)"
    r"(?:, protecting (?P<mine>[\d.]+) % of the stored bits against (?P<other>[\d.]+) %)?\."
)
FORMS: list[tuple[str, Callable[[Truth, re.Match[str]], None]]] = [
    (
        r"Target: at least 95 % of the clean accuracy of (?P<clean>[\d.]+) %, that is (?P<target>[\d.]+) %, with .*",
        target,
    ),
    (r"The (?:(?P<extreme>\w+) )?tested (?P<axis>[^()]+?) that keeps it is (?P<parts>.*)\.", limit),
    (r"On so few chips it cannot be shown, .*?, (?P<parts>.*): that takes (?P<fewest>\d+) chips that .*\.", unshown),
    (r"No tested (?P<axis>[^()]+) \([^()]* to [^()]*\) keeps it (?P<parts>.*)\.", missed),
    (r"Past a \w+ value that misses it, it is kept at (?P<parts>.*)\.", again),
    (r"(?P<met>\d+) of (?P<all>\d+) combinations reach it between .*", combinations),
    (r"The \w+ (?P<axis>.+) that keeps it: (?P<panels>at .*)\.", panels),
    (r"The table below says how far each goes\.", many),
    (ABOVE, above),
    (
        rf"{_PLACE}the two best cannot be told apart: (?P<first>{_LINE}) and "
        rf"(?P<second>{_LINE}) \({_GAIN}\)\.",
        equal,
    ),
    (r"The model counts no extra energy or area for it.*\.", free_of_charge),
    (r"Against (?:no protection|“.*”) that costs, .* \(modelled\)\.", costs),
    (rf"“(?P<label>[^”]*)” (?P<verdict>.*?){_TOLD}", judged),
    (
        rf"The network(?P<label>) (?P<verdict>.*?){_TOLD}",
        judged,
    ),
    (r"(?P<kept>\d+) of (?P<all>\d+) points keep it; the table has all of them\.", counted),
    (
        r"The accuracy of “(?P<first>[^”]*)” less that of the next, “(?P<second>[^”]*)”, is (?P<points>[-\d.]+) points "
        rf"\({_GAIN}\)\.",
        less,
    ),
    (r"(?P<along>.+) moves with (?P<axis>.+)\.", moves),
    (r"Verdicts stand on the worst of the times asked for; in (?P<moved>\d+) of (?P<all>\d+) points .*", worst_times),
    (
        r"The verdict stands on the worst time, .*: the accuracy falls to (?P<mean>[\d.]+) %, when (?P<kept>\d+) of "
        r"\d+ chips reach the target\. At the last time, .*, it is (?P<last>[\d.]+) %\.",
        worst_time,
    ),
    (r"(?P<kept>\d+) of (?P<all>\d+) chips \(fault maps\) reach the target on their own.*\.", on_their_own),
    (r"[\d.]+ % of the stored bits are protected, at [\d.]+ % parity\.", plain_facts),
    (rf"{_NUMBER} bits read wrong per map before ECC\.", plain_facts),
    (r"Modelled cost: .*\.", plain_facts),
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sweeps())
def test_every_sentence_agrees_with_the_tables_and_the_records(made: tuple[Material, list[Chip]]) -> None:
    data, chips = made
    found = find(data)
    if not chips:
        assert found.sentences == ("No point of this study finished; the errors are listed below.",)
        return
    truth = Truth(found, data, chips)
    for sentence in found.sentences:
        read = [(check, m) for form, check in FORMS if (m := re.fullmatch(form, sentence))]
        assert read, f"a sentence of a form that no check reads: {sentence}"
        check, match = read[0]
        check(truth, match)
    if found.verdicts:  # every case and combination has its row, and every point its own in the tables
        assert sum(len(truth.of(row)) for row in truth.rows()) == len(chips)
    for _, grid in results_grids(data):
        places = [row[: sum(not h.numeric for h in grid.heads)] for row in grid.rows]
        assert len(set(places)) == len(chips)
