"""For every test: nothing blocks the event loop, and nothing is left out without anybody noticing."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import signal
import tempfile
from collections.abc import Generator, Iterator
from typing import Final

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

_OURS = ["arex", "plugins", "lrms", "infoprovider"]

# how long an example takes, or its data, says more about the machine than about the code; a test has its own limit
hypothesis.settings.register_profile("arex", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# what "make check" takes
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("arex"), max_examples=30)
hypothesis.settings.load_profile("arex")

#: Variables that lead to the configuration and the credentials of the account, or of another ARC on the machine.
_FOREIGN: Final = re.compile(r"(ARC|X509|XDG|BEARER_TOKEN)(_|$)")


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests, and what they start, an empty home and nothing of the configuration of the account."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:  # by a shell that runs the tests in the background
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    home = tempfile.TemporaryDirectory(prefix="arex-tests-home-")
    config.add_cleanup(home.cleanup)
    for name in filter(_FOREIGN.match, list(os.environ)):
        del os.environ[name]
    os.environ.setdefault("AREX_CALLER_HOME", os.environ.get("HOME", "/"))  # for pip, which has its settings there
    os.environ["HOME"] = home.name


@pytest.fixture(autouse=True)
def _no_credential_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or token in ``/tmp``, which no variable moves elsewhere."""
    monkeypatch.setattr("arex.credentials.file.SHARED", os.environ["HOME"])


@pytest.fixture(autouse=True)
def detector(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """In an asynchronous test, a blocking call of ours on the event loop raises at once."""
    test = getattr(request.node, "function", None)
    asynchronous = inspect.iscoroutinefunction(inspect.unwrap(test)) if test is not None else False
    with blockbuster_ctx(_OURS) if asynchronous else contextlib.nullcontext() as detector:
        yield detector


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is skipped, or expected to fail, has failed: a green run means that everything ran."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"left out, which nothing may be: {report.longrepr}"
        report.__dict__.pop("wasxfail", None)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for whole modules."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"left out, which nothing may be: {report.longrepr}"
    return report
