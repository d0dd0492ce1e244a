"""
File operations that cannot leave the session directory.

The payload owns the files there and can replace any component of a path by a symbolic link at any time. So each
component is opened relative to the descriptor of its parent directory, without following links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from arex.controldir import trees
from arex.errors import UnsafePath


def parts_of(name: str) -> tuple[str, ...]:
    """
    Split a name relative to a session directory into components; a leading slash, which ARC writes, is ignored.

    Raises:
        UnsafePath: the name refers to the directory itself, or contains ``..`` or a NUL character.
    """
    parts = tuple(part for part in name.split("/") if part and part != ".")
    if not parts or ".." in parts or "\0" in name:
        raise UnsafePath(f"not a name inside the session directory: {name!r}")
    return parts


def open_root(root: Path, need: int = trees.READ) -> int:
    """
    Open a session directory, and give its owner the permissions ``need``; the caller closes the descriptor.

    While a job runs in a scratch directory that is also visible on the front end, its session directory is replaced by
    a link to a directory of the same name. Only such a link is followed.

    Raises:
        UnsafePath: the directory is any other link, or not a directory.
    """
    try:
        return trees.open_directory(root, need).fd
    except NotADirectoryError as exc:
        if not leads_to_scratch(root):
            raise UnsafePath(f"{root} is a link, or not a directory") from exc
        return trees.open_directory(_followed(root), need).fd


def _followed(root: Path) -> Path:
    return Path(os.readlink(root)) if leads_to_scratch(root) else root


def leads_to_scratch(root: Path) -> bool:
    """Whether a session directory is a link to a directory elsewhere that has the same name."""
    try:
        target = os.readlink(root)
    except OSError:
        return False
    return os.path.isabs(target) and os.path.basename(target) == root.name and ".." not in target.split("/")


@contextlib.contextmanager
def parent_of(root: Path, name: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """
    Open the parent directory of ``name`` below ``root``; yields its descriptor and the last component of the name.

    Directories on the way that their owner, this account, has closed are opened up, with ``create`` also for writing.

    Raises:
        UnsafePath: a component is a symbolic link or not a directory.
        FileNotFoundError: a component is missing and ``create`` is off.
    """
    *above, last = parts_of(name)
    fd = open_root(root, trees.CHANGE if create else trees.READ)
    try:
        for part in above:
            fd = _descend(fd, part, name, create=create)
        yield fd, last
    finally:
        os.close(fd)


def _descend(fd: int, part: str, name: str, *, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=fd)
    try:
        below = trees.open_directory(part, trees.CHANGE if create else trees.READ, fd).fd
    except FileNotFoundError:
        raise
    except PermissionError as exc:
        raise UnsafePath(f"{name!r}: {part!r} can't be opened: {exc.strerror}") from exc
    except OSError as exc:
        raise UnsafePath(f"{name!r}: {part!r} is a link, or not a directory") from exc
    os.close(fd)
    return below


def open_file(
    root: Path, name: str, flags: int = os.O_RDONLY, mode: int = 0o600, *, create_parents: bool = False
) -> int:
    """
    Open a regular file below ``root``; the caller closes the descriptor.

    Raises:
        UnsafePath: a component is a link, or the name is not a regular file.
        FileNotFoundError: the file does not exist.
    """
    with parent_of(root, name, create=create_parents) as (fd, last):
        try:
            found = os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode, dir_fd=fd)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise UnsafePath(f"{name!r} can't be opened without following a link: {exc.strerror}") from exc
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise UnsafePath(f"{name!r} is not a regular file")
    return found


def size_of(root: Path, name: str) -> int | None:
    """Size in bytes of a regular file below ``root``; None if it does not exist or is not a regular file."""
    try:
        with parent_of(root, name) as (fd, last):
            info = os.stat(last, dir_fd=fd, follow_symlinks=False)
    except (FileNotFoundError, UnsafePath):
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None


def make_executable(root: Path, name: str) -> bool:
    """Set the x bits of a file; False if the name is not an existing regular file."""
    try:
        fd = open_file(root, name)
    except (FileNotFoundError, UnsafePath):
        return False
    try:
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) | 0o100)
    finally:
        os.close(fd)
    return True


def cursor(root: Path) -> trees.Cursor:
    """
    The top of a session directory, to walk in it; the caller closes it.

    Raises:
        UnsafePath: it is a link, or not a directory.
    """
    try:
        return trees.Cursor(_followed(root))
    except NotADirectoryError as exc:
        raise UnsafePath(f"{root} is a link, or not a directory") from exc


def keep_only(root: Path, names: Collection[str]) -> trees.Obstacles:
    """
    Remove everything below ``root`` except these files and directories, with all their content; returns what could not
    be removed.

    Raises:
        UnsafePath: ``root`` is a link, or not a directory, or a name leads out of it.
        OSError: a passing condition, for example a read-only file system: repeat it later.
    """
    return trees.keep_only(_followed(root), [parts_of(name) for name in names])


def remove_tree(path: Path) -> None:
    """
    Remove a directory tree if it exists; a symbolic link is removed, not its target.

    Raises:
        OSError: something could not be removed.
    """
    if obstacles := trees.remove(path):
        raise OSError(errno.ENOTEMPTY, f"cannot be removed: {obstacles}", str(path))


@contextlib.contextmanager
def own_directory(path: Path, *, create: bool = True, need: int = trees.CHANGE) -> Iterator[Path]:
    """
    Open a directory beside a session directory, where the payload and possibly other accounts can write.

    If it is closed, it gets the permissions ``need`` for its owner. Yields a path below ``/proc/self/fd`` that leads to
    this directory whatever is put in its place meanwhile; it is valid in this process until the end of the block.

    Raises:
        UnsafePath: it is a link, not a directory, or owned by another account.
        FileNotFoundError: it does not exist, and ``create`` is off.
    """
    fd = open_own_directory(path, create=create, need=need)
    try:
        yield Path(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def open_own_directory(path: Path, *, create: bool = True, need: int = trees.CHANGE) -> int:
    """Like ``own_directory``; the caller closes the descriptor."""
    if create:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    try:
        opened = trees.open_directory(path, need)
    except NotADirectoryError as exc:
        raise UnsafePath(f"{path} is a link, or not a directory") from exc
    except PermissionError as exc:
        raise UnsafePath(f"{path} can't be opened: {exc.strerror}") from exc
    if opened.owner != os.geteuid():
        os.close(opened.fd)
        raise UnsafePath(f"{path} belongs to another account, not to the service")
    return opened.fd
