"""What is known of a point before any fault map is drawn: flip probabilities, predicted distortion, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtaml_hw.config import Study
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.task import reason


@dataclass(frozen=True, eq=False)
class Prediction:
    """The facts of a point in closed form, or why it cannot be."""

    facts: Mapping[str, Any]
    error: str | None = None


def predict(study: Study, networks: Networks) -> Prediction:
    """Everything of a record that no fault map decides; the correction of decoded weights is left out of it."""
    try:
        bare = study.with_({"protection.correction": "none"})
        return Prediction(prepare(bare, networks).facts)
    except ValueError as error:
        return Prediction({}, reason(error))
