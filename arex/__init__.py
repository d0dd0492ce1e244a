"""arex: a grid computing element for the front end of a cluster."""

__version__ = "0.1.0"
