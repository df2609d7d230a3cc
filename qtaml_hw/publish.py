"""What stands beside the records of a store: the parameters, the ECC table, the study file, and the report."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from qtaml_hw.config import Study
from qtaml_hw.files import write_atomically
from qtaml_hw.records.store import shards
from qtaml_hw.versions import __version__

ECC_TABLE_P = (1e-4, 1e-3, 1e-2)  # beside the study's own raw probability, for the report's ECC table
PUBLISHED, PAGE = "published.json", "report.html"


def publish(study: Study, folder: Path | None, command: str) -> Path | None:
    """The report of a store and the files beside it; None without a folder.

    Nothing is drawn again when records, parameters and program are as they were when the report was made.

    Raises StoreError when the folder cannot be written.
    """
    if folder is None:
        return None
    content = _parameters(study)
    stamp = _stamp(folder, content)
    if (folder / PAGE).is_file() and _published(folder) == stamp:
        return folder / PAGE
    from qtaml_hw.report import write_report
    from qtaml_hw.study.questions.ecc_table import ecc_table

    write_atomically(folder / "parameters.json", json.dumps({**content, "command": command}, indent=1))
    write_atomically(folder / "ecc_table.json", json.dumps([row.as_dict() for row in ecc_table(study, p=ECC_TABLE_P)]))
    if Path(study.file).is_file():
        write_atomically(folder / "study.yaml", Path(study.file).read_text(encoding="utf-8-sig"))
    files = write_report(folder, title=study.label)
    write_atomically(folder / PUBLISHED, json.dumps(stamp))
    return next((f for f in files if f.suffix == ".html"), None)


def _parameters(study: Study) -> dict[str, Any]:
    origins = study.provenance
    parameters = [
        {"path": path, "value": origin.text, "origin": origin.kind, "source": origin.citation or origin.source}
        for path, origin in origins.items()
    ]
    return {"study": study.label, "parameters": parameters, "citations": list(citations(study))}


def citations(study: Study) -> tuple[str, ...]:
    """What the study's preset values were taken from, each source once."""
    return tuple(sorted({origin.citation for origin in study.provenance.values() if origin.citation}))


def _stamp(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "program": __version__,
        "parameters": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        "shards": {path.name: path.stat().st_size for path in shards(folder)},
    }


def _published(folder: Path) -> Any:
    try:
        return json.loads((folder / PUBLISHED).read_bytes())
    except (OSError, ValueError):  # never made, or damaged: made anew
        return None
