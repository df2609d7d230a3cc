"""Scrub accumulation: chain against simulation, and what fixed weak cells do instead."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw import ecc
from tests.ecc.scrubs import scrub_chain, scrub_simulation


@pytest.mark.parametrize(("name", "p"), [("secded-39-32", 2e-3), ("hamming-15-11", 1e-2)])
def test_chain_equals_simulation_of_memoryless_flips(name: str, p: float) -> None:
    code = ecc.code(name)
    words = 20_000
    chain = scrub_chain(code, p, 12)
    simulated = scrub_simulation(code, p, p, 12, law="poisson", words=words, seed=3)
    for ours, theirs in ((chain.flagged, simulated.flagged), (chain.silent, simulated.silent)):
        sigma = np.sqrt(ours * (1.0 - ours) / words)
        assert (np.abs(ours - theirs) < 4.0 * sigma + 0.02 * ours + 2.0 / words).all()
    np.testing.assert_allclose(chain.bit_error[3:], simulated.bit_error[3:], rtol=0.15)


def test_first_scrub_is_the_residual_of_one_interval() -> None:
    code = ecc.code("hamming-15-11")
    first = scrub_chain(code, 0.01, 1)
    residual = code.residual(0.01)
    assert first.bit_error[0] == pytest.approx(residual.bit_error, rel=1e-9)
    assert first.silent[0] == pytest.approx(residual.p_sdc, rel=1e-9)
    assert first.flagged[0] == pytest.approx(0.0, abs=1e-15)


def test_losses_of_memoryless_flips_add_up_while_they_are_rare() -> None:
    code = ecc.code("secded-72-64")
    history = scrub_chain(code, 1e-5, 100)
    one = code.residual(1e-5)
    assert history.flagged[-1] + history.silent[-1] == pytest.approx(100 * (one.p_due + one.p_sdc), rel=0.01)


def test_fixed_weak_cells_do_not_accumulate() -> None:
    code = ecc.code("secded-39-32")
    fixed = scrub_simulation(code, 0.0, 0.01, 8, law="retention", seed=1)
    fresh = scrub_simulation(code, 0.0, 0.01, 8, law="poisson", seed=1)
    assert fixed.flagged[0] == fresh.flagged[0]
    assert fixed.flagged[-1] == pytest.approx(fixed.flagged[0], rel=0.05)
    assert fresh.flagged[-1] > 4.0 * fixed.flagged[-1]


def test_bad_arguments() -> None:
    code = ecc.code("secded-39-32")
    with pytest.raises(ValueError, match="intervals"):
        scrub_chain(code, 0.1, 0)
    with pytest.raises(ValueError, match="poisson, retention"):
        scrub_simulation(code, 0.1, 0.1, 2, law="fixed")
