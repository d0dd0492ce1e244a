"""LSF, spoken: a dialect, and jobs as bjobs lists them."""

from __future__ import annotations

from typing import Any

from lrms.lsf.dialect import Form, LsfDialect, LsfOptions


def dialect(form: Form = Form.JSON, *, units: bool = True, **options: Any) -> LsfDialect:
    return LsfDialect(LsfOptions(**options), form, units=units)
