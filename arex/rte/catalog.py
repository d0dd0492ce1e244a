"""
The runtime environments of a site on disk: which there are, which are enabled, which every job gets.

Scripts lie below directories, one file each; their place there is their name. Enabled is what has a symbolic link
below ``CONTROLDIR/rte/enabled``, default what has one below ``default``; a link to /dev/null is a dummy, which is
published and does nothing. ``arcctl rte`` of ARC makes and reads the same links.
Source: ``arcctl rte`` of ARC 6.17.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.errors import ControlDirError
from arex.rte import params
from arex.rte.names import is_name, matching, nearest
from arex.rte.params import Param

ENABLED: Final = "enabled"
DEFAULT: Final = "default"
PARAMS: Final = "params"
DUMMY: Final = Path(os.devnull)


class NoSuchRuntime(ControlDirError):
    """No runtime environment of this name is here."""


class LinkedElsewhere(ControlDirError):
    """An environment of this name is enabled already, and is another script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An environment in the control directory."""

    name: str
    target: Path  #: of the link, or the file itself
    broken: bool = False  #: there is no readable file behind it

    @property
    def dummy(self) -> bool:
        return self.target == DUMMY


def names_below(directory: Path) -> dict[str, Path]:
    """
    Name to script of everything below a directory; a link stands for what it names, also where that is missing.

    Raises:
        OSError: a directory is there and can't be read.
    """
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(directory, onerror=_unless_missing):
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 - many names
        for name in (*files, *links):
            path = Path(folder, name)
            target = path.parent / path.readlink() if path.is_symlink() else path
            found[path.relative_to(directory).as_posix()] = target
    return found


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def installed(controldir: Path) -> frozenset[str]:
    """Names that a job can ask for: enabled or default, with something behind the link."""
    root = controldir / "rte"
    return frozenset(
        name
        for place in (ENABLED, DEFAULT)
        for name, target in names_below(root / place).items()
        if is_name(name) and _usable(target)
    )


def _usable(target: Path) -> bool:
    return target == DUMMY or (target.is_file() and os.access(target, os.R_OK))


class Catalog:
    """
    Everything about the environments of one control directory.

    Args:
        controldir: of the service.
        system: directory of the scripts that come with arex.
        user: directories of the site's own; they mask those, and the last masks the others.
    """

    def __init__(self, controldir: Path, system: Path, user: Sequence[Path] = ()) -> None:
        self._root = controldir / "rte"
        self.system_dir, self.user_dirs = system, tuple(user)

    def system(self) -> Mapping[str, Path]:
        return names_below(self.system_dir)

    def user(self) -> Mapping[str, Path]:
        return {name: path for directory in self.user_dirs for name, path in names_below(directory).items()}

    def available(self) -> Mapping[str, Path]:
        """What can be enabled, by name."""
        return {**self.system(), **self.user()}

    def linked(self, place: str) -> Mapping[str, Linked]:
        """What is enabled, or default."""
        return {
            name: Linked(name=name, target=target, broken=not _usable(target))
            for name, target in sorted(names_below(self._root / place).items())
        }

    def choose(self, wanted: str, among: Mapping[str, object]) -> list[str]:
        """
        The names that a name, a pattern or the path of a script stands for.

        Raises:
            NoSuchRuntime: none; the message has the nearest name.
        """
        if wanted.startswith("/"):
            names = [name for name, path in self.available().items() if str(path) == wanted and name in among]
        else:
            names = matching(wanted, among)
        if not names:
            near = nearest(wanted, among)
            raise NoSuchRuntime(f"no runtime environment {wanted}{f'; did you mean {near}?' if near else ''}")
        return names

    # --- links ---

    def link(self, name: str, target: Path, place: str, *, force: bool = False) -> bool:
        """
        Enable a script, or make it a default; False: it is already.

        Raises:
            LinkedElsewhere: another script has the name, or a file that is no link; the first gives way to ``force``.
            NoSuchRuntime: no name that an environment could have.
        """
        if not is_name(name):
            raise NoSuchRuntime(f"{name!r} is not a valid name of a runtime environment")
        path = self._root / place / name
        if path.is_symlink():
            old = path.parent / path.readlink()
            if old == target:
                return False
            if not force:
                raise LinkedElsewhere(f"{name} is already {place}, as {old}; use --force to change that")
        elif path.exists():
            raise LinkedElsewhere(f"{path} already exists and is not a link: remove it, or use another name")
        self._parents(place, path)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.symlink_to(target)
        beside.replace(path)
        return True

    def _parents(self, place: str, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as exc:
            above = path.parent.relative_to(self._root / place)
            raise LinkedElsewhere(f"{above} is a runtime environment itself, so no other one can be below it") from exc

    def unlink(self, name: str, place: str) -> None:
        """
        Disable an environment, and take away the folders of its name that are empty now.

        Raises:
            LinkedElsewhere: it is a file and not a link.
        """
        path = self._root / place / name
        if not path.is_symlink():
            raise LinkedElsewhere(f"{path} is not a link: remove it by hand")
        path.unlink()
        self._prune(path.parent, self._root / place)

    @staticmethod
    def _prune(folder: Path, top: Path) -> None:
        with contextlib.suppress(OSError):  # not empty
            while folder != top:
                folder.rmdir()
                folder = folder.parent

    # --- scripts ---

    def path(self, name: str) -> Path:
        """
        The script of this name: what is available, else what is enabled, which a dummy is only.

        Raises:
            NoSuchRuntime: neither.
        """
        everything: dict[str, Path] = {
            **{one.name: one.target for place in (DEFAULT, ENABLED) for one in self.linked(place).values()},
            **self.available(),
        }
        [first, *_] = self.choose(name, {each: path for each, path in everything.items() if each == name} or everything)
        if first != name and str(everything[first]) != name:
            raise NoSuchRuntime(f"{name} is a pattern; expected one name")
        return everything[first]

    def text(self, name: str) -> str:
        """
        Raises:
            NoSuchRuntime: there is none, or nothing is behind its link.
        """
        path = self.path(name)
        try:
            return "" if path == DUMMY else path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as exc:
            raise NoSuchRuntime(f"cannot read {name}: {path}: {exc.strerror}") from exc

    # --- parameters ---

    def params(self, name: str) -> tuple[Param, ...]:
        return params.declared(self.text(name))

    def values(self, name: str) -> dict[str, str]:
        """What is set for an environment; the rest has its defaults."""
        data = atomic.read(str(self._params(name)))
        return {} if data is None else params.parse_values(data.decode(errors="surrogateescape"))

    def params_text(self, name: str) -> str:
        """The file of values as shells read it."""
        return (atomic.read(str(self._params(name))) or b"").decode(errors="surrogateescape")

    def set_value(self, name: str, param: str, value: str | None) -> None:
        """
        Set a parameter; None: back to its default.

        Raises:
            NoSuchRuntime, BadParameter: no such environment, parameter or value.
        """
        one = params.param_of(self.params(name), param, name)
        values = self.values(name)
        values.pop(param, None)
        if value is not None:
            values[param] = one.check(value)
        path = self._params(name)
        if values:
            self._parents(PARAMS, path)
            atomic.put(str(path), params.dump_values(values).encode(errors="surrogateescape"), mode=0o644)
        elif path.exists():
            path.unlink()
            self._prune(path.parent, self._root / PARAMS)

    def _params(self, name: str) -> Path:
        if not is_name(name):
            raise NoSuchRuntime(f"{name!r} is not a valid name of a runtime environment")
        return self._root / PARAMS / name
