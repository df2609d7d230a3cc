"""What must hold between the sections of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from qtaml_hw.config.reading.curves import axis_complaint
from qtaml_hw.config.reading.document import Layer, locate
from qtaml_hw.config.reading.problems import Problem
from qtaml_hw.config.reading.yaml_strict import Path, dotted
from qtaml_hw.limits import arrivals, horizon_complaint, refresh_passes, ticks
from qtaml_hw.names import (
    BOUNDS,
    CELLS,
    CHANNEL_FORMATS,
    FILE_FORMAT,
    IN_PLACE,
    INTEGER_FORMATS,
    PLANES,
    POLICIES,
    SHARES_OF_IMAGES,
    THROUGH_CODES,
    stated_step,
)
from qtaml_hw.units import show

Finding = tuple[Path, Path, str]
"""The field that is wrong, where that is shown, and what is wrong."""


def _refresh_of_static_cell(sections: Mapping[str, Any]) -> Finding | None:
    cell, refresh = sections["cell"], sections["refresh"]
    if not CELLS[cell.kind].static or not refresh.on:
        return None
    path = ("refresh", "interval")
    return path, path, f"a {cell.kind} cell holds its state and is not refreshed; write 'refresh: off'"


def _decay_without_time(sections: Mapping[str, Any]) -> Finding | None:
    cell, refresh, flips, evaluate = (sections[name] for name in ("cell", "refresh", "flips", "evaluate"))
    if refresh.on or CELLS[cell.kind].static or flips.law == "fixed" or "at_s" in evaluate.model_fields_set:
        return None
    message = (
        f"without refresh a {cell.kind} cell decays from the write on, so the result is set by when it is read; "
        "state the times, such as 'at: [10 us, 100 us]'"
    )
    return ("evaluate", "at"), ("refresh", "interval"), message


def _runtime_without_gradients(sections: Mapping[str, Any]) -> Finding | None:
    network, protection, path = sections["network"], sections["protection"], ("evaluate", "runtime")
    if sections["evaluate"].runtime == "torch":
        return None
    if network.file is None or not network.file.endswith(".onnx"):
        return path, path, "onnxruntime runs .onnx files: name one by 'network: {file: net.onnx}'"
    free = [name for name, row in POLICIES.items() if row.needs not in ("calibration", "plan")]
    if protection.policy not in free:
        message = f"onnxruntime gives no gradients, which the policy {protection.policy} needs"
        return path, path, f"{message}; policies without are {', '.join(free)}"
    if protection.correction != "none":
        return path, path, "onnxruntime gives no gradients, which corrections look at: write 'correction: none'"
    if sections["weights"].rounding != "nearest":
        return path, path, "onnxruntime shows no layers, which this rounding looks at: write 'rounding: nearest'"
    if sections["evaluate"].compile != "exact":
        return ("evaluate", "compile"), path, "onnxruntime fuses by itself: write 'compile: exact', or nothing"
    return None


def _array_holds_no_row(sections: Mapping[str, Any]) -> Finding | None:
    array = sections["array"]
    if array.capacity_bits is None or array.capacity_bits >= array.banks * array.row_bits:
        return None
    smallest = array.banks * array.row_bits
    path = ("array", "capacity")
    return path, path, f"capacity is less than one row in each bank ({smallest} bit = banks x row_bits)"


def _classes_of_refresh(sections: Mapping[str, Any]) -> Finding | None:
    interval_s, array, form = sections["refresh"].interval_s, sections["array"], sections["weights"].format
    classes = PLANES[form] if array.classes is None else array.classes
    if not isinstance(interval_s, tuple) or len(interval_s) == classes:
        return None
    given = len(interval_s)
    path = ("refresh", "interval")
    message = f"{given} intervals are given, one per row class; array has {classes}: "
    if array.classes is None:
        return path, path, f"{message}one for each of the {classes} planes of {form}; plane_class puts planes together"
    if classes == 1:
        return path, path, f"{message}write 'placement: plane_separated' and plane_class, or one interval"
    return path, path, f"{message}plane_class names classes 0 to {classes - 1}"


def _class_of_every_plane(sections: Mapping[str, Any]) -> Finding | None:
    named, form = sections["array"].plane_class, sections["weights"].format
    if named is None or len(named) == PLANES[form]:
        return None
    path = ("array", "plane_class")
    return path, path, f"plane_class names {len(named)} planes, the weights have {PLANES[form]} ({form})"


def _planes_of_the_format(sections: Mapping[str, Any]) -> Finding | None:
    planes, form = sections["protection"].planes, sections["weights"].format
    if planes is None or planes <= PLANES[form]:
        return None
    path = ("protection", "planes")
    most = PLANES[form]
    return path, path, f"{planes} planes are to be protected; a weight of {form} has {most}: write 0 to {most}"


def _binned_without_weak_cells(sections: Mapping[str, Any]) -> Finding | None:
    law = sections["flips"].law
    if sections["refresh"].retention_aware is None or sections["flips"].same_cells:
        return None
    path = ("refresh", "retention_aware")
    return path, path, f"rows are binned by their weakest cell, and under the law {law} no cell is weaker than another"


def _phases_after_the_last_reading(sections: Mapping[str, Any]) -> Finding | None:
    last_s, timeline = sections["evaluate"].at_s[-1], sections["timeline"]
    for index, phase in enumerate(timeline.phases):
        if phase.end_s > last_s:
            message = (
                f"the phase {phase.name} ends at {show(phase.end_s, 'time', 6)}, after the last read-out of "
                f"evaluate.at at {show(last_s, 'time', 6)}, where the simulated time ends"
            )
            return ("timeline", "phases", index, "to"), ("timeline", "phases", index, "to"), message
    late = next((t for t in timeline.updates_s if t > last_s), None)
    if late is None:
        return None
    path = ("timeline", "updates")
    message = f"{show(late, 'time', 6)} is after the last read-out of evaluate.at at {show(last_s, 'time', 6)}"
    return path, path, message


def _read_without_power(sections: Mapping[str, Any]) -> Finding | None:
    for phase in sections["timeline"].phases:
        dark = [t for t in sections["evaluate"].at_s if phase.start_s <= t < phase.end_s and not phase.powered]
        if dark:
            path = ("evaluate", "at")
            return path, path, f"at {show(dark[0], 'time', 6)} the memory has no power (phase {phase.name})"
    return None


def _commands_of_the_horizon(sections: Mapping[str, Any]) -> Finding | None:
    """What is certain without a network: every inference is one read at least."""
    array, refresh, last_s = sections["array"], sections["refresh"], sections["evaluate"].at_s[-1]
    intervals_s = refresh.intervals_s
    if len(intervals_s) == 1:
        intervals_s *= PLANES[sections["weights"].format] if array.classes is None else array.classes
    protection = sections["protection"]
    scrubbed = protection.row.protects and not set(protection.menu) <= set(BOUNDS)
    complaint = horizon_complaint(
        last_s,
        {
            "refresh": refresh_passes(last_s, intervals_s, array.banks, refresh.mode == "staggered"),
            "scrub": array.banks * ticks(last_s, sections["scrub"].interval_s) * scrubbed,
            "reads": arrivals(last_s, sections["accelerator"].inferences_per_second),
        },
    )
    path = ("evaluate", "at")
    return None if complaint is None else (path, path, complaint)


def _conditions_of_timeless_cells(sections: Mapping[str, Any]) -> Finding | None:
    cell, flips = sections["cell"], sections["flips"]
    changed = [i for i, phase in enumerate(sections["timeline"].phases) if phase.changes_cell]
    if not changed or (not CELLS[cell.kind].static and flips.law != "fixed"):
        return None
    path = ("timeline", "phases", changed[0])
    what = "flips.law is fixed" if flips.law == "fixed" else f"a {cell.kind} cell is weak from the start, or never"
    return path, path, f"temperature and v_dd of a phase change retention times, and there are none: {what}"


def _texts_and_encoders(sections: Mapping[str, Any]) -> Finding | None:
    network, data = sections["network"], sections["data"]
    if data.texts is not None and network.encoder is None and network.language is None:
        path = ("data", "texts")
        return path, path, "texts are for an encoder or a language model, whose tokenizer reads them: name its folder"
    if network.language is not None and data.texts is None and data.factory is None:
        path = ("network", "gguf" if network.gguf else "folder")
        message = "a language model reads texts: write 'data: {texts: dataset-descriptions}', or a .txt file"
        return path, path, message
    if network.encoder is not None and data.texts is None and data.factory is None:
        path = ("network", "encoder")
        message = "an encoder reads texts: write 'data: {texts: sentences}', a .txt file, or a factory of token numbers"
        return path, path, message
    return None


def _law_of_the_cell(sections: Mapping[str, Any]) -> Finding | None:
    cell, flips = sections["cell"], sections["flips"]
    static, points = CELLS[cell.kind].static, flips.points
    if flips.law == "voltage" and not static:
        message = f"the law voltage is that of cells that hold their state, such as sram6t; a {cell.kind} loses charge"
        return ("flips", "law"), ("flips", "law"), message
    complaint = None if flips.law != "curve" or points is None else axis_complaint(points.axis, cell.kind)
    return None if complaint is None else (("flips", "points"), ("flips", "points"), complaint)


def _thicker_oxide_than_measured(sections: Mapping[str, Any]) -> Finding | None:
    law, protection = sections["flips"].law, sections["protection"]
    if law not in ("curve", "voltage") or "menu" in protection.row.unused or "robust-cell" not in protection.menu:
        return None
    path = ("protection", "menu")
    return path, path, f"robust-cell has a thicker oxide, and the law {law} says nothing of how such cells fail"


def _structure_of_words(sections: Mapping[str, Any]) -> Finding | None:
    flips, protection = sections["flips"], sections["protection"]
    if not flips.structured or not protection.row.protects or set(protection.menu) <= set(BOUNDS):
        return None
    path = ("flips", "structure")
    message = "bits of ECC words and hardened cells fail one by one: write 'policy: none' or 'menu: [ideal]'"
    return path, path, message


def _bits_chosen_of_what_has_them(sections: Mapping[str, Any]) -> Finding | None:
    protection, weights = sections["protection"], sections["weights"]
    if not protection.chooses_bits:
        return None
    if weights.format == FILE_FORMAT:
        path: Path = ("weights", "format")
        message = (
            f"the policy {protection.policy} rounds weights anew, in bits and steps of its own choice, and format file "
            "keeps the codes that the file brings: name an integer format, or protect these codes by tac"
        )
        return path, path, message
    if weights.format not in INTEGER_FORMATS or weights.encoding not in ("twos_complement", "offset_binary"):
        path = ("weights", "format")
        said = f"{weights.format} in {weights.encoding}"
        message = f"the bits of a weight are chosen for integers in two's complement or offset binary; got {said}"
        return path, path, message
    if stated_step(weights.scale) is not None:
        path = ("weights", "scale")
        return path, path, f"{weights.scale} states one step, and weights whose bits are chosen need their own"
    if weights.ruled:
        path = ("weights", "format")
        return path, path, "rules of invert_planes and in_place are for weights of fixed bits; the policy chooses them"
    if "invert_planes" in weights.transforms:
        path = ("weights", "transforms")
        return path, path, "invert_planes chooses among final codes, and the policy chooses the codes themselves"
    return None


def _codes_made_for_the_channel(sections: Mapping[str, Any]) -> Finding | None:
    weights, protection, hardening = (sections[name] for name in ("weights", "protection", "hardening"))
    if weights.format not in CHANNEL_FORMATS:
        return None
    if protection.correction not in ("none", "auto"):
        path = ("protection", "correction")
        return path, path, f"{weights.format} is decoded to what was meant already; write 'correction: none'"
    if hardening.method in THROUGH_CODES:
        path = ("hardening", "method")
        return (
            path,
            path,
            f"{hardening.method} trains through codes; those of {weights.format} are chosen last",
        )
    return None


def _code_inside_the_weights(sections: Mapping[str, Any]) -> Finding | None:
    protection, weights = sections["protection"], sections["weights"]
    inside = [name for name in protection.menu if name in IN_PLACE]
    if not inside or "menu" in protection.row.unused:
        return None
    path: Path = ("protection", "menu")
    if weights.within != inside[0]:
        return (
            path,
            path,
            f"{inside[0]} lies inside the weights, which must keep room: write 'weights.within: {inside[0]}'",
        )
    if protection.policy != "uniform" or protection.planes != PLANES[weights.format] or len(protection.menu) > 1:
        return path, path, f"{inside[0]} takes whole weights: write 'policy: uniform, planes: 8', and no other entry"
    return None


def _early_verdicts_of_images(sections: Mapping[str, Any]) -> Finding | None:
    evaluate, path = sections["evaluate"], ("evaluate", "verdicts")
    if evaluate.verdicts != "early" or ":" in evaluate.metric or evaluate.metric in SHARES_OF_IMAGES:
        return None
    counting = ", ".join(SHARES_OF_IMAGES)
    return path, path, f"early counts images, and {evaluate.metric} counts none: write 'verdicts: whole', or {counting}"


CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Finding | None]], ...]] = (
    (("cell", "refresh"), _refresh_of_static_cell),
    (("cell", "refresh", "flips", "evaluate"), _decay_without_time),
    (("array",), _array_holds_no_row),
    (("network", "evaluate", "protection", "weights"), _runtime_without_gradients),
    (("array", "refresh", "weights"), _classes_of_refresh),
    (("array", "weights"), _class_of_every_plane),
    (("protection", "weights"), _planes_of_the_format),
    (("refresh", "flips"), _binned_without_weak_cells),
    (("timeline", "evaluate"), _phases_after_the_last_reading),
    (("timeline", "evaluate"), _read_without_power),
    (("array", "refresh", "scrub", "accelerator", "weights", "protection", "evaluate"), _commands_of_the_horizon),
    (("timeline", "cell", "flips"), _conditions_of_timeless_cells),
    (("network", "data"), _texts_and_encoders),
    (("evaluate",), _early_verdicts_of_images),
    (("flips", "protection"), _structure_of_words),
    (("weights", "protection", "hardening"), _codes_made_for_the_channel),
    (("protection", "weights"), _code_inside_the_weights),
    (("protection", "weights"), _bits_chosen_of_what_has_them),
    (("cell", "flips"), _law_of_the_cell),
    (("flips", "protection"), _thicker_oxide_than_measured),
)
"""(sections that must be valid, check)."""


def between(sections: Mapping[str, Any], layer: Layer) -> list[Problem]:
    """What does not hold between sections that are valid each."""
    problems: list[Problem] = []
    for needed, check in CHECKS:
        finding = check(sections) if all(name in sections for name in needed) else None
        if finding is not None:
            path, place, message = finding
            problems.append(dataclasses.replace(locate(layer, place), path=dotted(path), message=message))
    return problems
