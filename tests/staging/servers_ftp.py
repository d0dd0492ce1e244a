"""An FTP server in a separate process: a user with a password, and places where disks are full."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.staging.servers import free_port
from tests.staging.servers_process import Server

_NEW = {"MLST", "MLSD"}
_HOLD_AT = 2_500_000
USER, PASSWORD = "grid", "hush hush/pass"


class Ftpd:
    """``files`` is what its user sees as ``/``; ``home`` has the options for fsspec."""

    def __init__(self, root: Path, *, rate: int = 0, old: bool = False) -> None:
        self.files = root / "files"
        self.files.mkdir(parents=True)
        self.log, self._hold = root / "log", root / "hold"
        port = free_port()
        argv = [sys.executable, "-m", "tests.staging.servers_ftp", str(self.files), str(port), str(rate), str(int(old))]
        tree = str(Path(__file__).parents[2])
        self.server = Server(argv, port, self.log, {"PYTHONPATH": tree, "PYTHONWARNINGS": "ignore"})
        self.options = root / "fsspec.json"
        self.allow(PASSWORD)

    def allow(self, password: str) -> None:
        self.options.touch(mode=0o600)
        self.options.write_text(json.dumps({self.url("/"): {"username": USER, "password": password, "timeout": 600}}))

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Meanwhile no transfer of a server with a rate goes on after the middle of ``test_fsspec.SLOW``."""
        self._hold.touch()
        try:
            yield
        finally:
            self._hold.unlink(missing_ok=True)

    def url(self, path: str, options: str = "") -> str:
        return f"ftp://127.0.0.1:{self.server.port}{options}{path}"

    def stop(self) -> None:
        """Silence, with connections that stay."""
        os.kill(self.server._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.server._process.pid, signal.SIGCONT)

    def names(self, directory: str = "") -> list[str]:
        return sorted(path.name for path in (self.files / directory).iterdir())


class _Full(io.FileIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 200_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data) or 0


def main(root: str, port: int, rate: int, *, old: bool) -> None:  # noqa: C901 - it has the classes
    from pyftpdlib.authorizers import DummyAuthorizer  # type: ignore[import-untyped]  # noqa: PLC0415
    from pyftpdlib.filesystems import AbstractedFS  # type: ignore[import-untyped]  # noqa: PLC0415
    from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler  # type: ignore[import-untyped]  # noqa: PLC0415
    from pyftpdlib.servers import FTPServer  # type: ignore[import-untyped]  # noqa: PLC0415

    hold = Path(root).with_name("hold")

    class Files(AbstractedFS):  # type: ignore[misc]
        def open(self, filename: str, mode: str) -> Any:
            if "/full/" in filename and "r" not in mode:
                return _Full(filename, "w")
            return super().open(filename, mode)

    class Lines(ThrottledDTPHandler):  # type: ignore[misc]
        read_limit = write_limit = rate

        _datacount: int

        def handle_error(self) -> None:
            """With the reply that RFC 959 has for it; pyftpdlib loses the reason."""
            cause = sys.exc_info()[1]
            if isinstance(cause and cause.__context__, OSError):
                self._resp = ("452 Insufficient storage space in system.", str)
                self.close()
            else:
                super().handle_error()

        def _throttle_bandwidth(self, moved: int, speed: int) -> None:
            """More evenly than once a second."""
            self._datacount += moved
            if self._datacount >= speed / 20 or self._held():
                pause, self._datacount = self._datacount / speed, 0
                self.del_channel()
                self._throttler = self.ioloop.call_later(pause, self._go_on, _errback=self.handle_error)

        def _held(self) -> bool:
            return self.get_transmitted_bytes() > _HOLD_AT and hold.exists()

        def _go_on(self) -> None:
            if self._held():
                self._throttler = self.ioloop.call_later(0.02, self._go_on, _errback=self.handle_error)
                return
            self.add_channel(events=self.ioloop.READ if self.receive else self.ioloop.WRITE)

    class Handler(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()
        abstracted_fs = Files
        dtp_handler = Lines
        auth_failed_timeout = 0.1

    if old:
        Handler.proto_cmds = {name: each for name, each in FTPHandler.proto_cmds.items() if name not in _NEW}
    Handler.authorizer.add_user(USER, PASSWORD, root, perm="elradfmwMT")
    Handler.authorizer.add_anonymous(root)
    FTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), old=sys.argv[4] == "1")
