"""
Values of movers as JSON, for a mover in a separate process.

The daemon does not trust that process: functions that parse its values raise BrokenWire for invalid ones.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from arex.model.url import Url
from arex.staging.checksum import Checksum, checksum
from arex.staging.movers.base import ErrorKind, FileInfo, MoverSettings, RemoteFile, Resume, TransferError
from arex.staging.movers.isolated.wire import BrokenWire

_LONGEST: Final = 4000


def means_word(means: MoverSettings) -> object:
    """All settings except the clock; the process uses that of the system."""
    return [str(means.cert_dir), means.http_proxy, means.partial_get, means.inactivity_s]


def means_of(word: Any) -> MoverSettings:  # noqa: ANN401
    cert_dir, http_proxy, partial_get, inactivity_s = word
    return MoverSettings(
        cert_dir=Path(cert_dir), http_proxy=http_proxy, partial_get=partial_get, inactivity_s=inactivity_s
    )


def place_word(place: RemoteFile) -> object:
    url = place.url
    credential = None if place.credential is None else str(place.credential)
    return [url.scheme, url.authority, url.path, url.options, url.metadata, credential]


def place_of(word: Any) -> RemoteFile:  # noqa: ANN401
    scheme, authority, path, options, metadata, credential = word
    url = Url(scheme, authority, path, _pairs(options), _pairs(metadata))
    return RemoteFile(url, None if credential is None else Path(credential))


def _pairs(word: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401
    return tuple((name, value) for name, value in word)


def facts_word(facts: FileInfo) -> object:
    modified = None if facts.modified is None else facts.modified.isoformat()
    return [facts.size, modified, facts.etag, [[each.algorithm, each.value] for each in facts.checksums]]


def facts_of(word: Any) -> FileInfo:  # noqa: ANN401
    try:
        size, modified, etag, checksums = word
        return FileInfo(
            size=None if size is None else number(size),
            modified=None if modified is None else _time(modified),
            etag=_text(etag),
            checksums=tuple(_checksum(_text(kind), _text(value)) for kind, value in checksums),
        )
    except (TypeError, ValueError) as exc:
        raise BrokenWire("invalid file facts") from exc


def resume_word(resume: Resume | None) -> object:
    return None if resume is None else [resume.offset, facts_word(resume.facts)]


def resume_of(word: Any) -> Resume | None:  # noqa: ANN401
    return None if word is None else Resume(word[0], facts_of(word[1]))


def trouble_word(trouble: TransferError) -> object:
    return [trouble.verdict, trouble.text[:_LONGEST], trouble.cure[:_LONGEST], trouble.retry_after]


def trouble_of(word: Any) -> TransferError:  # noqa: ANN401
    try:
        verdict, text, cure, after = word
        if after is not None and not (isinstance(after, int | float) and math.isfinite(after)):
            raise BrokenWire("invalid time")
        return TransferError(ErrorKind(verdict), _text(text), cure=_text(cure), retry_after=after)
    except (TypeError, ValueError, OverflowError) as exc:
        raise BrokenWire("invalid error record") from exc


def bug_of(word: Any) -> RuntimeError:  # noqa: ANN401
    """An unexpected exception of the mover: its text and traceback."""
    if not isinstance(word, list) or len(word) != 2:
        raise BrokenWire("invalid bug record")
    bug = RuntimeError(_text(word[0]))
    bug.add_note(_text(word[1]))
    return bug


def number(word: object) -> int:
    """A number of bytes."""
    if not isinstance(word, int) or isinstance(word, bool) or not 0 <= word < 1 << 63:
        raise BrokenWire("invalid number")
    return word


def _text(word: object) -> str:
    if not isinstance(word, str):
        raise BrokenWire("invalid text")
    return word


def _time(word: object) -> datetime:
    time = datetime.fromisoformat(_text(word))
    if time.tzinfo is None:
        raise BrokenWire("time without a time zone")
    return time


def _checksum(kind: str, value: str) -> Checksum:
    found = checksum(kind, value)
    if found is None:
        raise BrokenWire("invalid checksum")
    return found
