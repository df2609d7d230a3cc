"""Sphinx: MyST pages, and a reference made from docstrings, the command line and the study schema at build time."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import qtaml_hw

project = "qtaml_hw"
author = "The qtaml_hw authors"
copyright = author
release = qtaml_hw.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "device/results.md"]
html_theme = "furo"
html_title = f"qtaml_hw {release}"
autodoc_typehints = "description"
napoleon_google_docstring = False  # ours are NumPy style or prose
autodoc_member_order = "bysource"
suppress_warnings = ["ref.python"]  # a name that is re-exported has two homes

PARTS = {
    "qtaml_hw": "The scripting face",
    "qtaml_hw.device": "Device physics",
    "qtaml_hw.faults": "Bit flips",
    "qtaml_hw.ecc": "Codes",
    "qtaml_hw.protection": "Menu, plans, overhead table",
    "qtaml_hw.weights": "Stored weights",
    "qtaml_hw.memory": "Weight memory",
    "qtaml_hw.tac": "Sensitivity, allocation, correction",
    "qtaml_hw.accelerator": "Accelerator",
    "qtaml_hw.workloads": "Networks and data",
    "qtaml_hw.report": "Reports",
    "qtaml_hw.reproduce": "Reproductions",
}


SECTION = re.compile(r"^(Parameters|Returns|Raises|Attributes|Yields|Examples)( \(.*\))?$")


def readable(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are prose with aligned lists, not strict markup: keep such paragraphs line by line."""
    if any(set(line.strip()) == {"-"} for line in lines):
        lines[:] = [m[1] if (m := SECTION.match(line)) else line for line in lines]  # napoleon takes it from here
        return
    text = re.sub(r"``.*?``|\*", lambda m: "\\*" if m[0] == "*" else m[0], "\n".join(lines))
    paragraphs = text.split("\n\n")
    for i, paragraph in enumerate(paragraphs):
        rows = paragraph.strip("\n").split("\n")
        if len({len(row) - len(row.lstrip()) for row in rows if row.strip()}) > 1:
            paragraphs[i] = "\n".join(f"| {row}" for row in rows)
    lines[:] = "\n\n".join(paragraphs).split("\n")


def page_of(module_name: str, title: str, seen: set[int]) -> str:
    """A page with every public class and function of a part; what another page holds already is not indexed twice."""
    module = importlib.import_module(module_name)
    lines = [f"# {title}: `{module_name}`", "", inspect.getdoc(module) or "", ""]
    for name in module.__all__:
        value = getattr(module, name)
        kind = "autoclass" if inspect.isclass(value) else "autofunction" if inspect.isroutine(value) else None
        if kind is not None and not getattr(value, "__module__", "").startswith("typing"):
            options = (["   :members:"] if kind == "autoclass" else []) + (
                ["   :no-index:"] if id(value) in seen else []
            )
            lines += ["```{eval-rst}", f".. {kind}:: {module_name}.{name}", *options, "```", ""]
            seen.add(id(value))
    return "\n".join(lines)


def schema_page(schema: dict[str, Any]) -> str:
    """The study file section by section as it is written, each field with what it may be and its default."""
    lines = ["# Schema of the study file", "", "Made from `qtaml-hw schema`. In prose: [study file](../study-file.md)."]
    top = {key: fact for key, fact in schema["properties"].items() if not _parts(fact)}
    lines += ["", "## Top level", "", *_table(top)]
    for key, fact in schema["properties"].items():
        for part in _parts(fact):
            lines += _section(key, part, schema["$defs"])
    return "\n".join([*lines, ""])


def _section(path: str, name: str, parts: dict[str, Any]) -> list[str]:
    """A section's heading and table, and below it those of the sections inside."""
    part = parts[name]
    kind = part["properties"].get("kind", {}).get("const")
    lines = ["", f"## `{path}`" + (f", kind `{kind}`" if kind else ""), "", part.get("description", ""), ""]
    lines += _table(part["properties"])
    for key, fact in part["properties"].items():
        for inner in _parts(fact):
            lines += _section(f"{path}.{key}", inner, parts)
    return lines


def _parts(fact: dict[str, Any]) -> list[str]:
    """The names of the sections that a field may hold, alone, as alternatives or in a list."""
    branches = [fact, *fact.get("anyOf", []), *fact.get("oneOf", []), *fact.get("allOf", [])]
    branches += [branch["items"] for branch in branches if isinstance(branch.get("items"), dict)]
    branches += [inner for branch in branches[1:] for inner in branch.get("anyOf", [])]
    return list(dict.fromkeys(str(b["$ref"]).rpartition("/")[2] for b in branches if "$ref" in b))


def _table(fields: dict[str, Any]) -> list[str]:
    head = ["| field | meaning | allowed | default |", "|---|---|---|---|"]
    return head + [f"| `{field}` | {_row(fact)} |" for field, fact in fields.items()]


def _row(fact: dict[str, Any]) -> str:
    allowed = ", ".join(f"`{value}`" for value in fact.get("enum", []))
    default = f"`{json.dumps(fact['default'])}`" if "default" in fact else ""
    branches = [fact, *fact.get("anyOf", [])]
    kinds = [kind for branch in branches if "type" in branch for kind in _listed(branch["type"]) if kind != "null"]
    cells = (fact.get("description", ""), allowed or " or ".join(dict.fromkeys(kinds)), default)
    return " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)


def _listed(kinds: str | list[str]) -> list[str]:
    return [kinds] if isinstance(kinds, str) else kinds


def generate(app: Sphinx) -> None:
    """Write the reference pages beside the index (git ignores them)."""
    folder = Path(app.srcdir) / "reference"
    seen: set[int] = set()
    for module_name, title in PARTS.items():
        (folder / f"{module_name}.md").write_text(page_of(module_name, title, seen), encoding="utf-8")
    (folder / "schema.md").write_text(schema_page(qtaml_hw.config.json_schema()), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Hook the generation of the reference in."""
    app.connect("builder-inited", generate)
    app.connect("autodoc-process-docstring", readable, priority=400)  # before napoleon
