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
from qtaml_hw.files import replacing, write_atomically

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
