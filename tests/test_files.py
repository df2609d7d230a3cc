"""Files are written whole or not at all, and a colleague can read every one of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from qtaml_hw import sweep
from qtaml_hw.config import parse_study
from qtaml_hw.errors import StoreError
from qtaml_hw.files import MARKER, claim, replacing, write_atomically

STUDY = """
study: small
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 20, maps: {min: 2, max: 2}}
"""


@pytest.fixture(params=[0o022, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_file_of_a_store_has_the_mode_of_a_new_file(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    sweep(parse_study(STUDY, name=str(file)), store=tmp_path / "store")
    written = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"parameters.json", "ecc_table.json", "study.yaml", "report.html"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o666 & ~umask}
    assert {stat.S_IMODE(path.stat().st_mode) & 0o040 for path in written} == {0o040}


def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("plan.json", "old")]


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*plan\.json: No such file"):
        write_atomically(tmp_path / "none" / "plan.json", "{}")


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's own folder: a study and a figure of the name that ours has."""
    folder = tmp_path / "mine"
    (folder / "figures").mkdir(parents=True)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "figures" / "accuracy.png").write_bytes(b"my own")
    return folder


def test_a_folder_is_ours_when_it_was_empty_or_holds_records(tmp_path: Path, mine: Path) -> None:
    for name in ("new", "empty"):
        claim(tmp_path / name)
        claim(tmp_path / name)  # and stays so
        assert (tmp_path / name / MARKER).is_file()
    before = there(mine)
    with pytest.raises(StoreError, match=r"holds what qtaml-hw did not write \(figures, study\.yaml\)"):
        claim(mine)
    assert there(mine) == before
    for name, content in (("records-0123456789ab.jsonl", b""), ("node3.jsonl", b'{"schema":2,"identity":"x"}\n')):
        (old := tmp_path / name).mkdir()
        (old / "notes.txt").write_text("beside the records")
        (old / name).write_bytes(content)
        claim(old)
    (data := tmp_path / "data").mkdir()
    (data / "train.jsonl").write_text('{"text": "nothing of ours"}\n')
    with pytest.raises(StoreError, match="did not write"):
        claim(data)


def test_a_store_does_not_replace_the_study_it_is_run_from(tmp_path: Path) -> None:
    claim(tmp_path)
    (file := tmp_path / "study.yaml").write_text(f"\ufeff{STUDY}", encoding="utf-8")
    sweep(parse_study(STUDY, name=str(file)), store=tmp_path)
    assert file.read_text(encoding="utf-8") == f"\ufeff{STUDY}"
