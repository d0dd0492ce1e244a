"""Descriptions that the tests submit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FIXTURES: Final = Path(__file__).parents[1] / "data/fixtures"
DESCRIPTIONS: Final = Path(__file__).parents[1] / "data/descriptions/arcsub-6.17"

HELLO: Final = (
    '&(executable="/bin/echo")(arguments="hello world")(stdout="out.txt")(stderr="err.txt")'
    '(jobname="hello")(gmlog="gmlog")'
)
FAIL3: Final = '&(executable="/bin/sh")(arguments="-c" "echo out; echo err >&2; exit 3")(stdout="out")(stderr="err")'
SLEEP: Final = '&(executable="/bin/sleep")(arguments="300")(jobname="sleep")'
LATER: Final = '&(executable="/bin/true")(starttime="2099-01-01 10:00:00")(jobname="later")'

#: Waits in PREPARING until its client says that all is there.
PUSH: Final = """\
<?xml version="1.0"?>
<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl">
  <ActivityIdentification><Name>push</Name></ActivityIdentification>
  <Application>
    <Executable><Path>/bin/cat</Path><Argument>pushed.txt</Argument></Executable>
    <Output>out.txt</Output>
  </Application>
  <Resources/>
  <DataStaging>
    <ClientDataPush>true</ClientDataPush>
    <OutputFile><Name>out.txt</Name></OutputFile>
  </DataStaging>
</ActivityDescription>
"""


def fixture(name: str, suffix: str) -> Path:
    """A control file of a job of A-REX 6.17."""
    [path] = (FIXTURES / name / "ctl").glob(f"job.*.{suffix}")
    return path


def shell(script: str, more: str = "") -> str:
    """A job that runs a line of shell; stdout and stderr are kept. What the job script expands, ``$``, is not in it."""
    quoted = script.replace('"', '""')
    return f'&(executable="/bin/sh")(arguments="-c" "{quoted}")(stdout="out.txt")(stderr="err.txt"){more}'


def tally(path: Path, word: str, then: str = ":", more: str = "") -> str:
    """A job that leaves a line in a file each time it runs."""
    return shell(f"echo {word} >>{path}; {then}", more)
