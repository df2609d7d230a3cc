"""The documentation is true: marked examples run, links lead somewhere, no machine is named.

A block of Python or console text carries a comment in the line above it: ``<!-- runnable -->``, ``<!-- runnable: as
shown -->`` (every printed line is shown truly), ``<!-- runnable: exit 2 -->``, or ``<!-- not run: why -->``.  A block
under ``<!-- file: NAME -->`` is written to NAME before what follows runs.  Blocks of a page share a folder.
"""

from __future__ import annotations

import json
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from qtaml_hw import cli, names
from qtaml_hw.config import Study
from qtaml_hw.config.reading.fields import catalogue
from qtaml_hw.report.figures import FIGURES
from tests import house

ROOT = Path(__file__).parents[1]
FRAGMENTS = {ROOT / "docs" / "device" / "results.md"}  # included by another page, links are relative to that one
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts and p not in FRAGMENTS)]
)
EXAMPLES = [page for page in PAGES if page.name not in ("CHANGELOG.md", "CONTRIBUTING.md")]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block, its language and the comment above it."""

    mark: str
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(m["mark"] or "", m["kind"], m["text"]) for m in found]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", EXAMPLES, ids=named)
def test_every_example_says_whether_it_is_run(page: Path) -> None:
    for block in blocks(page):
        if block.kind in ("python", "console"):
            assert re.match(r"runnable|not run: \w+|file: \S+", block.mark), block.text


def _python(text: str) -> None:
    exec(compile(text, "example", "exec"), {"__name__": "example"})


def _console(block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = 2 if "exit 2" in block.mark else 0
    for line in block.text.splitlines():
        if line.startswith("$ qtaml-hw "):
            monkeypatch.setattr(sys, "argv", shlex.split(line[2:]))
            with pytest.raises(SystemExit) as stopped:
                cli.main()
            assert (stopped.value.code or 0) == wanted, line
    printed = capsys.readouterr()
    if "as shown" in block.mark:
        seen = {" ".join(line.split()) for line in (printed.out + printed.err).splitlines()}
        shown = {" ".join(line.split()) for line in block.text.splitlines() if not line.startswith("$ ")}
        assert shown <= seen


@pytest.mark.parametrize("page", EXAMPLES, ids=named)
def test_marked_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_nets", "my_data"):  # set first, so that what the page imports is forgotten after it
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        del sys.modules[module]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for block in blocks(page):
        if block.mark.startswith("file: "):
            (tmp_path / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        elif block.mark.startswith("runnable") and block.kind == "python":
            _python(block.text)
        elif block.mark.startswith("runnable"):
            _console(block, monkeypatch, capsys)


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=named)
def test_notebooks_run_and_hold_no_outputs(notebook: Path) -> None:
    names = {"__name__": "notebook"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), notebook.name, "exec"), names)


def test_the_shown_studies_are_valid(tmp_path: Path) -> None:
    from qtaml_hw.config import parse_study

    for page in EXAMPLES:
        for block in blocks(page):
            if block.kind == "yaml" and block.mark.startswith("file: "):
                assert parse_study(block.text, name=block.mark).points()


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the documentation tools are not installed: pip install 'qtaml-hw[docs]'")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        tmp_path / "docs",
        tmp_path / "site",
    ]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    schema = (tmp_path / "site" / "reference" / "schema.html").read_text(encoding="utf-8")
    assert "protection.budget" in schema


def anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name}: {target}"


def test_sections_that_docstrings_name_exist() -> None:
    """ "docs/theory.md, mean drift and variance" means sections that begin with these words."""
    text = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    titles = [t.lower() for t in re.findall(r"^## \d+\. (.+)$", text, re.MULTILINE)]
    for file in (ROOT / "qtaml_hw").rglob("*.py"):
        source = " ".join(file.read_text(encoding="utf-8").split())
        for cited in re.findall(r"docs/theory\.md, ([a-z ]+?)[).;:]", source):
            for name in cited.split(" and "):
                assert any(title.startswith(name) for title in titles), f"{file.name}: {name}"
        for page in re.findall(r"docs/([\w/-]+\.md)", source):
            assert (ROOT / "docs" / page).exists(), f"{file.name}: docs/{page}"


def told() -> Iterator[tuple[Path, str]]:
    """(page or source, its text): all that says where something is; the changelog says where it was."""
    files = [*(page for page in PAGES if page.name != "CHANGELOG.md"), *house.modules().values()]
    return ((file, file.read_text(encoding="utf-8")) for file in files)


def test_paths_that_pages_and_sources_give_exist() -> None:
    folders = "qtaml_hw|tests|scripts|benchmarks|configs|docs"
    for file, text in told():
        for path in re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)(?![\w<*{{])", text):
            assert path == "docs/_build" or (ROOT / path).exists(), f"{named(file)}: {path}"


def test_dotted_names_that_pages_and_docstrings_give_are_there() -> None:
    """``tac.POLICIES`` is in the package, ``weights.format`` in a study file, ``study.with_`` of a study in Python."""
    rooms = "|".join({name.split(".")[0] for name in house.modules()} - {""})
    fields = catalogue(Study)
    for file, text in told():
        quoted = "\n".join(re.findall(r"``([^`\n]+)``" if file.suffix == ".py" else r"`([^`\n]+)`", text))
        for name in re.findall(rf"(?<![\w./-])(?:qtaml_hw\.)?((?:{rooms})(?:\.[A-Za-z_]\w*)+)", quoted):
            room, _, rest = name.partition(".")
            known = name in fields or (room == "study" and hasattr(Study, rest))
            named_file = name.rpartition(".")[2] in ("py", "md", "yaml", "json", "csv", "html", "npz")
            assert known or named_file or pydoc.locate(f"qtaml_hw.{name}") is not None, f"{named(file)}: {name}"


def first_cells(page: str, heading: str) -> set[str]:
    """The names in the first column of the table under a heading of columns."""
    table = (ROOT / "docs" / page).read_text(encoding="utf-8").split(heading, 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_table_of_figures_has_every_figure() -> None:
    assert first_cells("report.md", "| name | shown when | what |\n") == set(FIGURES)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("kind", names.CELLS),
        ("policy", names.POLICIES),
        ("group", get_args(names.GroupKind)),
        ("correction", get_args(names.CorrectionKind)),
        ("encoding", get_args(names.Encoding)),
        ("scale", names.SCALES),
        ("transforms", names.TRANSFORMS),
        ("method", get_args(names.Method)),
        ("evaluate.metric", names.METRICS),
        ("network.name", names.NETWORKS),
    ],
)
def test_the_page_of_the_study_file_has_every_word_of_a_field(field: str, words: Iterable[str]) -> None:
    page = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{field}`"))
    assert set(words) <= set(re.findall(r"`([^`]+)`", row))


def test_no_tracked_file_names_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    homes = [
        re.escape(str(Path.home())) + "/",
        "/" + "work/",
        "/" + "tmp/[a-z]",
        "/" + "home/[a-z]",
        "/" + "Users/[a-z]",
    ]
    places = re.compile("|".join(rf"(?<![\w.}}/]){home}" for home in homes))
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png",):
            hit = places.search(path.read_text(encoding="utf-8", errors="replace"))
            assert hit is None, f"{name}: {hit}"


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "img").glob("*.png"):
        assert picture.stat().st_size < 150_000, picture.name
