"""
One file of one storage, through fsspec. Everything here blocks, and is called by one thread.

If the file system can rename, a file is written under another name first; the others are object stores, where an
object appears when it is closed.
Source: documentation of fsspec, AbstractFileSystem and AbstractBufferedFile.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

from arex.config.codec import near
from arex.staging.movers.base import ErrorKind, FileInfo, TransferError, cancelled
from arex.staging.movers.fsspec.allowed import Reach
from arex.staging.movers.fsspec.errors import facts

try:
    from fsspec import get_filesystem_class  # type: ignore[import-untyped]
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]
    from fsspec.config import conf  # type: ignore[import-untyped]
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(f"the package {exc.name} is missing: pip install 'arex[fsspec]'") from exc

# settings of the account and its environment for a scheme would be sent to every host
conf.clear()

#: Bytes in one request. Object stores need at least this, in multiples of 256 kB.
_BLOCK: Final = 5 * 1024 * 1024


class Storage:
    """Call ``look``, then ``read``; or ``create``, ``write``, ``finish``. Finally call ``end``, also after an error."""

    def __init__(self, system: Any, path: str) -> None:  # noqa: ANN401 - the library has no types
        self.system, self.path = system, path
        cls = type(system)
        self._renames = cls.mv is not AbstractFileSystem.mv and not isinstance(system, AsyncFileSystem)
        self._file: Any = None
        #: the temporary name, until the file has its final name
        self.name = ""
        #: the caller has left; set by another thread
        self.left = False

    @property
    def above(self) -> str:
        return self.path.rpartition("/")[0]

    def look(self) -> FileInfo:
        return self.look_at(self.path)

    def look_at(self, path: str) -> FileInfo:
        self.system.invalidate_cache()
        return facts(self.system.info(path))

    # --- in -----------------------------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes; empty only at the end of the file."""
        if self._file is None:
            self._file = self.system.open(self.path, "rb")
        if self._file.tell() != offset:
            self._file.seek(offset)
        return bytes(self._file.read(size))

    # --- out ----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        half = f"{self.above}/.arex-{secrets.token_hex(8)}.part"
        if self._renames:
            self.make_room()
        self.name = half if self._renames else self.path
        self.begin()

    def make_room(self) -> None:
        """Create the directories above the file."""
        if self.above:
            self.system.makedirs(self.above, exist_ok=True)

    def begin(self) -> None:
        self._file = self.system.open(self.name, "wb", block_size=_BLOCK)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self, size: int, *, overwrite: bool) -> None:
        """Complete the file: check that all ``size`` bytes are there, and give it its final name."""
        if not overwrite and not self._renames:
            self._must_be_free()
        self.complete()
        found = self.look_at(self.name).size
        if found is not None and found != size:
            raise TransferError(ErrorKind.TEMPORARY, f"the storage has {found} bytes of {size} that were sent")
        if self._renames:
            if not overwrite:
                self._must_be_free()
            if self.left:
                raise cancelled()
            self._publish(size, overwrite=overwrite)
        self.name = ""

    def complete(self) -> None:
        file, self._file = self._file, None
        try:
            file.close()
        except BaseException:
            _abandon(file)
            raise

    def _publish(self, size: int, *, overwrite: bool) -> None:
        """Rename to the final name; not all storages replace an existing file, and not all report that they did not."""
        try:
            self.system.mv(self.name, self.path)
            if not self.is_there(self.name):
                return
            refusal: Exception = TransferError(ErrorKind.TEMPORARY, "the storage failed to rename the file")
        except Exception as exc:  # noqa: BLE001 - libraries raise what they like; it is raised below
            refusal = exc
        if not overwrite or not self.is_there(self.path):
            raise refusal
        self.remove(self.path)
        self.system.mv(self.name, self.path)
        if self.look().size not in {size, None}:
            raise refusal

    def _must_be_free(self) -> None:
        if self.is_there(self.path):
            raise TransferError(ErrorKind.PERMANENT, "the target already exists (created during the transfer)")

    def is_there(self, path: str) -> bool:
        try:
            self.look_at(path)
        except FileNotFoundError:
            return False
        except TransferError as exc:
            if exc.verdict is ErrorKind.NOT_FOUND:
                return False
            if exc.verdict is not ErrorKind.PERMANENT:  # no answer
                raise
        return True

    def remove(self, path: str) -> None:
        self.system.rm_file(path)

    # --- the end ------------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Called by another thread: publish nothing, and end the current call soon if possible."""
        self.left = True

    def end(self) -> None:
        """Remove an incomplete file, if the storage answers; failures of that are ignored."""
        file, self._file = self._file, None
        if file is not None:
            _abandon(file)
        if self.name and self._renames:
            with contextlib.suppress(Exception):
                self.remove(self.name)
        self.name = ""


def _abandon(file: Any) -> None:  # noqa: ANN401
    """Drop an incomplete file; ``close`` or the destructor would complete it."""
    with contextlib.suppress(Exception):
        if not isinstance(file, AbstractBufferedFile):
            file.close()
        elif "r" not in file.mode:
            file.closed = True
            file.discard()
        else:
            file.close()


# --- which file system ------------------------------------------------------------------------------------------


def connect(what: Reach) -> tuple[Any, str]:
    """The file system for a URL, and the path in it. Some file systems connect here already."""
    try:
        cls = get_filesystem_class(what.scheme)
    except ImportError as exc:
        said = " ".join(str(exc).split())[:200]
        raise TransferError(ErrorKind.PERMANENT, f"fsspec lacks a package for {what.scheme}: {said}") from exc
    except ValueError as exc:
        raise TransferError(ErrorKind.PERMANENT, f"fsspec does not support {what.scheme}:") from exc
    if names := sorted(filter(near, _protocols(cls))):
        raise TransferError(
            ErrorKind.PERMANENT, f"{what.scheme}: is another name of {names[0]}:, which jobs are not allowed to use"
        )
    # host and container of the URL take precedence over the options
    named = {key: value for key, value in cls._get_kwargs_from_urls(what.url).items() if value is not None}
    system = cls(**{**what.options, **named}, skip_instance_cache=True)
    return system, cls._strip_protocol(what.url)


def _protocols(cls: type) -> Iterator[str]:
    """All protocol names of a file system and of its base classes."""
    for base in cls.__mro__:
        names = base.__dict__.get("protocol", ())
        yield from [names] if isinstance(names, str) else names
