"""Sites for the tests: made once where sharing makes no difference, and emptied of processes at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.grid import Account, Site, site
from tests.interop.preparation import prepare, prepare_arc7


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for installations and daemons, too."""
    for item in items:
        if "interop" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def account() -> Account:
    return prepare()


@pytest.fixture(scope="session")
def ours(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Our daemon, shared by all tests that leave it running."""
    with site(account, "ours", lambda: bool(request.session.testsfailed)) as here:
        here.start_ours()
        yield here


@pytest.fixture(scope="session")
def narrow_site(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Our daemon, with one slot."""
    with site(account, "narrow", lambda: bool(request.session.testsfailed), maxjobs="-1 1 -1 -1 -1") as here:
        here.start_ours()
        yield here


@pytest.fixture(scope="session")
def real(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """ARC's A-REX, shared likewise."""
    with site(account, "real", lambda: bool(request.session.testsfailed), wakeup=2) as here:
        here.start_real()
        yield here


@pytest.fixture
def empty(account: Account, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site of the test's own, without a daemon."""
    with site(account, "own", lambda: bool(request.session.testsfailed)) as here:
        yield here


@pytest.fixture(scope="session")
def arc7(account: Account) -> str:
    """The version of the ARC 7 that is there from now on."""
    del account  # it makes the place
    return prepare_arc7()
