"""
FTP with the connection of fsspec, but with commands of our own for facts and transfers.

fsspec looks for a file in the listing of its directory and takes every failure for "not there"; and it opens and breaks
a data connection for each block. Source: RFC 959; RFC 3659 (MLST, SIZE, MDTM, REST).
"""

from __future__ import annotations

import contextlib
import ftplib
import re
import socket
import time
from typing import Any, Final

from arex.staging.movers.base import ErrorKind, FileInfo, TransferError
from arex.staging.movers.fsspec.errors import facts, refused
from arex.staging.movers.fsspec.storage import Storage  # first, because it says how to install fsspec

# isort: split
from fsspec.implementations.ftp import FTPFileSystem  # type: ignore[import-untyped]

_PIECE: Final = 64 * 1024
#: Bytes are collected for this time before they are passed on.
_GATHER_S: Final = 0.5
_UNKNOWN: Final = frozenset({"500", "501", "502", "504"})
_FULL: Final = re.compile(r"no space|space left|quota|disk full|storage", re.IGNORECASE)
_DENIED: Final = re.compile(r"denied|permi|privilege|not allowed|forbidden", re.IGNORECASE)


def is_ftp(system: object) -> bool:
    return isinstance(system, FTPFileSystem)


class FtpStorage(Storage):
    """As ``Storage``."""

    def __init__(self, system: Any, path: str) -> None:  # noqa: ANN401 - the library has no types
        super().__init__(system, path)
        self._ftp: ftplib.FTP = system.ftp
        self._line: socket.socket | None = None
        self._at = 0
        self._mlst = True

    def look_at(self, path: str) -> FileInfo:
        self._drain()
        try:
            return self._asked(path)
        except ftplib.Error as exc:
            raise said(exc) from exc

    def _asked(self, path: str) -> FileInfo:
        if self._mlst:
            try:
                return facts(_mlst(self._ftp.sendcmd(f"MLST {path}")))
            except ftplib.error_perm as exc:
                if str(exc)[:3] not in _UNKNOWN:
                    raise
                self._mlst = False
        self._ftp.voidcmd("TYPE I")  # SIZE may differ in other modes
        size = self._ftp.size(path)
        modified = ""
        with contextlib.suppress(ftplib.error_perm):
            modified = self._ftp.voidcmd(f"MDTM {path}")[4:].strip()
        return facts({"size": size, "mtime": modified})

    def _drain(self) -> None:
        """Read the reply about the last transfer, which the server sends before any other reply."""
        if self._line is not None and self._line.recv(1):
            raise TransferError(ErrorKind.TEMPORARY, "the file has grown during the transfer")
        self._close()

    def read(self, offset: int, size: int) -> bytes:
        if self._line is None:
            self._at = offset
            self._open(f"RETR {self.path}", offset)
        assert self._line is not None
        assert offset == self._at
        data, until = bytearray(), time.monotonic() + _GATHER_S
        while len(data) < size and time.monotonic() < until:
            piece = self._line.recv(min(_PIECE, size - len(data)))
            if not piece:
                break
            data += piece
        self._at += len(data)
        if not data and not self.left:
            self._close()
        return bytes(data)

    def make_room(self) -> None:
        made = ""
        for name in self.above.split("/")[1:]:
            made = f"{made}/{name}"
            self._enter(made)

    def _enter(self, directory: str) -> None:
        try:
            self._ftp.cwd(directory)
        except ftplib.error_perm:
            try:
                self._ftp.mkd(directory)
            except ftplib.error_perm:
                self._ftp.cwd(directory)  # another client has created it; otherwise this raises the reason

    def begin(self) -> None:
        self._open(f"STOR {self.name}", 0)

    def write(self, data: bytes) -> None:
        assert self._line is not None
        try:
            self._line.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            self._close()  # the reply may have the reason
            raise

    def complete(self) -> None:
        self._close()

    def remove(self, path: str) -> None:
        self._ftp.delete(path)

    def _open(self, command: str, offset: int) -> None:
        self._ftp.voidcmd("TYPE I")
        self._line = self._ftp.transfercmd(command, offset or None)

    def _close(self) -> None:
        """Close the data connection; the server's reply to that may be an error."""
        line, self._line = self._line, None
        if line is not None:
            _part(line)
            self._ftp.voidresp()

    def hang_up(self) -> None:
        super().hang_up()
        if (line := self._line) is not None:
            with contextlib.suppress(OSError):
                # not the method of a TLS socket, which would remove the session that the thread still uses
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def end(self) -> None:
        try:
            if self.name:
                with contextlib.suppress(ftplib.Error, OSError, EOFError):
                    self._close()
                super().end()
            elif (line := self._line) is not None:
                line.close()
        finally:
            self._ftp.close()


def _part(line: socket.socket) -> None:
    """Close a connection; with TLS so that the server can distinguish it from a broken one."""
    try:
        if hasattr(line, "unwrap"):
            with contextlib.suppress(OSError, ValueError):
                line.unwrap()
    finally:
        line.close()


def _mlst(answer: str) -> dict[str, Any]:
    """``250-Listing / type=file;size=5;modify=20240101120000; /x / 250 End``."""
    line = next((each for each in answer.splitlines()[1:] if each.startswith(" ")), "")
    pairs = (pair.partition("=") for pair in line.strip().partition(" ")[0].split(";") if pair)
    found = {name.lower(): value for name, _, value in pairs}
    if not found.get("size", "0").isdigit():
        found.pop("size")
    kind = found.get("type", "file").lower()
    link = kind.startswith("os.unix=s")
    size, modified, unique = (found.get(name, "") for name in ("size", "modify", "unique"))
    return {
        "type": "file" if kind == "file" or link else "directory",
        "size": size or None,
        "mtime": modified,
        # the id of a file alone says nothing about its content, but the time has a resolution of seconds
        "etag": f'"{unique}-{modified}-{size}"' if unique and modified else "",
    }


def said(exc: ftplib.Error) -> TransferError:
    """The error for a reply; servers use 550 for many reasons."""
    text = " ".join(str(exc).split())[:200]
    code = text[:3]
    if code in {"452", "552"} or _FULL.search(text):
        return TransferError(
            ErrorKind.NO_SPACE, f"No space left on device: {text}", cure="make room, or raise the quota"
        )
    if code in {"530", "532", "332", "331"}:
        return refused(f"Permission denied: {text}")
    if code == "550" and not _DENIED.search(text):
        return TransferError(ErrorKind.NOT_FOUND, f"No such file or directory: {text}")
    if code in {"550", "553"}:
        return refused(f"Permission denied: {text}")
    if code.startswith("5"):
        return TransferError(ErrorKind.PERMANENT, f"Operation not permitted: {text}")
    return TransferError(ErrorKind.TEMPORARY, text or "the server closed the connection")
