"""The studies that come with the program, one per question, in a checkout as in an installed wheel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from qtaml_hw.config.schema import json_schema
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.files import write_atomically

FIRST: Final = "first"
SCHEMA_FILE: Final = "qtaml_hw.schema.json"
_PACKAGE: Final = Path(__file__).parents[1]


def shipped(under: str = "") -> dict[str, Path]:
    """Study files by name: those of the wheel, or of the checkout that the package stands in.

    ``under`` : ``published`` has the designs that others published, each as a study.
    """
    inside = _PACKAGE / "configs"
    folder = inside if inside.is_dir() else _PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted((folder / under).glob("*.yaml"))}


def write_first_study(file: Path, like: str = FIRST) -> list[Path]:
    """A copy of a shipped study under a name of its own, with the schema beside it that editors check it by.

    The study is named after the file, whose suffix is ``.yaml`` when it has none. Raises InputError when the file is
    there already, when no shipped study is called ``like``, or when the folder cannot be written to.
    """
    studies = shipped()
    if like not in studies:
        raise InputError(unknown("study", like, studies))
    path = file if file.suffix in (".yaml", ".yml") else file.with_name(f"{file.name}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already, and is not replaced; give another name")
    text = studies[like].read_text(encoding="utf-8")
    text = re.sub(rf"(\s)(configs/{like}\.yaml|FILE)\b", rf"\g<1>{path.name}", text)
    text = re.sub(r"(?m)^study: .*$", f"study: {json.dumps(path.stem, ensure_ascii=False)}", text, count=1)
    schema = path.with_name(SCHEMA_FILE)
    write_atomically(schema, json.dumps(json_schema(), indent=1) + "\n")
    write_atomically(path, f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}")
    return [path, schema]
