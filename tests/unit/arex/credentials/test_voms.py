"""Attributes of a virtual organisation, out of a proxy that voms-proxy-fake made; its key is not kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from arex.credentials import voms
from arex.credentials.certificate import extension, in_pem
from tests import environments

RECORDED = environments.DATA / "credentials" / "voms.pem"


def test_a_proxy_says_what_its_organisation_says() -> None:
    [found] = voms.in_chain(in_pem(RECORDED.read_bytes()))

    assert ("testers", "localhost:15000") == (found.vo, found.uri)
    assert found.fqans == ("/testers/Role=NULL/Capability=NULL", "/testers/staff/Role=Admin/Capability=NULL")
    assert found.issuer == "/DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=localhost"
    assert found.holder == "/DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=ARC TestCA interop"
    assert found.starts == datetime(2026, 11, 20, 18, 47, 19, tzinfo=UTC)
    assert found.ends - found.starts == timedelta(hours=90)


def test_a_certificate_without_attributes_says_nothing() -> None:
    assert [] == voms.in_chain(in_pem(RECORDED.read_bytes())[1:])


def test_attributes_that_are_cut_raise_and_nothing_else() -> None:
    value = extension(in_pem(RECORDED.read_bytes())[0], voms.EXTENSION)
    assert value is not None

    for size in range(1, len(value), 11):
        with pytest.raises((ValueError, IndexError)):
            voms.parse(value[:size])


def test_attributes_of_other_bytes_raise_and_nothing_else() -> None:
    """One byte changed, wherever: an answer, or one of two errors."""
    value = extension(in_pem(RECORDED.read_bytes())[0], voms.EXTENSION)
    assert value is not None

    for at in range(0, len(value), 3):
        spoilt = bytearray(value)
        spoilt[at] ^= 0xFF
        try:
            voms.parse(bytes(spoilt))
        except (ValueError, IndexError):
            continue
