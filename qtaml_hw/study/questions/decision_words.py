"""A decision in plain words, from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtaml_hw.records.measure import measure_named
from qtaml_hw.records.text import count, percent
from qtaml_hw.units import show

Row = Mapping[str, Any]


def sentence(found: Row) -> str:
    """The design with its margin and what binds; without one, what fails and the nearest design."""
    answer = found["answer"]
    if answer is None:
        return _nothing(found)
    return (
        f"The cheapest of {count(found['screened'], 'design')} that keeps {_wanted(found, answer)} is {_told(answer)}, "
        + (f"{_shown(found, answer)}. {_binds(found, answer['binds'])}")
    )


def _wanted(found: Row, row: Row) -> str:
    read, share = measure_named(row.get("metric")), f"{100 * found['keep']:.4g} %"
    kept = f"{share} of the clean accuracy of {percent(row['clean_accuracy'])} %"
    if read.logarithmic:
        kept = f"{share} of the clean score, whose {_named(row)} is {read.show(row['clean_accuracy'])}"
    return kept if found["yield"] is None else f"{kept} on {100 * found['yield']:g} % of the chips"


def _told(row: Row) -> str:
    area, energy = show(row["area_m2"], "area"), show(row["energy_per_inference_j"], "energy")
    return (
        f"{row['label']}: {area} and {energy} per inference, {row['stored_bits_per_weight']:.3g} stored bits per weight"
    )


def _shown(found: Row, row: Row) -> str:
    """What the verdict stands on."""
    maps = count(row["maps"], "fault map")
    if found["yield"] is not None:
        least = (
            f"{row['good']} of {maps} keep it, with 95 % confidence at least {percent(row['yield_ci95_low'])} % of all"
        )
        return f"{least} chips, {percent(abs(row['margin']))} points {_side(row)} what is asked for"
    read = measure_named(row.get("metric"))
    said = f"at {_value(row)} (95 % interval {read.between(row['score_ci95_low'], row['score_ci95_high'])}, {maps})"
    if read.logarithmic:
        side = "within" if row["margin"] >= 0.0 else "beyond"
        return f"{said}, whose {read.worse} end is {side} the {_named(row)} of {read.show(row['target'])} to keep"
    return (
        f"{said}, whose lower end is {percent(abs(row['margin']))} points {_side(row)} the {percent(row['target'])} % "
        "to keep"
    )


def _named(row: Row) -> str:
    return measure_named(row.get("metric")).title.lower()


def _value(row: Row) -> str:
    read = measure_named(row.get("metric"))
    return f"{read.show(row['score_mean'])}{read.suffix}"


def _side(row: Row) -> str:
    return "above" if row["margin"] >= 0.0 else "below"


def _binds(found: Row, near: Row | None) -> str:
    if near is None:
        return "Nothing in this space is cheaper: widen it to go on."
    chips = (
        "" if found["yield"] is None else f", and {percent(near['yield'])} % of {count(near['maps'], 'chip')} keep it"
    )
    read = measure_named(near.get("metric"))
    side = "to" if read.lower else "from"
    return (
        f"The {_named(near)} binds: {near['label']} would be cheaper, and has {_value(near)} "
        f"(95 % interval {side} {read.show(near['score_ci95_low'])}{read.suffix}, {count(near['maps'], 'map')}){chips}."
    )


def _nothing(found: Row) -> str:
    near = found["nearest"]
    if near is None:
        why = "; ".join(f"{why} ({count(many, 'design')})" for why, many in list(found["refused"].items())[:3])
        return f"No design of this space can be built{f': {why}' if why else ''}."
    return (
        f"No design of {found['screened']:,} keeps {_wanted(found, near)}: the {_named(near)} fails. The nearest is "
        f"{_told(near)}, {_shown(found, near)}."
    )
