"""What a user can put right: said in one line, exit code 2."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input outside the study file itself: weights that do not fit, a folder that cannot be used."""
