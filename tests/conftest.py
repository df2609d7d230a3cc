"""Shared test settings: one seed style, deterministic hypothesis runs, no network, no user cache."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("qtaml", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("qtaml")
