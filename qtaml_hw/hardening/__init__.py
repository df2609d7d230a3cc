"""Training that expects faulty weights: what TAC, which needs no training, is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtaml_hw._lazy import attach

if TYPE_CHECKING:
    from qtaml_hw.hardening.method import METHODS, Hardening
    from qtaml_hw.hardening.network import fine_tuned, hardened
    from qtaml_hw.hardening.steps import practice
    from qtaml_hw.names import Method

_HOMES = {
    "METHODS": "method",
    "Hardening": "method",
    "Method": "method",
    "fine_tuned": "network",
    "hardened": "network",
    "practice": "steps",
}

__all__ = ["METHODS", "Hardening", "Method", "fine_tuned", "hardened", "practice"]

__getattr__, __dir__ = attach(__name__, _HOMES)
