"""Stores side by side, paired over fault maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.records.compare import compare
from qtaml_hw.verbs import sweep


def test_stores_side_by_side(small: Study, tmp_path: Path) -> None:
    for name, t_ox in (("a", "1.8 nm"), ("b", "1.9 nm")):
        sweep(small.with_({"cell.t_ox": t_ox}), store=tmp_path / name)
    found = compare([tmp_path / "a", tmp_path / "b"])
    assert (
        json.loads(json.dumps(found.as_dict())) == dict(found) == {"stores": list(found.stores), "rows": [*found.rows]}
    )
    (row,) = found["rows"]
    first, second = row["stores"]
    assert second["difference_mean"] == pytest.approx(second["accuracy_mean"] - first["accuracy_mean"])
    assert second["difference_mean"] > 0
    assert "difference_mean" not in first
    with pytest.raises(InputError, match="at least two stores"):
        compare([tmp_path / "a"])
