"""Runtime environments of a site: names, links, parameters. Running them is the batch systems' part."""

from arex.rte.catalog import (
    DEFAULT,
    DUMMY,
    ENABLED,
    PARAMS,
    Catalog,
    Linked,
    LinkedElsewhere,
    NoSuchRuntime,
    installed,
    names_below,
)
from arex.rte.names import is_name, matching, nearest
from arex.rte.params import BadParameter, Param, description

__all__ = [
    "DEFAULT",
    "DUMMY",
    "ENABLED",
    "PARAMS",
    "BadParameter",
    "Catalog",
    "Linked",
    "LinkedElsewhere",
    "NoSuchRuntime",
    "Param",
    "description",
    "installed",
    "is_name",
    "matching",
    "names_below",
    "nearest",
]
