"""Terminal tables of what is asked beside a store's records; every answer comes with the keys of its ``--json``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.table import Table

from qtaml_hw.records.measure import Measure, measure_named
from qtaml_hw.records.text import number, percent, plain, scale, spelled
from qtaml_hw.report.console import table

Row = Mapping[str, Any]


def _between(low: float | None, high: float | None) -> str:
    """An interval of shares, in per cent; a dash where none was counted."""
    return "-" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def _read(rows: Iterable[Row | None]) -> Measure:
    """How the scores of an answer's rows are read: by their metric, where they share one."""
    found = {str(row.get("metric")) for row in rows if row}
    return measure_named(found.pop() if len(found) == 1 else None)


_LONGEST_PLACE: Final = 48  # of a file's name that stays in one piece, beside the names and values of a table


def effective_table(provenance: Mapping[str, Any]) -> Table:
    """Every value that is in force, and where it comes from (``config.Study.provenance``)."""
    rows, files = [], {origin.source for origin in provenance.values() if origin.kind == "file"}
    for path, origin in provenance.items():
        place = {"default": "default", "set": "--set"}.get(origin.kind, origin.source)
        if origin.kind == "file" and origin.line:
            place = f"line {origin.line}" if len(files) == 1 else f"{origin.source}:{origin.line}"
        if origin.citation:
            place = f"{origin.source}: {origin.citation}"
        rows.append((path, origin.text, place))
    made = table(["Value", "", "From"], rows, heading="Effective values")
    longest = max((len(word) for *_, place in rows for word in place.split()), default=0)
    made.columns[-1].min_width = min(longest, _LONGEST_PLACE)
    return made


def comparison_table(found: Row) -> Table:
    """Stores side by side, one row per point and store; differences to the first store where maps pair."""
    rows, read = [], _read(cell for row in found["rows"] for cell in row["stores"])
    for row in found["rows"]:
        for folder, cell in zip(found["stores"], row["stores"], strict=True):
            if cell is None:
                rows.append([spelled(row["point"]), folder, "-", "", "", ""])
                continue
            accuracy = read.between(cell["accuracy_ci95_low"], cell["accuracy_ci95_high"])
            change = ""
            if "ratio_mean" in cell and read.logarithmic:
                ends = f"{number(cell['ratio_ci95_low'])} to {number(cell['ratio_ci95_high'])}"
                change = f"x {number(cell['ratio_mean'])} ({ends})"
            elif "difference_mean" in cell and not read.logarithmic:
                ends = _between(cell["difference_ci95_low"], cell["difference_ci95_high"])
                change = f"{percent(cell['difference_mean'])} ({ends})"
            rows.append(
                [spelled(row["point"]), folder, read.show(cell["accuracy_mean"]), accuracy, cell["maps"], change]
            )
    first = "To the first" if read.logarithmic else "To the first (%)"
    return table(["Point", "Store", f"{read.title}{read.per}", f"95 % CI{read.per}", "Maps", first], rows)


def feasible_table(found: Row) -> Table:
    """One row per goal: how far it goes, the share of good chips there, and what is refused beyond."""
    rows = []
    for row in found["rows"]:
        if not row["feasible"]:
            rows.append([row["goal"], "no" if row["feasible"] is False else "-", "", "", row["reason"]])
            continue
        chips = f"{percent(row['yield'])} ({_between(*row['yield_ci95'])})"
        edge = "limit of the search" if row["first_refused"] is None else f"{spelled(row['first_refused'])} fails"
        rows.append([row["what"], spelled(row["shown"]), chips, f"{1e6 * row['area_m2']:.4g}", edge])
    return table(["Goal", "Value", f"Good chips of {found['maps']} (%)", "Area (mm²)", "Beyond"], rows)


def front_table(found: Row) -> Table:
    """The points that nothing beats, then those that their intervals do not tell from them."""
    members = [("", r) for r in found["front"]] + [("near", r) for r in found["near"]]
    read = _read(r for _, r in members)
    energy = scale([r["energy_per_inference_j"] for _, r in members], "J")
    area = scale([r["area_m2"] for _, r in members], "m2")
    rows = [
        [
            spelled(r["label"]),
            mark,
            read.show(r["accuracy_mean"]),
            read.between(r["accuracy_ci95_low"], r["accuracy_ci95_high"]),
            energy.show(r["energy_per_inference_j"]),
            area.show(r["area_m2"]),
        ]
        for mark, r in members
    ]
    unseen = f", {found['unseen']} never looked at" if found["unseen"] else ""
    caption = f"{found['points']} points{unseen}, {found['measured']} measured; near: within the intervals of the front"
    head = f"{read.title}{read.per}"
    heads = ["Point", "", head, f"95 % CI{read.per}", f"Energy ({energy.unit})", f"Area ({area.unit})"]
    return table(heads, rows, caption=caption)


def tornado_table(found: Row) -> Table:
    """Both ends of every input: what it makes of the flip probabilities, the prediction and the accuracy."""
    rows, read = [], _read([found["base"]])
    for row in found["rows"]:
        for side in ("low", "high"):
            end = row[side]
            figures = [number(end.get(key)) for key in ("p10", "p01", "predicted_distortion")]
            change = percent(end["difference"]) if "difference" in end else plain(end.get("error", ""), 40)
            if read.logarithmic and "difference" in end:
                change = f"x {number(end['ratio'])}" if "ratio" in end else "infinite"
            rows.append(
                [row["path"].removeprefix("cell.") if side == "low" else "", spelled(end["value"]), *figures, change]
            )
    base = found["base"]
    caption = f"base: p10 {number(base['p10'])}, predicted distortion {number(base['predicted_distortion'])}"
    heads = ["Input", "Value", "p(1->0)", "p(0->1)", "Predicted distortion", f"{read.title} change{read.per}"]
    return table(heads, rows, caption=caption)


def design_table(found: Row) -> Table:
    """The front of a design, numbered, the bound under it; what was looked at as the caption."""
    members = [(str(i), row) for i, row in enumerate(found["front"], start=1)]
    members += [("nearest", found["nearest"])] if found["nearest"] else []
    members += [("bound", found["bound"])] if found["bound"] else []
    read = _read(row for _, row in members)
    chosen = found["answer"]["number"] if found["answer"] else None
    energy = scale([r["energy_per_inference_j"] for _, r in members], "J")
    area = scale([r["area_m2"] for _, r in members], "m2")
    rows = [
        [
            f"{mark} *" if mark == str(chosen) else mark,
            spelled(row["label"]),
            read.show(row["score_mean"]),
            read.show(row["score_ci95_low"]),
            _between(row["yield_ci95_low"], row["yield_ci95_high"]),
            area.show(row["area_m2"]),
            energy.show(row["energy_per_inference_j"]),
            f"{row['stored_bits_per_weight']:.3g}",
        ]
        for mark, row in members
    ]
    audit = f"; {found['misjudged']} of {found['audited']} ruled out by prediction and measured were good"
    caption = (
        f"{found['screened']:,} designs priced, {found['measured']} measured on {found['maps_drawn']:,} fault maps"
        f"{_passes(found)}"
        f"{audit if found['audited'] else ''}; * the answer; chips: 95 % interval of those that keep "
        f"{percent(found['keep'])} %; bound: error-free planes"
    )
    least = "At most" if read.lower else "At least"
    heads = [
        "",
        "Design",
        f"{read.title}{read.per}",
        least,
        "Chips (%)",
        f"Area ({area.unit})",
        f"Energy ({energy.unit})",
    ]
    return table([*heads, "Bits"], rows, caption=caption)


def _passes(found: Row) -> str:
    """How many images an early answer took."""
    if found.get("early") is None:
        return ""
    return f" and {found['image_evaluations']:,} images of {found['image_evaluations_of']:,}"


def layers_table(found: Row) -> Table:
    """Layers with flips in each alone, the one that costs most first, beside the prediction."""
    read = measure_named(found["metric"])
    rows = [
        [
            row["name"],
            f"{row['weights']:,}",
            f"{row['flips']:.4g}",
            read.show(row["score_mean"]),
            read.between(row["ci95_low"], row["ci95_high"]),
            row["maps"],
            number(row["predicted"]),
        ]
        for row in found["layers"]
    ]
    whole, per = found["together"], read.suffix
    ends = read.between(whole["ci95_low"], whole["ci95_high"])
    caption = (
        f"without a flip {read.show(found['quantised_accuracy'])}{per}; flips in all layers "
        f"{read.show(whole['score_mean'])}{per} ({ends}), {whole['maps']} maps; "
        "predicted: output distortion to first order, squared logits"
    )
    heads = ["Layer", "Weights", "Flips", f"{read.title}{read.per}", f"95 % CI{read.per}", "Maps", "Predicted"]
    return table(heads, rows, caption=caption)


def tensors_in_short(rows: Iterable[Row]) -> list[str]:
    """Tensors of one kind in a line each, layers that are numbered alike together: ``h.*.fc.weight (12, matrix)``."""
    counted: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        counted.setdefault((re.sub(r"(?<=\.)\d+(?=\.)", "*", row["name"]), row["what"]), []).append(row["name"])
    return [
        f"{plain(name if len(names) > 1 else names[0], 100)} ({f'{len(names)}, ' if len(names) > 1 else ''}{what})"
        for (name, what), names in counted.items()
    ]


def stream_damage(found: Row) -> str:
    """How far a streamed model's weights are off, in a line; what that does to outputs only a run tells."""
    parts = [found["relative_error"], found["expected_relative_error"]]
    if None in parts:
        return "all stored weights are zero"
    return (
        f"weights as read are off by {percent(parts[0])} % of their root mean square ({percent(parts[1])} % expected); "
        "no network is run, so its score is not known"
    )


def stream_cost(found: Row) -> str:
    """What a streamed model's memory costs, in a line: area and energy with their bands, latency, refresh."""
    area, joules = scale([found["area_m2"]], "m2"), scale([found["energy_per_inference_j"]], "J")
    seconds, whole = scale([found["read_latency_s"]], "s"), found["read_all_s"]
    every = scale([whole or 0.0], "s")
    once = "without time for it beside refresh" if whole is None else f"in {every.show(whole)} {every.unit}"
    return (
        f"{area.show(found['area_m2'])} {area.unit} ({area.show(found['area_low_m2'])} to "
        f"{area.show(found['area_high_m2'])}); "
        f"{joules.show(found['energy_per_inference_j'])} {joules.unit} ({joules.show(found['energy_low_j'])} to "
        f"{joules.show(found['energy_high_j'])}) an inference that reads every stored weight once, such as a token, "
        f"{once}; "
        f"{seconds.show(found['read_latency_s'])} {seconds.unit} a read; "
        f"refresh takes {percent(found['refresh_bandwidth_share'])} % of a bank's time"
    )


def tensors_table(found: Row) -> Table:
    """Every parameter of a network, and whether it lives in the memory."""
    rows = []
    for row in found["tensors"]:
        shape = " x ".join(map(str, row["shape"]))
        where = f"{row['bits']:,} bits" if row["stored"] else "no, exact"
        rows.append([row["name"], row["kind"], shape, f"{row['values']:,}", where, row["why"]])
    stored, exact = (f"{found[key]:,}" for key in ("stored_values", "exact_values"))
    caption = f"stored: {stored} values; exact, beside the memory: {exact}"
    return table(["Tensor", "Kind", "Shape", "Values", "Stored", "Why"], rows, caption=caption)


def price_table(found: Row) -> Table:
    """A memory without a network: its size, and what it costs with the ends of the bands."""
    area, joules = scale([found["area_m2"]], "m2"), scale([found["energy_per_inference_j"]], "J")
    seconds = scale([found["read_latency_s"]], "s")
    watts = scale([found["access"][name] for name in ("refresh_w", "leakage_w")], "W")

    def banded(name: str, low: str, high: str, unit: Any) -> tuple[str, str, str]:
        return unit.show(found[name]), f"{unit.show(found[low])} to {unit.show(found[high])}", unit.unit

    rows = [
        ("Weights", f"{found['weights']:,}", f"{found['layers']} layers" if found["layers"] else "read once", ""),
        ("Stored bits per weight", f"{found['stored_bits_per_weight']:.4g}", "", ""),
        ("Parity bits", percent(found["parity_bits_fraction"]), "", "%"),
        ("Area", *banded("area_m2", "area_low_m2", "area_high_m2", area)),
        ("Energy / inference", *banded("energy_per_inference_j", "energy_low_j", "energy_high_j", joules)),
        ("Read latency", *banded("read_latency_s", "read_latency_low_s", "read_latency_high_s", seconds)),
        ("Refresh power", watts.show(found["access"]["refresh_w"]), "", watts.unit),
        ("Leakage", watts.show(found["access"]["leakage_w"]), "", watts.unit),
        ("Refresh of a bank's time", percent(found["refresh_bandwidth_share"]), "", "%"),
    ]
    return table(["", "Value", "Band", "Unit"], rows)
