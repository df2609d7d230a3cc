"""What a result is stored under, and the digests of networks and data that it takes to know that.

The digests stand beside the records, so that a finished sweep is recognised without loading a network: each with what
every file that it depends on is known by (``files.stamp``), and believed only while those are as they were.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from qtaml_hw.config import Study
from qtaml_hw.files import DIGESTS, content_digest, stamp, write_atomically
from qtaml_hw.names import is_code_file
from qtaml_hw.versions import installed

_CODE = ("names.py", "workloads/**/*.py", "weights/**/*.py", "hardening/**/*.py")  # what makes networks and data
_RULES = ("invert_planes", "in_place", "bound", "within")
_FORMAT_FIELDS = ("format", "encoding", "scale", "power", "specials", "rounding", *_RULES)
_PLACES = ("QTAML_HW_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME")
_PACKAGES = ("torch", "numpy", "scikit-learn")
Stamps = dict[str, list[int | str] | None]
"""Files by path, and what each is known by."""


def identity_of(study: Study, digest: str) -> str:
    """The result's identity: resolved values, results version, files of design and buffers, the ``Network.digest``."""
    files = "".join(_files_digest(one) for one in (study, *(buffer.study for buffer in study.beside)))
    return hashlib.sha256(f"{study.identity()}+{digest}{files}".encode()).hexdigest()[:32]


def _files_digest(study: Study) -> str:
    """What the content of a plan, of codes, a curve and CACTI adds; what is absent is said when it is read."""
    section = study.protection
    menu = () if "menu" in section.row.unused else section.menu
    files = [study.folder / name for name in menu if is_code_file(name)]
    if section.plan is not None:
        plan = study.folder / section.plan
        files += [plan, *_codes_of(plan)]
    files += [
        study.folder / name for name in (study.flips.file, study.array.cacti, study.array.cost) if name is not None
    ]
    return "".join(f"+{content_digest(path)}" if os.path.isfile(path) else "+absent" for path in files)


def _codes_of(plan: Path) -> list[Path]:
    """Code files on the menu of a saved plan, as ``protection.entry`` finds them; none of a file that is no plan."""
    try:
        menu = json.loads(plan.read_bytes())["menu"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return (
        [Path(name) for name in menu if isinstance(name, str) and is_code_file(name)] if isinstance(menu, list) else []
    )


def network_key(study: Study) -> str:
    """What a network, its data and a metric of a user's own are made of, as the study names them."""
    own_metric = study.evaluate.metric if ":" in study.evaluate.metric else ""
    sections = (study.network.model_dump_json(), study.data.model_dump_json())
    named = "|".join([*sections, str(study.folder.absolute()), own_metric])
    hardening = study.hardening
    if not hardening.trained:
        return named
    return f"{named}|{hardening.model_dump_json(exclude_none=True)}{storage_key(study) if hardening.sees_codes else ''}"


def storage_key(study: Study) -> str:
    """The format that weights are written in, folding and transformations aside."""
    return study.weights.model_dump_json(include=set(_FORMAT_FIELDS), exclude_none=True)


@dataclass(eq=False)
class Digests:
    """Digests of networks and data by what they are made of, kept in a store's folder (None: in this process only)."""

    folder: Path | None = None
    _sure: dict[str, str] = field(default_factory=dict, init=False)
    _read: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        try:
            content = json.loads((self.folder / DIGESTS).read_bytes())
        except (OSError, ValueError):  # absent or damaged: the networks are loaded, and the file is written anew
            content = None
        self._read = content if isinstance(content, dict) else {}

    def find(self, study: Study) -> str | None:
        """The digest of the study's network and data; None when nothing trustworthy is known."""
        key = network_key(study)
        if key not in self._sure:
            known = self._read.get(key)
            if not isinstance(known, dict) or known.get("environment") != _environment():
                return None
            files = known.get("files")
            if not isinstance(files, dict) or any(stamp(Path(path)) != known for path, known in files.items()):
                return None
            self._sure[key] = str(known.get("digest"))
        return self._sure[key]

    def keep(self, study: Study, digest: str, files: Stamps | None) -> None:
        """Remember a digest; on disk too when all ``files`` that it depends on are known (None: they are not).

        files: by path, what each was known by before it was read.

        Raises StoreError when the store's folder cannot be written.
        """
        key = network_key(study)
        self._sure[key] = digest
        if self.folder is None or files is None:
            return
        self._read[key] = {"digest": digest, "environment": _environment(), "files": files}
        write_atomically(self.folder / DIGESTS, json.dumps(self._read, indent=1))


def stamps(paths: Iterable[Path]) -> Stamps:
    """What files are known by, by path."""
    return {str(path): stamp(path) for path in paths}


@cache
def _environment() -> dict[str, str]:
    """What else decides which weights a name stands for: package versions, our own code, where caches are."""
    environment = {name: os.environ.get(name, "") for name in _PLACES} | {name: installed(name) for name in _PACKAGES}
    home = Path(__file__).parents[2]
    code = sorted(path for pattern in _CODE for path in home.glob(pattern))
    return {**environment, "code": hashlib.sha256(json.dumps(stamps(code)).encode()).hexdigest()}
