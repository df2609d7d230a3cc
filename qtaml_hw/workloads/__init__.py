"""Networks and data sets: the zoo trained on the embedded digits, and loaders for files and users' own models.

Names are loaded on first use: the list of networks needs neither torch nor scikit-learn.
"""

from __future__ import annotations

from qtaml_hw._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
