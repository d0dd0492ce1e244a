from __future__ import annotations

import subprocess
import sys

import pytest

import lrms
from arex.config.model import Configuration
from arex.errors import ConfigError
from lrms.fork.backend import ForkBackend


def test_a_backend_is_found_by_its_name_and_made_from_the_configuration() -> None:
    backend = lrms.load("fork", Configuration())

    assert isinstance(backend, ForkBackend)
    assert backend.name == "fork"


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean fork"):
        lrms.load("frok", Configuration())


def test_every_name_in_the_table_leads_to_a_class_of_that_name() -> None:
    assert {name: lrms.load(name, Configuration()).name for name in lrms.BACKENDS} == {
        **{name: name for name in ("fork", "pbs", "lsf", "sge", "condor")},
        "pbspro": "pbs",
        "slurm": "SLURM",
    }


def test_the_forkserver_imports_nothing_heavy() -> None:
    """Every job's supervisor is a copy of it."""
    code = "import sys; sys.path.append('.'); import lrms.fork.server; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    assert not {"arex", "asyncio", "dataclasses", "inspect", "logging", "pathlib", "typing_extensions"} & set(
        done.stdout.split()
    )
