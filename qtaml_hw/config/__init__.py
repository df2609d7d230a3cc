"""What a study is: sections in SI, strict YAML, presets, sweeps. Imports nothing of the package but the units."""

from __future__ import annotations

from qtaml_hw.config.given import takes_study
from qtaml_hw.config.load import load_study, parse_study
from qtaml_hw.config.reading.document import Origin
from qtaml_hw.config.reading.problems import Problem, StudyError
from qtaml_hw.config.schema import json_schema
from qtaml_hw.config.study import RESULTS_VERSION, Point, Study

__all__ = [
    "RESULTS_VERSION",
    "Origin",
    "Point",
    "Problem",
    "Study",
    "StudyError",
    "json_schema",
    "load_study",
    "parse_study",
    "takes_study",
]
