from __future__ import annotations

import pytest

from arex.config import codec
from arex.config.record import options
from arex.config.staging import DataStagingBlock, StorageUrl
from arex.errors import ConfigError
from arex.staging.movers.base import MoverSettings, TransferError
from arex.staging.movers.fsspec.allowed import Grants
from arex.staging.movers.registry import BUILT_IN, Movers
from arex.staging.url import parse_one

[LINE] = [option for option in options(DataStagingBlock) if option.name == "fsspec"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ftp", StorageUrl(scheme="ftp")),
        ("GS", StorageUrl(scheme="gs")),
        ("ftp://host", StorageUrl(scheme="ftp", authority="host")),
        ("ftp://host:2121/pub/", StorageUrl(scheme="ftp", authority="host:2121", path="/pub/")),
        ("abfs://box/", StorageUrl(scheme="abfs", authority="box")),
    ],
)
def test_a_line_is_a_scheme_or_the_beginning_of_a_url(text: str, value: StorageUrl) -> None:
    assert value == codec.read(LINE, text)
    assert value == codec.read(LINE, codec.write(value))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp smb", "expected a scheme"),
        ("ftp://", "expected a scheme"),
        ("ftp:///x", "expected a scheme"),
        ("ftp:host", "expected a scheme"),
        ("simplecache::ftp://host/", "expected a scheme"),
        ("ftp://host/a/../b", "expected a scheme"),
        ("ftp://host/?x", "expected a scheme"),
        ("ftp://user:secret@host/", "user names and passwords are not allowed in the URL"),
        ("abfs://box@account/", "user names and passwords are not allowed in the URL"),
        *(
            (scheme, "could give access to files of this host")
            for scheme in ("FILE", "local", "memory", "zip", "hdfs", "git")
        ),
        ("dir://x/y", "could give access to files of this host"),
    ],
)
def test_a_line_that_can_not_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refusal:
        codec.read(LINE, text)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("ftp://host/pub/x", True),
        ("ftp://HOST/pub/x", True),
        ("ftp://host;cache=no/pub/x", True),
        ("ftp://host/%70ub/x", True),
        ("ftp://host/public", False),
        ("ftp://host/x", False),
        ("ftp://host:21/pub/x", False),
        ("ftp://host.example.org/pub/x", False),
        ("abfs://box/x", True),
        ("abfs://other/x", False),
        ("gs://any/x", True),
        ("smb://host/pub/x", False),
    ],
)
async def test_a_line_covers_what_is_below_it_at_its_host(url: str, covered: bool) -> None:
    grants = Grants([codec.storage_url(text) for text in ("ftp://host/pub", "abfs://box/", "gs")])
    if covered:
        assert (await grants.reach(parse_one(url))).url.startswith(url[:4])
    else:
        with pytest.raises(TransferError, match="jobs are not allowed to use this storage"):
            await grants.reach(parse_one(url))


async def test_what_fsspec_is_asked_for_has_no_codes() -> None:
    reach = await Grants([codec.storage_url("ftp")]).reach(parse_one("ftp://host/a%20b%3Bc;d"))
    assert ("ftp", "ftp://host/a b;c;d", {}) == (reach.scheme, reach.url, reach.options)


@pytest.mark.parametrize("scheme", BUILT_IN.keys() - {"file"})
def test_a_line_for_what_has_a_mover_is_a_fault(scheme: str) -> None:
    with pytest.raises(ConfigError, match="already has a transfer method"):
        Movers(MoverSettings(cert_dir=None), grants=Grants([codec.storage_url(scheme)]))  # type: ignore[arg-type]


def test_only_schemes_that_were_named_are_spoken() -> None:
    movers = Movers(MoverSettings(cert_dir=None), grants=Grants([codec.storage_url("ftp://host/")]))  # type: ignore[arg-type]
    assert (True, False, True) == (movers.speaks("ftp"), movers.speaks("smb"), movers.speaks("https"))
