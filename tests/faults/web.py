"""A slow web server that remembers whom it served with what: for tests that kill its clients."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_CHUNK: Final = 8 * 1024


@dataclass
class SlowWeb:
    """Its files, what was put, and every GET in order."""

    pause_s: float  #: after each 8 kB, so that a kill finds transfers under way
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)
    gets: list[tuple[str, int]] = field(default_factory=list)  #: path, first byte
    puts: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: SlowWeb

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        del format, args

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _found(self) -> tuple[str, bytes | None]:
        path = self.path.lstrip("/")
        return path, self.web.files.get(path, self.web.given.get(path))

    def do_HEAD(self) -> None:
        _, data = self._found()
        if data is None:
            self._answer(404, Content_Length="0")
        else:
            self._answer(200, Content_Length=str(len(data)), ETag=etag(data), Accept_Ranges="bytes")

    def do_GET(self) -> None:
        path, data = self._found()
        if data is None:
            self._answer(404, Content_Length="0")
            return
        start = self._start(data)
        self.web.gets.append((path, start))
        about = {"ETag": etag(data), "Accept_Ranges": "bytes", "Content_Length": str(len(data) - start)}
        if start:
            self._answer(206, **about, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self._answer(200, **about)
        with contextlib.suppress(ConnectionError):
            for at in range(start, len(data), _CHUNK):
                self.wfile.write(data[at : at + _CHUNK])
                time.sleep(self.web.pause_s)

    def _start(self, data: bytes) -> int:
        wanted = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        same = self.headers.get("If-Range", etag(data)) == etag(data)
        return int(wanted) if wanted and same and int(wanted) < len(data) else 0

    def do_PUT(self) -> None:
        path = self.path.lstrip("/")
        left, parts = int(self.headers.get("Content-Length", "0")), []
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        while left and (part := self.rfile.read(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
            time.sleep(self.web.pause_s)
        if left:
            self.close_connection = True
            return
        self.web.puts.append(path)
        self.web.given[path] = b"".join(parts)
        self._answer(201, Content_Length="0")


def etag(data: bytes) -> str:
    return f'"{hashlib.sha1(data).hexdigest()}"'


@contextlib.contextmanager
def slow_web(pause_s: float) -> Iterator[SlowWeb]:
    """A server on a free port of this host."""
    web = SlowWeb(pause_s)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web}))
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
