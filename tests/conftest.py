"""For every test: nothing blocks the event loop, and nothing is left out without anybody noticing."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator, Iterator

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

_OURS = ["arex", "plugins", "lrms", "infoprovider"]

# how long an example takes says more about the machine than about the code; a test has its own limit
hypothesis.settings.register_profile("arex", deadline=None)
hypothesis.settings.load_profile("arex")


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
