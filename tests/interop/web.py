"""A web server for jobs: files in, files out, and the ways in which servers misbehave."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote, urlsplit

from tests.interop.grid import PLACE

#: What is asked for below these begins with trouble.
STATUS: Final = {"missing": 404, "forbidden": 403, "broken": 500}
#: A file below this stalls after so many bytes until it is released; what is sent there, before its last byte.
HELD: Final = "held"
HELD_AFTER: Final = 70_000


@dataclass
class Web:
    """What a server has, was given, and was asked for."""

    scheme: str
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    clients: set[str] = field(default_factory=set)  #: subjects of certificates that were shown
    keeps_halves: bool = True  #: what a client was sending when it died stays
    stalled: Counter[str] = field(default_factory=Counter)  #: paths whose transfers have begun to stall
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.scheme}://localhost:{self.port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        del format, args

    def _path(self) -> str:
        # ARC's client asks for whole URLs, as of a proxy
        path = unquote(urlsplit(self.path).path.lstrip("/"))
        self.web.asked[f"{self.command} {path}"] += 1
        if isinstance(self.connection, ssl.SSLSocket) and (shown := self.connection.getpeercert()):
            pairs: list[tuple[str, str]] = [pair for group in shown["subject"] for pair in group]  # type: ignore[misc]
            self.web.clients.add("".join(f"/{value}" for _, value in pairs))
        return path

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        begin, rest = body, b""
        if unquote(urlsplit(self.path).path).startswith(f"/{HELD}/"):
            begin, rest = body[:HELD_AFTER], body[HELD_AFTER:]
        # a client that was killed, or has left the rest
        with contextlib.suppress(ConnectionError):
            self.wfile.write(begin)
            if rest:
                self._stall()
                self.wfile.write(rest)

    def _stall(self) -> None:
        self.web.stalled[unquote(urlsplit(self.path).path).lstrip("/")] += 1
        self.web.released.wait(300)

    def do_GET(self) -> None:
        path = self._path()
        word, _, rest = path.partition("/")
        if word in STATUS:
            self._answer(STATUS[word], b"trouble\n")
        elif word == "moved":
            self._answer(302, Location=self.web.url(rest))
        elif (data := self.web.files.get(path, self.web.given.get(path))) is None:
            self._answer(404)
        else:
            self._file(data)

    def _file(self, data: bytes) -> None:
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if not wanted or self.command == "HEAD":
            self._answer(200, data, Accept_Ranges="bytes", Last_Modified="Fri, 20 Nov 2026 08:00:00 GMT")
            return
        first, _, last = wanted.partition("-")
        start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
        part = data[start : end + 1]
        self._answer(206, part, Content_Range=f"bytes {start}-{end}/{len(data)}")

    do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

    def do_PUT(self) -> None:
        path = self._path()
        word = path.partition("/")[0]
        wanted = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(wanted)
        if word == HELD and not self.web.released.is_set():
            self.web.given[path] = body[:-1]
            self._stall()
            if self._client_is_gone():
                if not self.web.keeps_halves:
                    self.web.given.pop(path, None)
                self.close_connection = True
                return
        if word in STATUS:
            self._answer(STATUS[word], b"trouble\n")
            return
        self.web.given[path] = body
        self._answer(201)

    def _client_is_gone(self) -> bool:
        try:
            more: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return not more

    def do_DELETE(self) -> None:
        self._answer(204 if self.web.given.pop(self._path(), None) is not None else 404)

    def do_MKCOL(self) -> None:
        self._path()
        self._answer(201)


@contextlib.contextmanager
def web(*, tls: bool = False) -> Iterator[Web]:
    """A server on a free port of this host; with ``tls``, one that only talks to holders of a certificate."""
    served = Web("https" if tls else "http")
    handler = type("Handler", (_Handler,), {"web": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.port = server.server_address[1]
    if tls:
        server.socket = _context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _context() -> ssl.SSLContext:
    """It takes proxies (RFC 3820) of the test CA, as servers of grids do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PLACE / "ca/hostcert.pem", PLACE / "ca/hostkey.pem")
    context.load_verify_locations(capath=str(PLACE / "ca/certificates"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    return context
