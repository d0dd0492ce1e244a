"""
Labels: ``KEY=VALUE`` texts that a submitter attaches to jobs, to find them again.

In ``.local`` each label is a line ``label=KEY=VALUE``, which A-REX ignores; in ADL it is an annotation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from arex.model.local import JobLocal

#: The key of labels in ``.local``.
KEY: Final = "label"
#: Label of a job of an array: the id that all its jobs share.
PARENT: Final = "parent"
#: Label of a job of an array: its index.
INDEX: Final = "index"
#: How a label begins as an annotation of ADL.
_ANNOTATION: Final = "arex-label "
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST: Final = 1024


def checked(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """
    Labels as pairs, in their order.

    Raises:
        ValueError: a key is not 1 to 64 letters, digits, ``_``, ``.`` or ``-``, or a value has control characters or
            more than 1024 characters.
    """
    for key, value in labels.items():
        if not _NAME.fullmatch(key):
            raise ValueError(f"label {key!r}: expected 1 to 64 letters, digits, '_', '.' or '-'")
        if len(value) > _MOST or not value.isprintable():
            raise ValueError(f"label {key}: the value has control characters or more than {_MOST} characters")
    return tuple(labels.items())


def of(local: JobLocal) -> dict[str, str]:
    """The labels of a job; lines that are none are ignored."""
    pairs = (text.partition("=") for key, text in local.extra if key == KEY)
    return {key: value for key, equals, value in pairs if equals and _NAME.fullmatch(key)}


def as_annotations(labels: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The labels as annotations of ADL: ``arex-label KEY=VALUE``."""
    return tuple(f"{_ANNOTATION}{key}={value}" for key, value in labels)


def from_annotations(texts: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The labels among annotations of ADL, and the other annotations; each in its order."""
    labels: dict[str, str] = {}
    others = []
    for text in texts:
        key, equals, value = text.removeprefix(_ANNOTATION).partition("=")
        if not text.startswith(_ANNOTATION) or not equals or not _is_label(key, value) or key in labels:
            others.append(text)
        else:
            labels[key] = value
    return tuple(labels.items()), tuple(others)


def _is_label(key: str, value: str) -> bool:
    try:
        checked({key: value})
    except ValueError:
        return False
    return True


def lines(labels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The labels as unknown keys of ``.local``; see ``JobLocal.extra``."""
    return tuple((KEY, f"{key}={value}") for key, value in labels)
