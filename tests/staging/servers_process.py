"""A server program of a test: started on a port, killed and started again, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found is not None, f"{name} is missing: sh tools/test-programs.sh installs it"
    return found


class Server:
    """Listens on ``port`` when made."""

    def __init__(self, argv: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port, self._argv, self._log = port, argv, log
        self._environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, cwd="/"
            )
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=10):
                return
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            time.sleep(0.05)
        self.close()
        raise AssertionError(f"{self._argv[0]} does not listen")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
