"""The HTTP client of all movers that speak HTTP."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from arex import __version__

_CONNECT_S: Final = 30.0


def client(trust: ssl.SSLContext, silence_s: float | None) -> aiohttp.ClientSession:
    """
    A client without cookies and content codings. ``silence_s`` is the longest time without data from the server;
    None means no limit.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=trust),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"arex/{__version__}", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s),
        read_bufsize=1 << 20,
    )
