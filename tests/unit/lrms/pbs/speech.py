"""PBS, spoken: its dialects, and jobs as qstat lists them."""

from __future__ import annotations

from typing import Any, Final

from lrms.pbs.dialect import (
    PbsDialect,
    PbsOptions,
    TorqueDialect,
)

FLAVOURS: Final = (PbsDialect, TorqueDialect)


def dialect(kind: type[PbsDialect] = PbsDialect, **options: Any) -> PbsDialect:
    return kind(PbsOptions(**options))
