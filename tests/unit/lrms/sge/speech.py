"""Grid Engine, spoken: a dialect and its options."""

from __future__ import annotations

from typing import Any

from arex.process import Completed
from lrms.sge.dialect import SgeDialect, SgeOptions
from tests.unit.lrms import samples


def recorded(name: str) -> Completed:
    return samples.recorded(f"sge-8.1.9/{name}")


def dialect(**options: Any) -> SgeDialect:
    return SgeDialect(SgeOptions(**options))


def listing(more: str = "", state: str = "r") -> str:
    return (
        f"<job_info><queue_info><job_list><JB_job_number>7</JB_job_number><state>{state}</state>{more}"
        "</job_list></queue_info><job_info></job_info></job_info>"
    )
