"""Headless Chromium for tests that click; they skip, and say why, where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Watched:
    """A page, and what it should not have done: words on the console, errors, requests of its own."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait until something holds: figures are drawn a moment after they are asked for."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to hold")


@contextmanager
def opened(url: str, *, width: int = 1280, height: int = 900) -> Iterator[Watched]:
    """A page in a fresh browser; the requests of the address that was asked for are its own."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 600)
        page = context.new_page()
        page.set_default_timeout(60_000)
        watched = Watched(page)
        page.on("console", lambda message: watched.said.append(message.text))
        page.on("pageerror", lambda error: watched.said.append(str(error)))
        page.on("request", lambda request: watched.asked.append(request.url))
        page.goto(url)
        yield watched
        browser.close()
