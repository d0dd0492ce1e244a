from __future__ import annotations

from pathlib import Path

import pytest

from arex.errors import StagingError
from arex.staging.checksum import Checksum, announced, checksum, digest
from arex.staging.url import (
    CacheUse,
    algorithm_for,
    cache_use,
    canonical,
    checksum_of,
    is_executable,
    local_path,
    may_overwrite,
    parse,
    parse_one,
    size_of,
)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file://localhost;cache=no/a", "/a"),
        ("file:///a%20b", "/a b"),
        ("file:///a b", "/a b"),
        ("file:///%ff", "/\udcff"),
        ("FILE:///a", "/a"),
    ],
)
def test_a_url_of_a_file_is_its_path(url: str, path: str) -> None:
    assert Path(path) == local_path(parse_one(url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file://other/p", "a file on another host"),
        ("file:p", "not an absolute path"),
        ("file:///a/../b", "not an absolute path"),
        ("file:///a%2f..%2fb", "not an absolute path"),
        ("file:///a%00b", "not an absolute path"),
        ("file:///", "not an absolute path"),
        ("file://", "not an absolute path"),
        ("", "not a URL"),
        ("http:/x", "has no host"),
        ("http:///x", "has no host"),
        ("http://h:x/x", "invalid host or port"),
        ("sftp://h:65536/x", "invalid host or port"),
        ("s3://h:-1/x", "invalid host or port"),
        ("http://h:1:2/x", "invalid host or port"),
        ("https://[::1/x", "invalid host or port"),
        ("https://[1:2]/x", "invalid host or port"),
        ("root://a..b/x", "invalid host or port"),
        (f"root://{'a' * 64}.org/x", "invalid host or port"),
        ("root://a:1094,b:x//x", "invalid host or port"),
        ("http://;cache=no/x", "has no host"),
        ("http://h/a b", "has a blank or a control character"),
        ("http://h/a\r\nHost: x", "has a blank or a control character"),
    ],
)
def test_what_is_no_url_is_refused_with_its_reason(url: str, why: str) -> None:
    with pytest.raises(StagingError, match=why):
        local_path(parse_one(url))


def test_options_follow_the_host() -> None:
    url = parse_one("http://Host:80;cache=copy;exec=yes;overwrite=yes;size=12;checksum=adler32:1/a;b=c?x=y")

    assert "http://Host:80/a;b=c?x=y" == str(url)
    assert (CacheUse.COPY, True, True, 12) == (cache_use(url), is_executable(url), may_overwrite(url), size_of(url))
    assert Checksum("adler32", "00000001") == checksum_of(url)
    assert "adler32" == algorithm_for(url)


def test_metadata_may_follow_the_path() -> None:
    url = parse_one("http://h/a:b:checksumtype=md5:checksumvalue=d41d8cd98f00b204e9800998ecf8427e")
    assert "http://h/a:b" == str(url)
    assert Checksum("md5", "d41d8cd98f00b204e9800998ecf8427e") == checksum_of(url)


def test_an_algorithm_alone_is_no_checksum() -> None:
    url = parse_one("http://h;checksum=adler32;cache=perhaps/a")
    assert (None, "adler32", CacheUse.DEFAULT) == (checksum_of(url), algorithm_for(url), cache_use(url))


def test_replicas_share_the_options_of_the_first() -> None:
    first, second = parse("http://a;cache=no/x|y|https://b;size=1/z")
    assert ("http://a/x|y", "https://b/z") == (str(first), str(second))
    assert (CacheUse.NO, 1) == (cache_use(second), size_of(second))


def test_what_is_shown_has_no_secrets() -> None:
    url = parse_one("https://user:password@Host:1/a?X-Signature=secret")
    assert "https://Host:1/a?..." == url.shown


def test_the_cache_knows_a_file_by_one_name() -> None:
    names = ["http://h/a", "http://H:80/a", "http://h;cache=yes/a"]
    assert {"http://h:80/a"} == {canonical(parse_one(name)) for name in names}


def test_the_cache_has_a_file_for_each_user_and_no_password() -> None:
    one, other = (canonical(parse_one(f"sftp://{name}@h/~/x")) for name in ("One:secret", "other"))
    assert ("sftp://One@h:22/~/x", "sftp://other@h:22/~/x") == (one, other)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ADLER32", "0x1A", Checksum("adler32", "0000001a")),
        ("cksum", "0012", Checksum("cksum", "12")),
        ("UNIXcksum", "12", Checksum("cksum", "12")),
        ("MD5", "1B2M2Y8AsgTpgAmY7PhCfg==", Checksum("md5", "d41d8cd98f00b204e9800998ecf8427e")),
        ("crc64", "1", None),
        ("md5", "xyz", None),
        ("md5", "abcd", None),
        ("cksum", "-1", None),
    ],
)
def test_checksums_come_in_many_spellings(name: str, value: str, expected: Checksum | None) -> None:
    assert expected == checksum(name, value)


def test_a_range_has_no_checksum_of_its_own() -> None:
    headers = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==", "Digest": "adler32=1, x=y"}
    adler = Checksum("adler32", "00000001")
    assert (adler, Checksum("md5", "d41d8cd98f00b204e9800998ecf8427e")) == announced(headers, whole=True)
    assert (adler,) == announced(headers, whole=False)


@pytest.mark.parametrize("size", [0, 1, 255, 70_000])
def test_the_crc_of_cksum_in_pieces(size: int) -> None:
    """Values of cksum(1)."""
    known = {0: "4294967295", 1: "1220704766", 255: "325133292", 70_000: "3508083167"}
    sums = digest("cksum")
    for start in range(0, size, 1000):
        sums.update(b"a" * min(1000, size - start))
    assert known[size] == sums.value()


@pytest.mark.parametrize(
    "machine",
    [
        "h",
        "h:1",
        "h:65535",
        "h:",
        "h.",
        "127.0.0.1:80",
        "[::1]",
        "[fe80::1]:443",
        "bücher.example",
        "a_b",
        "a:1094,b:1094",
    ],
)
def test_hosts_of_every_kind(machine: str) -> None:
    assert machine == parse_one(f"root://{machine}//x").authority
