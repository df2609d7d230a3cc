"""What stands beside the records of a store: the parameters, the ECC table, the study file, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qtaml_hw.config import Study
from qtaml_hw.errors import in_one_line
from qtaml_hw.files import write_atomically
from qtaml_hw.records.fields import F
from qtaml_hw.records.store import shards
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.versions import __version__

ECC_TABLE_P = (1e-4, 1e-3, 1e-2)  # beside the study's own raw probability, for the report's ECC table
PARAMETERS, PUBLISHED, PAGE = "parameters.json", "published.json", "report.html"
_PLACE: Final = (F.identity, F.study, F.label, F.case, F.point, F.axes, F.axes_si)


@dataclass(frozen=True)
class Published:
    """The report's page, or why there is none; ``problem`` is one line."""

    page: Path | None
    problem: str = ""


def published(study: Study, folder: Path | None, summaries: Sequence[PointSummary], command: str = "") -> Published:
    """The report of a store whose points took time: what keeps it from being made is told beside them.

    Raises whatever it is where the records are no longer there either.
    """
    try:
        return Published(publish(study, folder, summaries, command))
    except Exception as error:
        if folder is None or not shards(folder):
            raise
        why = in_one_line(error)
        return Published(None, f"no report ({why}); records are kept, `qtaml-hw report {folder}` makes it")


def publish(study: Study, folder: Path | None, summaries: Sequence[PointSummary], command: str = "") -> Path | None:
    """The report of a store and the files beside it; None without a folder.

    ``summaries`` : the points as they are called now; records keep what they were called when they were made.

    Nothing is drawn again when records, parameters and program are as they were when the report was made.

    Raises StoreError when the folder cannot be written.
    """
    if folder is None:
        return None
    content = {**_parameters(study), "points": _places(folder, summaries)}
    stamp = _stamp(folder, content)
    if (folder / PAGE).is_file() and _read(folder / PUBLISHED) == stamp:
        return folder / PAGE
    from qtaml_hw.report import write_report
    from qtaml_hw.study.questions.ecc_table import ecc_table

    write_atomically(folder / PARAMETERS, json.dumps({**content, "command": command}, indent=1))
    write_atomically(folder / "ecc_table.json", json.dumps([row.as_dict() for row in ecc_table(study, p=ECC_TABLE_P)]))
    source, kept = Path(study.file), folder / "study.yaml"
    if source.is_file() and source.resolve() != kept.resolve():
        write_atomically(kept, source.read_text(encoding="utf-8-sig"))
    files = write_report(folder, title=study.label)
    write_atomically(folder / PUBLISHED, json.dumps(stamp))
    return next((f for f in files if f.suffix == ".html"), None)


def _parameters(study: Study) -> dict[str, Any]:
    origins = study.provenance
    parameters = [
        {"path": path, "value": origin.text, "origin": origin.kind, "source": origin.citation or origin.source}
        for path, origin in origins.items()
    ]
    return {
        "study": study.label,
        "parameters": parameters,
        "citations": list(citations(study)),
        "yield_at": list(study.evaluate.yield_at),
    }


def _places(folder: Path, summaries: Sequence[PointSummary]) -> list[dict[str, Any]]:
    """Where every point stands in its sweep: these, and those that other studies left in the folder."""
    mine = [{**{name: s.facts[name] for name in _PLACE if name in s.facts}, F.identity: s.identity} for s in summaries]
    known = {s.identity for s in summaries}
    earlier = _read(folder / PARAMETERS)
    others = earlier.get("points") if isinstance(earlier, dict) else None
    listed = others if isinstance(others, list) else []
    return [*(p for p in listed if isinstance(p, dict) and p.get(F.identity) not in known), *mine]


def citations(study: Study) -> tuple[str, ...]:
    """What the study's preset values were taken from, each source once."""
    return tuple(sorted({origin.citation for origin in study.provenance.values() if origin.citation}))


def _stamp(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "program": __version__,
        "parameters": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        "shards": {path.name: path.stat().st_size for path in shards(folder)},
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):  # never made, or damaged: made anew
        return None
