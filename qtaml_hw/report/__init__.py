"""From a store of records to what people read: an HTML report, figures as PNG, SVG and CSV, and terminal tables.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from qtaml_hw._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
