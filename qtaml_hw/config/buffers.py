"""Buffers checked: the own fields of each, and the study as it would be with its weights in the buffer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from qtaml_hw.config.explain import Context, explain
from qtaml_hw.config.reading.beside import BUFFERS, Beside
from qtaml_hw.config.reading.fields import FieldSpec
from qtaml_hw.config.reading.layers import Document
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.sections.buffers import OWN, PARTS, BufferOwnSection, BufferSection
from qtaml_hw.config.sections.evaluate import EvaluateSection
from qtaml_hw.config.sections.protection import ProtectionSection
from qtaml_hw.errors import unknown
from qtaml_hw.names import PLANES

_Study = TypeVar("_Study")
WEIGHTS: Final = "weights"
_SHARED_SCORES: Final = ("jacobian", "fisher")
"""Scores that are distortions of the outputs by one flip, of weights and values alike."""
_NOWHERE_ELSE: Final = "what was just computed lies nowhere else: a flagged word reads as it is (raw), or as zero"
_ALL_AT_ONCE: Final = "early: values in buffers are drawn for all images at once: write 'verdicts: whole'"
_OF_WEIGHTS: Final[tuple[tuple[str, str, tuple[Any, ...], str], ...]] = (
    ("refresh", "ecc_aware", (None, False), "words of values are corrected where they are read, by no refresh"),
    ("refresh", "retention_aware", (None,), "rows that one value after another lies on are not sorted by weak cells"),
    ("refresh", "mode", (None, "burst"), "refreshes of a buffer are counted as values live, not laid out over time"),
    (
        "array",
        "interleave",
        (None, "block"),
        "values lie one behind the other in a buffer, whose banks are runs of words",
    ),
    ("array", "on_uncorrectable", (None, "raw", "zero"), _NOWHERE_ELSE),
    ("protection", "group", (None, "layer"), "planes of a buffer are chosen by value: leave out group"),
    ("protection", "correction", (None, "auto", "none"), "means of values are not corrected: leave out correction"),
    ("protection", "score", (None, "jacobian"), "what a value is worth is its jacobian: leave out score"),
    ("protection", "output", (None, "logits"), "what a value is worth is the distortion of logits: leave out output"),
)
"""(section, field, values that a buffer takes, why no others)."""


def checked(
    beside: Beside, build: Callable[[Document], _Study], fields: dict[str, FieldSpec]
) -> tuple[list[tuple[BufferSection, _Study]], list[Problem]]:
    """The buffers that are right, each with the study of its cells, and what is wrong with the others."""
    found, problems = [], list(beside.problems)
    for index, item in enumerate(beside.items):
        if not isinstance(item, dict):
            text = "a buffer is a mapping, such as {name: kv, contents: [kv], format: int8, refresh: {interval: 40 us}}"
            problems.append(dataclasses.replace(beside.at(index), message=text))
            continue
        own, wrong = _own(beside, index, fields)
        inner: Any = None
        try:
            inner = build(beside.document(index, PARTS))
        except StudyError as error:
            of_item = [one for one in error.errors if one.path.split(".")[0].split("[")[0] in item]
            wrong += [beside.told(index, one) for one in of_item or error.errors if "weights.format" not in one.path]
        if inner is not None and inner.protection.chooses_bits:
            place = beside.at(index, "protection")
            wrong.append(dataclasses.replace(place, message="the bits of a value in a buffer are those of its format"))
        wrong += _only_of_weights(beside, index, item)
        if inner is not None and any(one.study.flips.structured for one in inner.classes):
            wrong.append(_structured(beside, index, item))
        if own is not None and inner is not None and not wrong:
            parts = {name: getattr(inner, name) for name in PARTS}
            given = own.model_fields_set | set(PARTS)
            section = BufferSection.model_construct(given, **dict(own), **parts)
            wrong += _other_refresh(beside, index, section, _row_classes(inner))
            found.append((section, inner))
        problems += wrong
    return found, problems + _twice(beside)


def without_values(beside: Beside, evaluate: EvaluateSection) -> list[Problem]:
    """What is wrong with buffers where a network is run without the values between its layers."""
    if beside.leaf is None:
        return []
    return [
        dataclasses.replace(
            beside.at(),
            message=f"{value} shows no values between layers, which buffers hold: write 'evaluate.{name}: {instead}', "
            "or no buffers",
        )
        for name, instead in (("runtime", "torch"), ("compile", "exact"))
        if (value := getattr(evaluate, name)) != instead
    ]


def shares(protection: ProtectionSection) -> bool:
    """Whether a protection spends the budget of the weights."""
    return protection.budget is not None and protection.budget.kind == "shared"


def memories_read(faulty: Sequence[str], buffers: Sequence[str]) -> frozenset[str]:
    """The memories that ``evaluate.faulty`` means: weights, and names of buffers.  Raises ValueError for another."""
    known = {WEIGHTS: [WEIGHTS], BUFFERS: buffers, **{f"{BUFFERS}.{name}": [name] for name in buffers}}
    for name in faulty:
        if name not in known:
            raise ValueError(unknown("memory", name, known))
    return frozenset(one for name in faulty for one in known[name])


def refuse(
    beside: Beside,
    own: Sequence[BufferSection],
    weights: ProtectionSection,
    evaluate: EvaluateSection,
    at: Callable[[tuple[str, ...]], Problem],
) -> None:
    """Nothing.  Raises StudyError where buffers cannot spend the weights' budget, flips are read of no memory, or
    verdicts are told from some of the images that values are drawn for together.

    ``at`` : the place of a field of the study.
    """
    found = _unshared(beside, [one.protection for one in own], weights, at(("protection", "budget")))
    try:
        memories_read(evaluate.faulty, [one.name for one in own])
    except ValueError as error:
        found.append(dataclasses.replace(at(("evaluate", "faulty")), message=str(error)))
    if own and evaluate.verdicts == "early":
        place = at(("evaluate", "verdicts"))
        found.append(dataclasses.replace(place, path="evaluate.verdicts", message=_ALL_AT_ONCE))
    if found:
        raise StudyError(found)


def _unshared(
    beside: Beside, own: Sequence[ProtectionSection], weights: ProtectionSection, at_weights: Problem
) -> list[Problem]:
    """Why buffers cannot spend the weights' budget, which stands at ``at_weights``."""
    found = []
    if shares(weights):
        text = "a buffer spends the weights' budget by 'budget: shared', and they state it, as in 'budget: {bits: 5 %}'"
        found.append(dataclasses.replace(at_weights, message=text))
    for number, one in enumerate(own):
        if shares(one) and one.policy != "tac":
            text = f"a budget is shared by what flips do: write 'policy: tac'; got {one.policy}"
            found.append(dataclasses.replace(beside.at(number, "protection", "policy"), message=text))
        if shares(one) and (weights.policy != "tac" or weights.score not in _SHARED_SCORES):
            said = weights.policy if weights.policy != "tac" else f"score {weights.score}"
            scores = " or ".join(_SHARED_SCORES)
            text = f"weights share their budget by the policy tac and the score {scores}; theirs is {said}"
            found.append(dataclasses.replace(beside.at(number, "protection", "budget"), message=text))
    return found


def _own(beside: Beside, index: int, fields: dict[str, FieldSpec]) -> tuple[BufferOwnSection | None, list[Problem]]:
    """The fields that are no section of a study."""
    item = beside.items[index]
    wrong = [
        dataclasses.replace(beside.at(index, key), message=unknown("key", key, (*OWN, *PARTS)))
        for key in item
        if key not in (*OWN, *PARTS)
    ]
    raw = {key: value for key, value in item.items() if key in OWN}
    try:
        return BufferOwnSection.model_validate(raw), wrong
    except ValidationError as failure:
        for one in explain(failure, BUFFERS, raw, Context({}, fields, fields)):
            inside = one.path.removeprefix(BUFFERS).lstrip(".").split(".") if one.path != BUFFERS else []
            place = beside.at(index, *inside)
            wrong.append(dataclasses.replace(place, message=one.message))
        return None, wrong


def _only_of_weights(beside: Beside, index: int, item: dict[str, Any]) -> list[Problem]:
    """Values that mean something in the weight memory alone."""
    found = []
    for section, name, taken, why in _OF_WEIGHTS:
        given = item.get(section)
        for place, part in enumerate(given) if isinstance(given, list) else (("", given),):
            if isinstance(part, dict) and part.get(name) not in taken:
                at = beside.at(index, section, *([place] if isinstance(given, list) else []), name)
                found.append(dataclasses.replace(at, message=why))
    return found


def _row_classes(inner: Any) -> int:
    """Classes of rows of a buffer's array, which have intervals of their own."""
    if inner.by_plane:
        return len(inner.classes)
    return inner.array.classes or PLANES[inner.weights.format]


def _other_refresh(beside: Beside, index: int, section: BufferSection, classes: int) -> list[Problem]:
    """Intervals of tokens and partitions that are not one for each class of rows, and banks that there are not."""
    relaxed = section.tokens.relaxed if section.tokens is not None else ()
    partitions = section.partitions or ()
    places = [
        *((("tokens", "relaxed", n, "interval"), one.interval_s) for n, one in enumerate(relaxed)),
        *((("partitions", n, "interval"), one.interval_s) for n, one in enumerate(partitions)),
    ]
    found = [
        dataclasses.replace(
            beside.at(index, *place),
            message=f"{len(given)} intervals are given and the array has {classes} row classes: give one, or {classes}",
        )
        for place, given in places
        if len(given) not in (1, classes)
    ]
    banks = sum(one.banks or 0 for one in partitions)
    if banks > section.array.banks:
        text = f"partitions take {banks} banks, the array has {section.array.banks}"
        found.append(dataclasses.replace(beside.at(index, "partitions"), message=text))
    return found


def _structured(beside: Beside, index: int, item: dict[str, Any]) -> Problem:
    """Of a law whose neighbours fail together, a buffer's own or that of the weights."""
    message = "cells of a buffer fail one by one: flips.structure is of the weight memory alone"
    if "flips" in item:
        return dataclasses.replace(beside.at(index, "flips", "structure"), message=message)
    return dataclasses.replace(beside.at(index), message=f"{message}; give the buffer flips of its own, without one")


def _twice(beside: Beside) -> list[Problem]:
    """Names, and contents, that several buffers have."""
    items = [(n, one) for n, one in enumerate(beside.items) if isinstance(one, dict)]
    problems = []
    named = Counter(str(one.get("name")) for _, one in items)
    listed = [one.get("contents") for _, one in items]
    held = Counter(str(what) for one in listed for what in (one if isinstance(one, list) else [one]))
    for index, one in items:
        if named[str(one.get("name"))] > 1:
            text = f"several buffers are called {one.get('name')}"
            problems.append(dataclasses.replace(beside.at(index, "name"), message=text))
        contents = one.get("contents")
        for what in contents if isinstance(contents, list) else [contents]:
            if held[str(what)] > 1:
                text = f"{what} is held by several buffers; a value lies in one"
                problems.append(dataclasses.replace(beside.at(index, "contents"), message=text))
    return problems
