"""The page in a real browser: no overflow at desktop and phone width, every figure there, nothing on the console."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WIDTHS = (1280, 390)
PROBE = """<!doctype html>%s<p id="out"></p><script>
const said = [];
addEventListener('load', () => {
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument, root = page.documentElement, width = root.clientWidth;
    const wide = [...page.querySelectorAll('main *')].filter(
      e => e.getBoundingClientRect().right > width + 1 && !e.closest('.scroll') && !e.closest('svg'));
    const small = [...page.querySelectorAll('svg text')].filter(e => e.getBoundingClientRect().height < 7);
    const drawn = [...page.querySelectorAll('figure svg')].filter(e => e.getBoundingClientRect().height > 60);
    said.push([frame.width, root.scrollWidth - width, wide.length, small.length, drawn.length].join(','));
  }
  document.getElementById('out').textContent = 'PROBE ' + said.join(' ') + ' END';
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_no_overflow_and_every_figure_at_desktop_and_phone_width(
    tmp_path: Path, sweep_store: tuple[Path, tuple[Path, ...]]
) -> None:
    _, files = sweep_store
    page = html.escape(files[0].read_text())
    frames = "".join(f'<iframe width="{w}" height="900" srcdoc="{page}"></iframe>' for w in WIDTHS)
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE % frames)
    done = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=4000",
            "--window-size=1400,1000",
            "--dump-dom",
            probe.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    match = re.search(r"PROBE ([0-9, -]+) END", done.stdout)
    assert match is not None, done.stderr[-2000:]
    figures = sum(f.suffix == ".svg" for f in files)
    assert match[1].split() == [f"{w},0,0,0,{figures}" for w in WIDTHS]
    assert "CONSOLE" not in done.stderr
