"""The table of URL schemes and their movers; each mover is imported when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Final, cast

from arex.errors import ConfigError, Fault, StagingError
from arex.staging.movers.base import Mover, MoverSettings
from arex.staging.movers.fsspec.allowed import Grants
from arex.staging.movers.isolated.mover import SubprocessMover

_HTTP: Final = "arex.staging.movers.http.mover:HttpMover"
_S3: Final = "arex.staging.movers.s3.mover:S3Mover"
_XROOTD: Final = "arex.staging.movers.xrootd:XrootdMover"
BUILT_IN: Final[Mapping[str, str]] = {
    "file": "arex.staging.movers.file:FileMover",
    "http": _HTTP,
    "https": _HTTP,
    "dav": _HTTP,
    "davs": _HTTP,
    # each needs the extra of its name
    "s3": _S3,
    "s3+https": _S3,
    "sftp": "arex.staging.movers.sftp:SftpMover",
    "root": _XROOTD,
    "roots": _XROOTD,
    "xroot": _XROOTD,
    "xroots": _XROOTD,
}
#: Movers over native code run in a separate process, because a crash ends the process; and what messages
#: call them.
_APART: Final[Mapping[str, str]] = {_XROOTD: "the XRootD client"}
_GROUP: Final = "arex.movers"
_FSSPEC: Final = "arex.staging.movers.fsspec.mover:FilesystemMover"


def table() -> dict[str, str]:
    """Scheme to ``module:Class``; built-in schemes can't be replaced."""
    return {**{point.name: point.value for point in entry_points(group=_GROUP)}, **BUILT_IN}


#: Read once, because that looks at every installed distribution.
TABLE: Final[Mapping[str, str]] = table()


class Movers:
    """
    The movers in use; schemes of one class share one.

    Schemes in ``grants`` that no other mover speaks use fsspec. Raises ConfigError for a grant without effect.
    """

    def __init__(self, means: MoverSettings, table: Mapping[str, str] = TABLE, grants: Grants | None = None) -> None:
        self._means = means
        self._grants = grants or Grants()
        if taken := sorted(self._grants.schemes & table.keys()):
            what = f"{taken[0]}: already has a transfer method"
            raise ConfigError([Fault(what, option="[arex/data-staging] fsspec", cure="remove it")])
        self._table = {**table, **dict.fromkeys(self._grants.schemes, _FSSPEC)}
        self._made: dict[str, Mover] = {}

    def speaks(self, scheme: str) -> bool:
        return scheme in self._table

    async def of(self, scheme: str) -> Mover:
        """
        The mover for a scheme.

        Raises:
            StagingError: there is none, or it can't be loaded.
        """
        name = self._table.get(scheme)
        if name is None:
            raise StagingError(f"no transfer method for {scheme}: is installed")
        if name not in self._made:
            maker = await asyncio.to_thread(_load, scheme, name)
            self._made.setdefault(name, maker(self._means, self._grants) if name == _FSSPEC else maker(self._means))
        return self._made[name]

    async def close(self) -> None:
        made, self._made = self._made, {}
        async with contextlib.AsyncExitStack() as stack:  # closes each of them, even if another one raises
            for mover in made.values():
                stack.push_async_callback(mover.close)


def _load(scheme: str, name: str) -> Callable[..., Mover]:
    if name in _APART:
        return partial(SubprocessMover, name, _APART[name])
    try:
        return cast("Callable[..., Mover]", resolve_name(name))
    except (ImportError, AttributeError) as exc:
        raise StagingError(f"the transfer method for {scheme}: cannot be loaded: {exc}") from exc
