"""The scripts of the page, each allowed by its hash alone, and data beside them that no browser runs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

LIBRARY = "assets/plotly-basic.min.js"  # as published: plotly.js-basic-dist-min 4.1.1 (MIT), the licence beside it
TABLES, EXPLORER = "templates/tables.js", "templates/explorer.js"
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Script:
    """A script as it stands between its tags; ``digest`` : base64 of its SHA-256, for the page's policy."""

    text: Markup
    digest: str


@cache
def script(name: str, package: str = "qtaml_hw.report") -> Script:
    """A script of this package, or of another part of it; the library only as it was published."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(f"{name} cannot stand inside a page")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(Markup(text), digest)  # noqa: S704  # a file of this package


def page_scripts(explorer: bool) -> tuple[Script, ...]:
    """What a report runs: its tables sort; with points to explore, the plotting library and the explorer too."""
    return tuple(map(script, (TABLES, LIBRARY, EXPLORER) if explorer else (TABLES,)))


def embedded(data: Mapping[str, Any]) -> Markup:
    """Data as JSON inside a page: what could end its element, or begin another, is written as an escape."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))  # noqa: S704  # no character is left that HTML knows
