"""The bench as widgets in a notebook; needs ipywidgets (``pip install 'qtaml-hw[notebook]'``)."""

from __future__ import annotations

import html
from collections.abc import Mapping
from math import log10
from typing import Any

from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.explore.bench import Bench, bench
from qtaml_hw.explore.controls import AS_SAID, CODE, PLANE_COUNT


@takes_study
def explore(study: Study) -> Any:
    """Sliders over a study, with closed forms that follow them; "measure" adds a point of fault maps with its interval.

    Returns a widget whose ``bench`` is the bench under it (``.measured``, ``.text(places)``).

    Raises InputError without ipywidgets, or when the network cannot be loaded.
    """
    try:
        import ipywidgets
    except ImportError as error:
        raise InputError(
            "q.explore draws ipywidgets, which are not installed: pip install 'qtaml-hw[notebook]'; "
            "`qtaml-hw explore FILE` opens the same as a page"
        ) from error
    made = bench(study)
    made.learn()
    inputs = _inputs(ipywidgets, made)
    figures, measured = ipywidgets.HTML(), ipywidgets.HTML()
    button = ipywidgets.Button(description="Measure this")

    def places() -> dict[str, Any]:
        return {path: widget.value for path, widget in inputs.items()}

    def show(_: object = None) -> None:
        figures.value = _figures_html(made.known(places()))

    def measure(_: object = None) -> None:
        try:
            made.measure(places())
        except InputError as error:
            measured.value = f"<p>{html.escape(str(error))}</p>"
            return
        measured.value = _measured_html(made)

    for widget in inputs.values():
        widget.observe(show, names="value")
    button.on_click(measure)
    show()
    left = ipywidgets.VBox([*inputs.values(), button])
    view = ipywidgets.VBox([ipywidgets.HBox([left, figures]), measured])
    view.bench = made
    return view


def _inputs(ipywidgets: Any, made: Bench) -> dict[str, Any]:
    """A widget for every control."""
    wide = {"style": {"description_width": "12em"}, "layout": {"width": "34em"}}
    inputs = {}
    for slider in made.controls.sliders:
        common = {"value": slider.value, "description": f"{slider.title} ({slider.unit})", **wide}
        if slider.log:
            ends = {"min": log10(slider.low), "max": log10(slider.high), "step": 0.01}
            inputs[slider.path] = ipywidgets.FloatLogSlider(**ends, readout_format=".4g", **common)
        else:
            step = (slider.high - slider.low) / 400
            inputs[slider.path] = ipywidgets.FloatSlider(
                min=slider.low, max=slider.high, step=step, readout_format=".4g", **common
            )
    codes = [AS_SAID, *made.controls.codes]
    inputs[CODE] = ipywidgets.Dropdown(options=codes, value=AS_SAID, description="Code", **wide)
    inputs[PLANE_COUNT] = ipywidgets.IntSlider(
        min=0, max=made.controls.planes, value=1, description="Protected planes", **wide
    )
    return inputs


def _figures_html(known: Mapping[str, Any]) -> str:
    if known["error"]:
        return f"<p><b>{html.escape(known['error'])}</b></p>"
    rows = (
        f"<tr><td>{html.escape(row['title'])}</td>"
        f"<td><b>{html.escape(row['value'])} {html.escape(row['unit'])}</b></td>"
        f"<td>{html.escape(row['note'])}</td></tr>"
        for row in known["figures"]
    )
    return f"<table>{''.join(rows)}</table><p>closed form in {known['milliseconds']} ms</p>"


def _measured_html(made: Bench) -> str:
    rows = []
    for point in made.measured:
        interval = "" if point["low"] is None else f"{point['low']:.1f} to {point['high']:.1f}"
        cells = (point["label"], f"{point['score']:.1f}", interval, str(point["maps"]))
        rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    head = "<tr><th>Measured</th><th>Score (%)</th><th>95 % interval (%)</th><th>Maps</th></tr>"
    return f"<table>{head}{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
