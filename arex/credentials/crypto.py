"""
The package ``cryptography``, for those who make or check proxies; nothing else needs it.

Importing this raises CredentialError if the package is not installed.
"""

from __future__ import annotations

from arex.errors import CredentialError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509.oid import NameOID
except ImportError as exc:
    raise CredentialError(
        "proxies are made and checked with the Python package cryptography, which is not installed: "
        "pip install arex[x509]"
    ) from exc

__all__ = [
    "InvalidSignature",
    "NameOID",
    "PrivateKeyTypes",
    "UnsupportedAlgorithm",
    "ec",
    "hashes",
    "pkcs12",
    "rsa",
    "serialization",
    "x509",
]
