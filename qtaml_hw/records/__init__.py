"""Records: one line per design point and fault map, the table of their fields, their store, summaries, comparison.

Names are loaded on first use, so that the table of fields costs nothing.
"""

from __future__ import annotations

from qtaml_hw._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
