"""What benchmarks say, keep and compare: the collector of `scripts/benchmark` and the one way to take time."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_script", ROOT / "scripts" / "benchmark.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


def _figure(part: str, value: float, goal: float | None = 2.0, sense: str | None = "<=", what: str = "a"):  # type: ignore[no-untyped-def]
    return SCRIPT.Figure(part, what, value, "s", goal, sense, "")


def _run(commit: str, date: str, *figures):  # type: ignore[no-untyped-def]
    return SCRIPT.Run("Some CPU @ 2 GHz", 2, commit, date, {"Python": "3.11"}, tuple(figures))


def test_a_figure_is_printed_and_collected(tmp_path: Path) -> None:
    """The line a reader sees and the object that is kept say the same; a goal is met at its edge."""
    code = (
        "import sys; sys.argv[0] = 'benchmarks/bench_some.py'; from figures import figure;"
        "print(figure('x', 2.0, 's', at_most=2.0, more='beside'), figure('y', 1.0, 'G/s', at_least=2.5),"
        "figure('z', 3, 's'))"
    )
    file = tmp_path / "figures.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "benchmarks", env={"PATH": "", SCRIPT.COLLECT: str(file)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[-1] == "True False True"
    assert re.fullmatch(r"x +2 s +goal <= 2 +met +beside", lines[0])
    assert re.fullmatch(r"y +1 G/s +goal >= 2.5 +MISSED", lines[1])
    found = [SCRIPT.Figure(**json.loads(line)) for line in file.read_text().splitlines()]
    assert [f.met for f in found] == [True, False, None]
    assert [(f.part, f.what, f.value) for f in found] == [("some", "x", 2.0), ("some", "y", 1.0), ("some", "z", 3)]


def test_parts_measured_again_replace_those_of_their_commit(tmp_path: Path) -> None:
    SCRIPT.save(_run("c1", "2026-01-01", _figure("ecc", 1.0), _figure("tac", 5.0)), tmp_path)
    path = SCRIPT.save(_run("c1", "2026-01-02", _figure("tac", 4.0)), tmp_path)
    assert path == tmp_path / "some-cpu-2-ghz-2" / "c1.json"
    (run,) = SCRIPT.read_runs(tmp_path)
    assert [(f.part, f.value) for f in run.figures] == [("ecc", 1.0), ("tac", 4.0)]


def test_compared_with_the_last_run_that_measured_the_part() -> None:
    """Each part has its own last run; other machines do not count; a tenth is noise."""
    before = [
        _run("c1", "2026-01-01", _figure("ecc", 8.0), _figure("tac", 2.0)),
        _run("c2", "2026-01-02", _figure("ecc", 2.0)),
        replace(_run("c3", "2026-01-03", _figure("ecc", 99.0)), machine="Another"),
    ]
    now = _run("c4", "2026-01-04", _figure("ecc", 1.0), _figure("tac", 2.1), _figure("new", 1.0))
    lines = list(SCRIPT.compared(now, before))
    assert len(lines) == 2
    assert re.search(r"ecc: a +1 s +was 2 +\(c2\)  ratio 0.50  <-- less$", lines[0])
    assert re.search(r"tac: a +2.1 s +was 2 +\(c1\)  ratio 1.05$", lines[1])


def test_a_part_that_lost_a_figure_shows_it_no_more() -> None:
    """The page takes a part from one run alone, so that renamed figures do not stay."""
    runs = [
        _run("c1", "2026-01-01", _figure("ecc", 8.0, what="old name")),
        _run("c2", "2026-01-02", _figure("ecc", 3.0, what="new name")),
    ]
    text = SCRIPT.page(runs)
    assert "old name" not in text
    assert "| new name | 3 s | <= 2 | **missed** |" in text


def test_unknown_parts_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/benchmark.py", "faulst", "nothing"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    said = done.stderr.splitlines()[-1]
    assert re.search(
        r"unknown benchmark 'faulst'; allowed: .*ecc.*; did you mean 'faults'\?; unknown .*'nothing'", said
    )


def test_the_page_is_what_was_kept() -> None:
    """docs/performance.md is generated: `scripts/benchmark --page` writes it again."""
    runs = SCRIPT.read_runs()
    assert runs
    assert SCRIPT.PAGE.read_text(encoding="utf-8") == SCRIPT.page(runs)


def test_every_kept_part_is_a_benchmark() -> None:
    for run in SCRIPT.read_runs():
        assert all((SCRIPT.FOLDER / f"bench_{figure.part}.py").is_file() for figure in run.figures)
