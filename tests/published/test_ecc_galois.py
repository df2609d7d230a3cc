"""BCH (127,64), t = 10, against galois (MIT licence): generator and decoder on 0 to 12 errors per word.

Provenance: ecc_bch_127_64_galois.json was produced by the tool named in it (galois.BCH(127, 64).encode and .decode with
random errors); frozen because its compilation takes longer than all other tests of this part.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qtaml_hw import ecc
from qtaml_hw.ecc import finite_field as ff

ORACLE = json.loads((Path(__file__).parent / "ecc_bch_127_64_galois.json").read_text())


def bits(rows: list[str]) -> np.ndarray:
    return np.array([[int(c) for c in row] for row in rows], dtype=np.uint8)


def test_generator_and_t() -> None:
    assert int(ORACLE["generator"], 16) == ff.bch_generator(7, 10)
    assert ecc.code("bch-127-64").t == ORACLE["t"]


def test_decoder_corrects_and_flags_the_same_words() -> None:
    code = ecc.code("bch-127-64")
    received = bits(ORACLE["received"])[:, ::-1]  # lowest power first: check bits, then data
    ours = code.decode(np.concatenate([received[:, 63:], received[:, :63]], axis=1))
    errors = np.array(ORACLE["errors"])
    assert (ours.uncorrectable == (errors < 0)).all()
    kept = errors >= 0
    assert (ours.data[kept] == bits(ORACLE["decoded"])[:, ::-1][kept]).all()
    assert (
        errors[np.array(ORACLE["errors_inserted"]) <= 10]
        == np.array(ORACLE["errors_inserted"])[np.array(ORACLE["errors_inserted"]) <= 10]
    ).all()
    assert (errors < 0).any()


def test_encoder_makes_the_words_that_were_sent() -> None:
    clean = np.array(ORACLE["errors_inserted"]) == 0
    received = bits(ORACLE["received"])[clean][:, ::-1]
    words = ecc.code("bch-127-64").encode(received[:, 63:])
    assert (words[:, 64:] == received[:, :63]).all()
