"""The local page: who is answered and who is not, and what a user's hand on the sliders does."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.explore.bench import bench
from qtaml_hw.explore.server import Desk, LocalServer
from tests.browser import opened
from tests.explore.test_bench import STUDY

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    desk = Desk(bench(parse_study(STUDY)))
    with LocalServer(desk) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def asked(
    server: LocalServer, method: str, path: str, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, body if method == "POST" else None, {**JSON, **(headers or {})})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_it_listens_on_the_loopback_alone_and_its_address_is_a_secret(server: LocalServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    assert LocalServer(server.desk).token != server.token
    status, headers, page = asked(server, "GET", f"/{server.token}/")
    assert status == 200
    assert b"on the bench" in page
    policy = headers["Content-Security-Policy"]
    assert "unsafe-eval" not in policy
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost", ""])
def test_other_hosts_are_refused(server: LocalServer, host: str) -> None:
    assert asked(server, "GET", f"/{server.token}/", headers={"Host": host})[0] == 404


def test_what_comes_from_elsewhere_or_is_none_of_its_questions_is_refused(server: LocalServer) -> None:
    known = f"/{server.token}/known"
    own = f"http://127.0.0.1:{server.server_port}"
    assert asked(server, "POST", known, headers={"Origin": own})[0] == 200
    for path, headers in (
        (known, {"Origin": "http://evil.example"}),
        (known, {"Origin": "null"}),
        (known, {"Content-Type": "text/plain"}),
        ("/known", {}),
        ("/wrong/known", {}),
        (f"/{server.token}/__class__", {}),
        (f"/{server.token}/learn", {}),
    ):
        assert asked(server, "POST", path, headers=headers)[0] == 404
    for path in ("/", "/wrong/", f"/{server.token}/known", f"/{server.token}/../../etc/passwd"):
        assert asked(server, "GET", path)[0] == 404
    for body in (b"[]", b"{", b'{"cell.t_ox": "x"}', b'{"a": 1}', b" " * 20_000):
        assert asked(server, "POST", known, body)[0] == 400


def test_a_port_that_is_taken_is_one_message(server: LocalServer) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        LocalServer(server.desk, server.server_port)


def test_a_hand_on_the_sliders(server: LocalServer, tmp_path: Path) -> None:
    with opened(server.url) as seen:
        page = seen.page
        changes, state, figures = page.locator("#set"), page.locator("#state"), page.locator("#figures")
        page.get_by_label("Oxide thickness t_ox (nm)").fill("1.95")
        page.get_by_text("--set 'cell.t_ox=1.95 nm'", exact=True).wait_for()
        before = figures.inner_text()
        page.locator("input[data-path='cell.temperature']").fill("300")
        changes.filter(has_text="cell.temperature").wait_for()
        assert figures.inner_text() != before
        page.locator("#at-code").select_option("secded-72-64")
        changes.filter(has_text="protection.planes=1").wait_for()
        assert "secded-72-64, 12.5 % of the bits protected" in figures.inner_text()
        page.get_by_label("Refresh interval (µs)").fill("0.001")
        page.locator("#error").filter(has_text="refresh takes").wait_for()
        page.get_by_label("Refresh interval (µs)").fill("12")
        page.locator("#error").wait_for(state="hidden")
        page.locator("#measure").click()
        state.filter(has_text=re.compile("^1 measured")).wait_for()
        assert page.locator("#points .point").count() >= 1
        with page.expect_download() as download:
            page.locator("#save").click()
        saved = tmp_path / "saved.yaml"
        download.value.save_as(saved)
        study = parse_study(saved.read_text())
        assert (study.cell.t_ox_m, study.protection.menu) == (pytest.approx(1.95e-9), ("secded-72-64",))
        assert seen.said == []
        own = f"http://127.0.0.1:{server.server_port}/{server.token}/"
        assert [url for url in seen.asked if not url.startswith((own, "blob:"))] == []
    assert json.loads(asked(server, "POST", f"/{server.token}/state")[2])["measured"][0]["maps"] == 3
