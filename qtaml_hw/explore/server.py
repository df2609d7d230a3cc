"""The bench as a page of this machine alone: loopback, a random token in its address, no request to anywhere else.

Standard library's server; what a page may ask is a row of ``_ANSWERS``.  A request with another host name, another
origin or without the token is refused, so that no other page in the same browser can ask.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from qtaml_hw.errors import InputError, in_one_line
from qtaml_hw.explore.bench import Bench
from qtaml_hw.records.text import plain
from qtaml_hw.report.scripts import LIBRARY, Script, embedded, script

HOST: Final = "127.0.0.1"
_NAMES: Final = (HOST, "localhost")
_LONGEST_BODY: Final = 10_000
_PAGE: Final = "templates/bench.js"


@dataclass(eq=False)
class Desk:
    """The bench, and what is being measured on it in the background."""

    bench: Bench
    _running: int = field(default=0, init=False)
    _errors: list[str] = field(default_factory=list, init=False)
    _learning: bool = field(default=False, init=False)

    def known(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """Closed forms at a place."""
        return self.bench.known(places)

    def text(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """The study at a place as a file, which the browser saves."""
        return {"name": f"{plain(self.bench.study.label, 60)}.yaml", "text": self.bench.text(places)}

    def measure(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to measure; ``state`` tells when it is done."""
        self.bench.at(places)  # what cannot be is said at once
        self._begin(lambda: self.bench.measure(places))
        return self.state({})

    def state(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """What has been measured, and how much is on its way."""
        return {
            "measured": self.bench.measured,
            "running": self._running,
            "learning": self._learning,
            "errors": self._errors,
        }

    def learn(self) -> None:
        """Measure the network's own curve in the background, for predicted scores."""
        self._learning = True
        self._begin(self._learn)

    def _learn(self) -> None:
        try:
            self.bench.learn()
        finally:
            self._learning = False

    def _begin(self, work: Callable[[], object]) -> None:
        def carried_out() -> None:
            try:
                work()
            except Exception as error:  # whatever it is, the page says it and goes on
                self._errors.append(str(error) if isinstance(error, InputError) else in_one_line(error))
            finally:
                self._running -= 1

        self._running += 1
        threading.Thread(target=carried_out, daemon=True).start()


_ANSWERS: Final[Mapping[str, Callable[[Desk, Mapping[str, Any]], dict[str, Any]]]] = {
    "known": Desk.known,
    "measure": Desk.measure,
    "state": Desk.state,
    "text": Desk.text,
}


def bench_page(desk: Desk) -> tuple[str, str]:
    """The page, and its content security policy."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("qtaml_hw.explore"), PackageLoader("qtaml_hw.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    scripts: tuple[Script, ...] = (script(LIBRARY), script(_PAGE, "qtaml_hw.explore"))
    allowed = " ".join(f"'sha256-{one.digest}'" for one in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    text = environment.get_template("bench.html.j2").render(
        title=plain(desk.bench.study.label, 120), controls=embedded(desk.bench.controls.as_dict()), scripts=scripts
    )
    return text, policy


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    timeout = 30
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._allowed() or self.path != f"/{self.server.token}/":
            self._say(404, b"there is nothing here\n", "text/plain")
            return
        text, policy = bench_page(self.server.desk)
        self._say(200, text.encode(), "text/html", policy)

    def do_POST(self) -> None:
        start, _, name = self.path.rpartition("/")
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        if (
            not self._allowed()
            or start != f"/{self.server.token}"
            or name not in _ANSWERS
            or kind != "application/json"
        ):
            self.close_connection = True
            self._say(404, b"there is nothing here\n", "text/plain")
            return
        self._say(*self._answer(name), "application/json")

    def _answer(self, name: str) -> tuple[int, bytes]:
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= _LONGEST_BODY:
                raise InputError("a request is a short list of places")
            places = json.loads(self.rfile.read(length))
            if not isinstance(places, dict):
                raise InputError("a request is an object of places")
            found = _ANSWERS[name](self.server.desk, places)
            return 200, json.dumps(found, allow_nan=False).encode()
        except (InputError, ValueError) as error:
            return 400, json.dumps(
                {"error": in_one_line(error) if not isinstance(error, InputError) else str(error)}
            ).encode()

    def _allowed(self) -> bool:
        """Whether the request names this machine by a loopback name, and comes from no other page."""
        here = [f"{name}:{self.server.server_port}" for name in _NAMES]
        origin = self.headers.get("Origin")
        return self.headers.get("Host") in here and (origin is None or origin in [f"http://{name}" for name in here])

    def _say(self, status: int, body: bytes, kind: str, policy: str = "default-src 'none'") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to the user."""


class LocalServer(ThreadingHTTPServer):
    """A server of one desk on the loopback interface; ``port`` 0 takes a free one.

    Raises InputError when the port is taken.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self.desk = desk
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} of {HOST} cannot be used: {error.strerror}; --port 0 takes a free one"
            ) from error

    @cached_property
    def token(self) -> str:
        """A secret of this run, in the address that only its user is told."""
        return secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"
