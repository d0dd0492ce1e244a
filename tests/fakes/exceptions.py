"""Exceptions that are unexpected where they are raised."""

from __future__ import annotations

from typing import Final

UNEXPECTED: Final = (
    OSError(5, "Input/output error"),
    RuntimeError("x"),
    ValueError("x"),
    RecursionError("x"),
    MemoryError(),
)
