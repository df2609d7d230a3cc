"""What every code costs and what it leaves, in closed form; no network is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from qtaml_hw import protection
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.protection.table import DEFAULT_CODES, DEFAULT_P
from qtaml_hw.study.design.cell import view_cell


def ecc_table(
    study: Study | None = None, *, p: Sequence[float] | None = None, codes: Sequence[str] | None = None
) -> list[protection.EccRow]:
    """The ECC overhead table; with a study, at its node and with its raw flip probability put before ``p``.

    Raises InputError for an unknown code or a probability outside [0, 1].
    """
    values, node_m = list(p) if p else [], 45e-9
    if study is not None:
        node_m = study.array.node_m
        channel = view_cell(study, 1).channel
        values = [0.5 * float(channel.p01[0] + channel.p10[0]), *values]  # mean over balanced bits
    if not values:
        values = list(DEFAULT_P)
    try:
        return protection.overhead_table(values, codes or DEFAULT_CODES, node_m)
    except ValueError as error:
        raise InputError(str(error)) from error
