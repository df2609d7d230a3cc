"""What was written of a study and what was set over it: where each value is from, and the study as a file again."""

from __future__ import annotations

import yaml

from qtaml_hw.config.reading.document import Origin, nest
from qtaml_hw.config.reading.yaml_strict import dotted
from qtaml_hw.config.study import Study


def stated(study: Study) -> dict[str, Origin]:
    """Where every value is from that is no default, by dotted field; those of plane classes aside."""
    origins = {path: leaf.origin for path, leaf in study._layer.items() if path[0] not in ("sweep", "space")}
    return {dotted(path): origin for path, origin in origins.items() if origin.kind != "default"}


def study_text(study: Study) -> str:
    """The study's one point as YAML: reading it in the same folder gives an equal identity."""
    kept = {
        path: leaf
        for path, leaf in study._layer.items()
        if path[0] not in ("sweep", "space") and leaf.origin.kind in ("file", "set", "sweep")
    }
    return yaml.safe_dump(nest(kept), sort_keys=False, allow_unicode=True, width=110)
