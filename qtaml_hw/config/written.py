"""A study as a file again: what was written and what was set over it, presets and defaults left to be found anew."""

from __future__ import annotations

import yaml

from qtaml_hw.config.reading.document import nest
from qtaml_hw.config.study import Study


def study_text(study: Study) -> str:
    """The study's one point as YAML: reading it in the same folder gives an equal identity."""
    kept = {
        path: leaf
        for path, leaf in study._layer.items()
        if path[0] not in ("sweep", "space") and leaf.origin.kind in ("file", "set", "sweep")
    }
    return yaml.safe_dump(nest(kept), sort_keys=False, allow_unicode=True, width=110)
