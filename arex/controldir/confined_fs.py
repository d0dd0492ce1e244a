"""
File operations that cannot leave the session directory.

The payload owns the files there and can replace any component of a path by a symbolic link at any time. So each
component is opened relative to the descriptor of its parent directory, without following links.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from arex.errors import UnsafePath

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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


def open_root(root: Path) -> int:
    """
    Open a session directory; the caller closes the descriptor.

    While a job runs in a scratch directory that is also visible on the front end, its session directory is replaced by
    a link to a directory of the same name. Only such a link is followed.

    Raises:
        UnsafePath: the directory is any other link, or not a directory.
    """
    try:
        return os.open(root, _DIRECTORY)
    except NotADirectoryError as exc:
        if not leads_to_scratch(root):
            raise UnsafePath(f"{root} is a link, or not a directory") from exc
        return os.open(os.readlink(root), _DIRECTORY)


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

    Raises:
        UnsafePath: a component is a symbolic link or not a directory.
        FileNotFoundError: a component is missing and ``create`` is off.
    """
    *above, last = parts_of(name)
    fd = open_root(root)
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
        below = os.open(part, _DIRECTORY, dir_fd=fd)
    except (NotADirectoryError, OSError) as exc:
        if isinstance(exc, FileNotFoundError):
            raise
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


def keep_only(root: Path, names: Collection[str]) -> None:
    """
    Remove everything below ``root`` except these files and directories, with all their content.

    Raises:
        OSError: something could not be removed.
    """
    keep: dict[str, set[str]] = {}
    for name in names:
        head, *rest = parts_of(name)
        keep.setdefault(head, set()).add("/".join(rest))
    fd = open_root(root)
    try:
        _prune(fd, keep)
    finally:
        os.close(fd)


def _prune(fd: int, keep: dict[str, set[str]]) -> None:
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        below = keep.get(name)
        if below is None:
            _remove(fd, name, is_directory=is_directory)
        elif is_directory and "" not in below:
            _prune_below(fd, name, below)


def _prune_below(fd: int, name: str, below: set[str]) -> None:
    child = os.open(name, _DIRECTORY, dir_fd=fd)
    try:
        keep: dict[str, set[str]] = {}
        for path in below:
            head, _, rest = path.partition("/")
            keep.setdefault(head, set()).add(rest)
        _prune(child, keep)
    finally:
        os.close(child)


def _remove(fd: int, name: str, *, is_directory: bool) -> None:
    if not is_directory:
        os.unlink(name, dir_fd=fd)
        return
    _make_removable(fd, name)
    shutil.rmtree(name, dir_fd=fd)


def _make_removable(fd: int, name: str) -> None:
    """Restore the permissions that removal needs, since a payload may leave directories without w and x bits."""
    with contextlib.suppress(PermissionError, FileNotFoundError):
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode) and info.st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{fd}/{name}", 0o700)
        child = os.open(name, _DIRECTORY, dir_fd=fd)
        try:
            with os.scandir(child) as entries:
                below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            for directory in below:
                _make_removable(child, directory)
        finally:
            os.close(child)


def remove_tree(path: Path) -> None:
    """Remove a directory tree if it exists; a symbolic link is removed, not its target."""
    try:
        fd = os.open(path.parent, _DIRECTORY & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        info = os.stat(path.name, dir_fd=fd, follow_symlinks=False)
        _remove(fd, path.name, is_directory=stat.S_ISDIR(info.st_mode))
    except FileNotFoundError:
        return
    finally:
        os.close(fd)
