"""
Who the user is and what the service may do in the user's name: certificates, proxies, tokens. Never required.

Reading needs no tool or library and is quick: every client starts with it. ``store`` (sqlite3),
``proxy`` and ``chain`` (the package cryptography) are imported only by what needs them.
"""

from __future__ import annotations

from arex.credentials.certificate import Certificate, identity, parse
from arex.credentials.file import Credential, find, read
from arex.credentials.token import Token

__all__ = ["Certificate", "Credential", "Token", "find", "identity", "parse", "read"]
