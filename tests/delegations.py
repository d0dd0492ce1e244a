"""The store of credentials of a control directory, as its files and tables show it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from plugins.local import LocalPlugin


def store_of(plugin: LocalPlugin) -> Path:
    [store] = plugin.store.root.glob("delegations*")
    return store


def rows(plugin: LocalPlugin, table: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(store_of(plugin) / "list") as db:
        found = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    return found
