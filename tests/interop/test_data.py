"""Our commands for files at URLs beside those of ARC, with the same files and the same server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.interop.grid import PLACE, Account, Done, Site, site
from tests.interop.web import Web, web


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with web() as served:
        served.files["in.txt"] = b"fetched\n"
        yield served


@pytest.fixture(scope="module")
def here(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A user with the local identity, without which those of ARC do not start."""
    with site(account, "data", lambda: bool(request.session.testsfailed)) as made:
        made.environ["X509_USER_PROXY"] = str(made.home / "identity.pem")
        made.arex("arcproxy", "--local", "-P", made.home / "identity.pem").good()
        yield made


@pytest.fixture
def both(here: Site, request: pytest.FixtureRequest) -> Both:
    return Both(here, re.sub(r"\W+", "-", request.node.name))


class Both:
    """The same command of ARC and of ours, each in its own copy of a directory."""

    def __init__(self, here: Site, name: str) -> None:
        self.site = here
        self.places = [here.home / name / make for make in ("arc", "arex")]
        for place in self.places:
            for file, text in {"a": "aa\n", "old": "old\n", "d/1": "1\n", "d/sub/2": "22\n"}.items():
                here.write(f"{name}/{place.name}/{file}", text)

    def run(self, program: str, *argv: str) -> tuple[Done, Done]:
        theirs = self.site.call(f"/usr/bin/{program}", *argv, cwd=self.places[0])
        ours = self.site.call(PLACE / "venv/bin" / program, *argv, cwd=self.places[1])
        assert self.trees[0] == self.trees[1]
        return theirs, ours

    @property
    def trees(self) -> list[dict[str, str]]:
        """Names and contents of all files."""
        return [
            {
                str(path.relative_to(place)): path.read_text() if path.is_file() else "/"
                for path in sorted(place.rglob("*"))
            }
            for place in self.places
        ]


@pytest.mark.parametrize(
    "words",
    [
        "arccp a b", "arccp a old", "arccp -f a old", "arccp a d/", "arccp d/ e/", "arccp -r d/ e/", "arccp -D 1 d/ e/",
        "arccp nosuch b", "arccp a -", "arccp a b c", "arcmkdir new", "arcmkdir new/deep", "arcmkdir -p new/deep",
        "arcmkdir d", "arcrm a old", "arcrm d", "arcrm nosuch a", "arcrename a new", "arcrename a old",
        "arcrename nosuch new",
    ],
)  # fmt: skip
def test_they_do_the_same_to_files_here(both: Both, words: str) -> None:
    theirs, ours = both.run(*words.split())

    assert theirs.out == ours.out
    assert bool(theirs.code) == bool(ours.code), theirs.text + ours.text
    assert bool(theirs.err) == bool(ours.err), theirs.text + ours.text


@pytest.mark.parametrize(
    "words", ["arcls ./d", "arcls ./a", "arcls -n ./d", "arcls -r ./d", "arcls -f ./a", "arcls ./nosuch"]
)
def test_they_list_the_same(both: Both, words: str) -> None:
    theirs, ours = both.run(*words.split())

    assert theirs.out.replace("/arc/./", "/arex/").strip() == ours.out.strip()
    assert bool(theirs.code) == bool(ours.code), theirs.text + ours.text


def test_a_long_list_has_the_same_columns(both: Both) -> None:
    theirs, ours = both.run("arcls", "-l", "./d")

    rows = [[line.split() for line in done.out.splitlines()] for done in (theirs, ours)]
    assert rows[0][0] == rows[1][0]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    assert [len(row) for row in rows[0]] == [len(row) for row in rows[1]]


def test_a_file_comes_from_a_web_server(both: Both, server: Web) -> None:
    theirs, ours = both.run("arccp", server.url("in.txt"), "got")

    assert (0, 0) == (theirs.code, ours.code), theirs.text + ours.text
    assert "fetched\n" == both.trees[1]["got"]


def test_a_file_goes_to_a_web_server(both: Both, server: Web) -> None:
    for word in ("theirs", "ours"):
        server.given.pop(word, None)
    theirs = both.site.call("/usr/bin/arccp", "a", server.url("theirs"), cwd=both.places[0])
    ours = both.site.call(PLACE / "venv/bin/arccp", "a", server.url("ours"), cwd=both.places[1])

    assert (0, 0) == (theirs.code, ours.code), theirs.text + ours.text
    assert b"aa\n" == server.given["theirs"] == server.given["ours"]
