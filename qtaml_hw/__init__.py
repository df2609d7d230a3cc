"""Leaking weight memories of neural-network accelerators: physics, flips, ECC, accuracy and cost in one chain.

The scripting face.  Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from qtaml_hw._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
