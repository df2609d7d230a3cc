"""Users' own codes from JSON and alist files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw import ecc, protection

HAMMING = [[1, 0, 1, 0, 1, 0, 1], [0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1]]


def alist(h: np.ndarray) -> str:
    m, n = h.shape
    columns = [(np.nonzero(h[:, j])[0] + 1).tolist() for j in range(n)]
    rows = [(np.nonzero(h[i])[0] + 1).tolist() for i in range(m)]
    lists = [columns, rows]
    text = [f"{n} {m}", f"{max(map(len, columns))} {max(map(len, rows))}"]
    text += [" ".join(str(len(x)) for x in part) for part in lists]
    for part in lists:
        width = max(map(len, part))
        text += [" ".join(map(str, x + [0] * (width - len(x)))) for x in part]
    return "\n".join(text) + "\n"


def test_json_and_alist_give_a_working_code(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine", "parity_check": HAMMING}))
    (tmp_path / "mine.alist").write_text(alist(np.array(HAMMING)))
    code = ecc.load_code(tmp_path / "mine.json")
    assert (code.name, code.n, code.k, code.t, code.distance) == ("mine", 7, 4, 1, 3)
    assert (ecc.load_code(tmp_path / "mine.alist").parity_matrix == code.parity_matrix).all()
    data = np.array([1, 0, 1, 1])
    assert (code.decode(code.encode(data) ^ np.eye(7, dtype=np.uint8)).data == data).all()
    assert code.residual(0.01).bit_error == pytest.approx(ecc.code("hamming-7-4").residual(0.01).bit_error, rel=0.01)


@pytest.mark.parametrize(
    ("name", "distance"), [("secded-13-8", 4), ("bch-31-21", 5), ("dected-45-32", 6), ("golay-23-12", 7)]
)
def test_distance_is_found(name: str, distance: int) -> None:
    known = ecc.code(name)
    again = ecc.from_parity_check(known.check_matrix, "again")
    assert again.distance == distance
    assert again.t == known.t
    assert (again.parity_matrix == known.parity_matrix).all()


def test_a_shorter_dependency_is_seen_behind_a_longer_one() -> None:
    rows = ["0010011", "0011101", "0110111", "0101110", "1111110", "0100010"]
    parity = np.array([[int(bit) for bit in row] for row in rows], dtype=np.uint8)
    code = ecc.from_parity_check(np.concatenate([parity.T, np.eye(7, dtype=np.uint8)], axis=1), "mine")
    assert (code.distance, code.t) == (3, 1)


@given(seed=st.integers(0, 10_000), r=st.integers(2, 8), k=st.integers(1, 7))
def test_the_distance_is_the_least_weight_of_all_words(seed: int, r: int, k: int) -> None:
    parity = np.random.default_rng(seed).integers(0, 2, (k, r), dtype=np.uint8)
    h = np.concatenate([parity.T, np.eye(r, dtype=np.uint8)], axis=1)
    data = np.array(list(itertools.product((0, 1), repeat=k)), dtype=np.uint8)[1:]
    words = np.concatenate([data, data @ parity % 2], axis=1)
    assert ecc.from_parity_check(h, "mine").distance == words.sum(axis=1).min()


def test_a_code_of_a_large_distance_corrects_what_it_allows() -> None:
    h = np.concatenate([np.ones((8, 1), np.uint8), np.eye(8, dtype=np.uint8)], axis=1)  # nine copies of one bit
    code = ecc.from_parity_check(h, "nine")
    assert (code.distance, code.t) == (9, 4)
    for wrong in itertools.combinations(range(9), 4):
        word = np.isin(np.arange(9), wrong).astype(np.uint8)
        assert code.decode(word).data.tolist() == [0]
    wide = ecc.code("bch-255-239")
    assert ecc.from_parity_check(wide.check_matrix, "wide").distance == 5  # above 128 columns too


def test_a_file_is_a_name_in_menus_and_plans(tmp_path: Path) -> None:
    path = str(tmp_path / "Mine.json")
    Path(path).write_text(json.dumps({"parity_check": HAMMING}))
    plan = protection.ProtectionPlan.uniform_msb([0, 10], 8, 2, path)
    assert plan.menu == ("none", path)
    assert plan.parity_bits == 5 * 3
    assert protection.ProtectionPlan.from_json(plan.to_json()) == plan
    assert protection.overhead_table(p=[0.01], codes=[path])[0].n == 7
    with pytest.raises(ValueError, match="no code file"):
        protection.entry(str(tmp_path / "absent.json"))


def test_bad_files(tmp_path: Path) -> None:
    cases = {
        "a.json": ("{", "a.json"),
        "b.json": ("{}", "parity_check"),
        "c.json": (json.dumps({"parity_check": [[1, 1, 0], [1, 1, 0]]}), "dependent"),
        "d.json": (json.dumps({"parity_check": HAMMING, "t": 2}), "corrects up to 1"),
        "e.alist": ("7 3\n", "alist"),
        "f.alist": (alist(np.array(HAMMING)).replace("7 3", "7 4", 1), "alist"),
        "g.txt": ("", "json or .alist"),
        "h.json": (json.dumps({"parity_check": [[2, 1, 1]]}), "0/1"),
    }
    for file, (text, message) in cases.items():
        (tmp_path / file).write_text(text)
        with pytest.raises(ValueError, match=message):
            ecc.load_code(tmp_path / file)
    with pytest.raises(ValueError, match="cannot read"):
        ecc.load_code(tmp_path / "missing.json")
