"""
Directory trees that a payload has made: of any depth, of any modes, and changed by others meanwhile.

Nothing here recurses, and a walk has one open descriptor, however deep the tree is. Links are never followed and other
file systems never entered. A directory of this account that is closed to its owner is opened for the work.
"""

from __future__ import annotations

from arex.controldir.trees.cursor import CHANGE, READ, Cursor, OpenDirectory, open_directory
from arex.controldir.trees.removal import Obstacles, is_passing, keep_only, remove, remove_in
from arex.controldir.trees.walk import TreeEntry, measured, walk

__all__ = [
    "CHANGE",
    "READ",
    "Cursor",
    "Obstacles",
    "OpenDirectory",
    "TreeEntry",
    "is_passing",
    "keep_only",
    "measured",
    "open_directory",
    "remove",
    "remove_in",
    "walk",
]
