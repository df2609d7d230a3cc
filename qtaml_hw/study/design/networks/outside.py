"""What a network, its data and a metric depend on that stands outside of the study file: files, and a user's own code.

Weights and arrays as loaded do not tell all: an activation, a stride or a graph leaves them as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from qtaml_hw import usercode
from qtaml_hw.config import Study
from qtaml_hw.config.outside import files, functions
from qtaml_hw.files import content_digest

_READ_IN_FOLDERS = (".json", ".safetensors", ".txt")


def outside_files(study: Study) -> dict[str, Path]:
    """Every file of the network and the data that the study names, by its name; of a folder all that may be read."""
    return {name: path for name, path in _named(study) if os.path.isfile(path)}


def outside_digest(study: Study) -> str:
    """SHA-256 (hex) of every file and of the source of every function; empty where a study names none."""
    content = {name: content_digest(path) for name, path in outside_files(study).items()}
    for _, function in functions(study):
        try:
            sources = usercode.sources(usercode.find(function, study.folder, study.allow_code), study.folder)
        except ValueError:  # said where the function is loaded
            continue
        content |= {f"{function} {name}": content_digest(path) for name, path in sources.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() if content else ""


def _named(study: Study) -> Iterator[tuple[str, Path]]:
    for path, value in files(study):
        if path.startswith(("protection.", "flips.", "array.")):
            continue  # of a design, not of its network: ``identity_of`` adds it
        place = study.folder.absolute() / value
        if not os.path.isdir(place):
            yield path, place
            continue
        for file in sorted(place.rglob("*")):
            inside = file.relative_to(place)
            if file.suffix in _READ_IN_FOLDERS and not any(part.startswith(".") for part in inside.parts):
                yield f"{path}/{inside.as_posix()}", file
