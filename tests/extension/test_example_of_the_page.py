"""The batch system in three commands of docs/developers/backends.md, taken from the page as it is."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from arex.config.model import Configuration
from arex.config.values import SessionDir
from arex.errors import SubmitLimited
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from arex.ports import Backend
from tests.contract.worlds import Submissions, end_of, local_job, reaches, submitted
from tests.environments import ROOT


@pytest.fixture
async def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    page = (ROOT / "docs/developers/backends.md").read_text()
    blocks = dict(re.findall(r"`(toy\w+(?:\.py)?)`:\n\n```\w+\n(.*?)```", page, re.DOTALL))
    assert {"toysub", "toystat", "toydel", "toy_for_arex.py"} == set(blocks)
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "toy").mkdir()
    monkeypatch.setenv("TOY", str(tmp_path / "toy"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    spec = importlib.util.spec_from_file_location("toy_for_arex", tmp_path / "toy_for_arex.py")
    assert spec is not None
    assert spec.loader is not None
    module = cast(Any, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    config = Configuration()
    (tmp_path / "jobs").mkdir()
    arex = replace(config.arex, sessiondir=(SessionDir(path=tmp_path / "jobs"),))
    backend = cast(Backend, module.ToyBackend.from_config(replace(config, arex=arex)))
    await backend.start()
    yield backend
    await backend.close()


async def test_a_job_runs_and_its_exit_code_is_known(backend: Backend, tmp_path: Path) -> None:
    job = await submitted(backend, Submissions(tmp_path / "jobs").submission("exit 3"))

    report = await end_of(backend, job)

    assert (3, EndCause.EXIT_CODE) == (report.exit_code, report.cause)


async def test_a_job_is_cancelled(backend: Backend, tmp_path: Path) -> None:
    job = await submitted(backend, Submissions(tmp_path / "jobs").submission("wait"))
    await reaches(backend, job, Phase.RUNNING)

    assert {} == await backend.cancel([job])

    assert EndCause.CANCELLED is (await end_of(backend, job)).cause


async def test_a_closed_queue_is_a_limit_and_an_unknown_job_is_absent(backend: Backend, tmp_path: Path) -> None:
    submission = Submissions(tmp_path / "jobs").submission()
    (tmp_path / "toy/closed").touch()

    assert isinstance((await backend.submit([submission]))[submission.tag], SubmitLimited)
    assert {} == await backend.status([local_job(submission, LocalId("17"))])
