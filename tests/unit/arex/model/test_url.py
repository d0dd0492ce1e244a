"""URLs in ARC's spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.locations import join_url
from arex.jobdesc.model import Location
from arex.model.url import fault, is_remote, local_path, parse_url, split_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h/p", "http://h:80/p"),
        ("HTTPS://H", "https://h:443"),
        ("gsiftp://h:1/x", "gsiftp://h:1/x"),
        ("root://h//x", "root://h:1094//x"),
        ("http://u:P@H/x", "http://u:P@h:80/x"),
        ("http://[::1]/x", "http://[::1]:80/x"),
        ("srm://h/x?SFN=/a", "srm://h/x?SFN=/a"),
        ("rucio://h/x", "rucio://h/x"),
        ("http://h/p;x=y", "http://h:80/p;x=y"),
        ("file:///tmp/x", "file:/tmp/x"),
    ],
)
def test_a_url_gets_the_port_that_arc_adds(text: str, expected: str) -> None:
    assert (expected, ()) == split_url(text)


@pytest.mark.parametrize(
    "text", ["", "#x", "x:y", "://h/x", ":x", "http:", "http:a", "http://[::1/a", "http://[::1]a/b"]
)
def test_what_is_no_url_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        split_url(text)


def test_locations_are_before_the_host() -> None:
    location = Location(url="lfc://h:5010/a", locations=("http://x:80/a", "ftp://y:21;b=c/a"))

    assert "lfc://http://x:80/a|ftp://y:21;b=c/a@h:5010/a" == join_url(location)


def test_options_are_in_the_host_part_in_order_of_name() -> None:
    url, options = split_url("http://h:80;b=2;a=1/dir/f;x=y")

    assert (url, options) == ("http://h:80/dir/f;x=y", (("a", "1"), ("b", "2")))
    assert join_url(Location(url=url, options=options), (("exec", "yes"),)) == "http://h:80;a=1;b=2;exec=yes/dir/f;x=y"


def test_a_file_has_options_too_but_no_locations() -> None:
    location = Location(url="file:/a", options=(("overwrite", "yes"),), locations=("http://x:80/a",))

    assert "file://;overwrite=yes/a" == join_url(location)


def test_a_path_of_nothing_is_the_working_directory() -> None:
    assert (f"urllist:{Path.cwd()}", ()) == split_url("urllist:")


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("http://h/x", True),
        ("file:///x", False),
        ("/x", False),
        ("a:b", True),
        ("@list", True),
        ("", False),
        (":a", False),
    ],
)
def test_a_url_of_another_machine_is_remote(text: str, remote: bool) -> None:
    assert remote is is_remote(text)


@pytest.mark.parametrize("text", ["file:///a/b", "file:/a/b", "file://localhost/a/b", "/a/b"])
def test_a_file_url_is_a_path(text: str) -> None:
    assert local_path(text) == "/a/b"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("http://h:99999/x", "has an invalid host or port"),
        ("http://h:abc/x", "has an invalid host or port"),
        ("http://bad host/x", "has a blank or a control character"),
        ("http:///x", "has no host"),
        ("root://a:1094,b:1094//x", ""),
        ("https://u@h:443;cache=no/x?a=b", ""),
        ("file:/a b", ""),
    ],
)
def test_what_arc_accepts_and_no_transfer_could_use_is_found(text: str, wrong: str) -> None:
    assert wrong == fault(parse_url(text))


@pytest.mark.parametrize(
    "text",
    [
        '&(executable=/bin/true)(inputfiles=(a "http://h:99999/x"))',
        '&(executable=/bin/true)(outputfiles=(a "http://h:99999/x"))',
        '[executable="/bin/true"; InputSandbox={"http://h:99999/x"};]',
    ],
)
def test_a_user_sees_at_submission_that_a_transfer_must_fail(text: str) -> None:
    [job] = parse(text, DescriptionDialect.USER)

    assert ["its transfer will fail" in str(remark) for remark in job.warnings] == [True]
