"""HTCondor, spoken: a dialect, submit descriptions and ads."""

from __future__ import annotations

from typing import Any

from arex.model.ids import LocalId
from arex.process import Completed
from lrms.command.dialect import Seen, Work
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from tests.unit.lrms import samples


def recorded(name: str) -> Completed:
    return samples.recorded(f"condor-23.9.6/{name}")


def dialect(**options: Any) -> CondorDialect:
    return CondorDialect(CondorOptions(**options))


def description(work: Work, **options: Any) -> list[str]:
    return dialect(**options).submit(work).stdin.decode().splitlines()


def value(lines: list[str], name: str) -> str | None:
    found = [line.partition(" = ")[2] for line in lines if line.partition(" = ")[0] == name]
    assert len(found) <= 1
    return found[0] if found else None


def ad(**attributes: float | bool | str) -> str:
    facts: dict[str, float | bool | str] = {"ClusterId": 7, "ProcId": 0, "JobStatus": 2, **attributes}
    text = ""
    for name, each in facts.items():
        if isinstance(each, bool):
            text += f'<a n="{name}"><b v="{"t" if each else "f"}"/></a>'
        else:
            tag = "s" if isinstance(each, str) else "i"
            text += f'<a n="{name}"><{tag}>{each}</{tag}></a>'
    return f"<classads><c>{text}</c></classads>"


def seen(**attributes: float | bool | str) -> Seen:
    return dialect().listed(Completed(("condor_q",), 0, ad(**attributes), ""))[LocalId("7.0")]
