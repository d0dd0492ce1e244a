"""Servers to stage from and to: a real nginx with what sites have, and a small one that does what nginx never would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TOKEN = "abcdefgh.token"
_LOG = '$server_port $request_method $request_uri $status $body_bytes_sent "$http_range" "$http_authorization"'


#: Abstract sockets that say which ports have been given out to this process.
_claims: Final[list[socket.socket]] = []
_dice: Final = random.SystemRandom()


def free_port() -> int:
    """A port that stays free until a server takes it: of those that no connection gets, and given out once."""
    while True:
        port = _dice.randrange(20_000, 32_000)  # connections have 32768 and up. Source: ip(7)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0arex-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port


@dataclass(frozen=True)
class Hit:
    """One line of nginx's access log."""

    port: int
    method: str
    path: str
    status: int
    sent: int  #: bytes of the body
    range: str
    authorization: str


class Authority:
    """A certificate authority, a server's certificate and a user's, and a hashed directory to trust it by."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "certificates"
        self.directory.mkdir(parents=True)
        ca = ["-CA", f"{root}/ca.pem", "-CAkey", f"{root}/ca.key"]
        self._make("ca", "/CN=Test Authority", "basicConstraints=critical,CA:TRUE", [])
        self._make("server", "/CN=localhost", "subjectAltName=IP:127.0.0.1,DNS:localhost", ca)
        self._make("user", "/DC=org/CN=Some User", "extendedKeyUsage=clientAuth", ca)
        self.user = root / "user.both"
        self.user.write_bytes((root / "user.pem").read_bytes() + (root / "user.key").read_bytes())
        self.user.chmod(0o600)
        shutil.copy(root / "ca.pem", self.directory)
        _run("openssl", "rehash", str(self.directory))

    def _make(self, name: str, subject: str, extension: str, signer: list[str]) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{self.root}/{name}.key"]
        out = ["-out", f"{self.root}/{name}.pem", "-days", "2", "-subj", subject, "-addext", extension]
        _run("openssl", "req", "-x509", *key, *out, *signer)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr


class Nginx:
    """Started with a separate configuration, as this user, on free ports."""

    def __init__(self, root: Path, authority: Authority) -> None:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None, "nginx is missing: sh tools/test-programs.sh installs it"
        self.files, self.dav = root / "www" / "files", root / "www" / "dav"
        self.files.mkdir(parents=True)
        self.dav.mkdir()
        (root / "tmp").mkdir()
        self.port, self.tls, self.other = free_port(), free_port(), free_port()
        self._log = root / "access.log"
        (root / "nginx.conf").write_text(self._conf(root, authority))
        self._process = subprocess.Popen(
            [program, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait(root)

    def http(self, path: str, options: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{options}{path}"

    def https(self, path: str, options: str = "") -> str:
        return f"https://127.0.0.1:{self.tls}{options}{path}"

    def hits(self, since: int = 0) -> list[Hit]:
        """All requests that were answered before this call: a last one of our own makes sure that they are listed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as mark:
            mark.sendall(b"GET /mark HTTP/1.0\r\n\r\n")
            while mark.recv(4096):
                continue
        found = []
        for line in [text for text in self._log.read_text().splitlines() if " /mark " not in text][since:]:
            plain, *quoted = line.split('"')
            port, method, path, status, sent = plain.split()
            found.append(Hit(int(port), method, path, int(status), int(sent), quoted[0], quoted[2]))
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _wait(self, root: Path) -> None:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls), timeout=10):
                return
            assert self._process.poll() is None, (root / "error.log").read_text()
            time.sleep(0.05)
        raise AssertionError("nginx does not listen")

    def _conf(self, root: Path, authority: Authority) -> str:
        temporary = "".join(
            f"{kind}_temp_path {root}/tmp/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""
            {"user root root;" if os.geteuid() == 0 else ""}
            daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
            events {{ worker_connections 1024; }}
            http {{
              {temporary}
              log_format facts '{_LOG}'; access_log {root}/access.log facts;
              root {root}/www; client_max_body_size 0; keepalive_requests 100000; etag on;
              server {{ listen 127.0.0.1:{self.port}; {self._places()} }}
              server {{ listen 127.0.0.1:{self.other}; {self._places()} }}
              server {{
                listen 127.0.0.1:{self.tls} ssl;
                ssl_certificate {authority.root}/server.pem; ssl_certificate_key {authority.root}/server.key;
                ssl_client_certificate {authority.root}/ca.pem; ssl_verify_client optional;
                location /cert/ {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }} alias {root}/www/files/; }}
                location /token/ {{ if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}
                                    alias {root}/www/files/; }}
                location /down/ {{ return 302 http://127.0.0.1:{self.other}/files/small; }}
                location /away/ {{ return 307 https://localhost:{self.tls}/files/small; }}
                {self._places()}
              }}
            }}"""

    def _places(self) -> str:
        moved = "".join(
            f"location ~ ^/{code}/(.*) {{ return {code} http://127.0.0.1:{self.other}/$1; }}\n"
            for code in (301, 302, 303, 307, 308)
        )
        return f"""
            location /files/ {{ }}
            {moved}
            location /loop {{ return 302 /loop; }}
            location /odd {{ return 302 gopher://x/y; }}
            location /hostless {{ return 302 https:; }}
            location /denied {{ return 403; }}
            location /who {{ return 401; }}
            location /broken {{ return 500; }}
            location /busy {{ add_header Retry-After 7 always; return 503; }}
            location /slow/ {{ limit_rate 60k; alias {self.files}/; }}
            location /steady/ {{ limit_rate 3m; alias {self.files}/; }}
            location /dav/ {{ dav_methods PUT DELETE MKCOL; }}
            location /locked/ {{ limit_except GET {{ deny all; }} }}
        """


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Odd:
    """Answers as a test says; a path without a behaviour is not found. Every request has its own connection."""

    port: int = 0
    answers: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str, options: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{options}{path}"

    def count(self, method: str, path: str) -> int:
        return sum((each.method, each.path) == (method, path) for each in self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            request = Request(method, path, headers)
            self.requests.append(request)
            answer = self.answers.get(path)
            if answer is None:
                writer.write(b"HTTP/1.1 404 Not Here\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            else:
                await answer(request, writer)
            await writer.drain()
        writer.close()


def head(status: str, length: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def offset_of(request: Request) -> int:
    return int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


def part_of(content: bytes, request: Request, **headers: str) -> bytes:
    """A correct answer, of a range if one is asked for."""
    start = offset_of(request)
    if not start:
        return head("200 OK", len(content), **headers) + content
    headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return head("206 Partial Content", len(content) - start, **headers) + content[start:]
