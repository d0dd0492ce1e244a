"""What jobs and commands get of the environment of the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrms.environment import DEFAULT_PATH, outside, own_directories


def test_the_programs_of_the_environment_of_arex_are_not_in_the_path_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "venv/bin")
    path = f"{tmp_path}/venv/bin:/opt/site/bin:{tmp_path}/link:{tmp_path}/venv/bin/:/usr/bin"

    own = own_directories(f"{tmp_path}/venv", path)

    assert "/opt/site/bin:/usr/bin" == outside({"PATH": path}, own)["PATH"]


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_the_programs_of_the_machine_stay(prefix: str) -> None:
    path = "/usr/local/bin:/usr/bin"

    assert path == outside({"PATH": path}, own_directories(prefix, path))["PATH"]


@pytest.mark.parametrize("environ", [{}, {"PATH": ""}, {"PATH": "/opt/arex/bin"}])
def test_without_other_programs_jobs_get_those_of_the_machine(environ: dict[str, str]) -> None:
    assert DEFAULT_PATH == outside(environ, own_directories("/opt/arex", ""))["PATH"]


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV_PROMPT", "CONDA_PREFIX"])
def test_variables_of_python_are_not_passed_on(name: str) -> None:
    assert {"PATH": "/bin", "LANG": "C"} == outside({"PATH": "/bin", "LANG": "C", name: "/opt/arex"})
