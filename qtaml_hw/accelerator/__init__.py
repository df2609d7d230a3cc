"""The accelerator: systolic cycles and accesses, energy per inference, and accuracy over fault maps.

Names are loaded on first use, so that the cycle count does not import torch.
"""

from __future__ import annotations

from qtaml_hw._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
