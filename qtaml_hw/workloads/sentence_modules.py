"""What a sentence-transformers folder puts behind its encoder (modules.json): checked, so that nothing is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from qtaml_hw.workloads.reading import readable

READ: Final = ("Transformer", "Pooling", "Normalize")  # embeddings are normalised whether the folder says so or not
WAYS: Final = {"cls_token": "cls", "mean_tokens": "mean", "cls": "cls", "mean": "mean"}


def check_modules(folder: Path, pooling: str) -> None:
    """Raises ValueError for modules that are not read, and for a folder that pools in another way than ``pooling``.

    A folder without modules.json holds an encoder alone.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return
    with readable(path, "modules.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
            raise ValueError("it is no list of modules")
        places = {str(one.get("path", "")): str(one.get("type", "")).rpartition(".")[2] for one in told}
        if any(place and Path(place).name != place for place in places):
            raise ValueError("it names modules that are not in this folder")
    unread = [f"{place} ({kind})" for place, kind in places.items() if kind not in READ]
    if unread:
        raise ValueError(f"{path}: behind the encoder come modules that are not read: {', '.join(unread)}")
    for place in (place for place, kind in places.items() if kind == "Pooling"):
        config = folder / place / "config.json"
        ways = _ways(config)
        if ways != [pooling]:
            hint = f"; write pooling: {ways[0]}" if len(ways) == 1 and ways[0] in WAYS.values() else ""
            raise ValueError(f"{config}: the folder pools by {' and '.join(ways) or 'nothing'}, not {pooling}{hint}")


def _ways(config: Path) -> list[str]:
    """How a pooling module pools, in the words of a study where there are any."""
    with readable(config, "pooling config.json"):
        told: Any = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no mapping")
        modes = {key.removeprefix("pooling_mode_"): on for key, on in told.items() if key.startswith("pooling_mode_")}
        switched = [way for way, on in modes.items() if on is True]
        named = told.get("pooling_mode")
        return [WAYS.get(way, way) for way in [*switched, *([str(named)] if named else [])]]
