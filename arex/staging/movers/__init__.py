"""One mover for each protocol, behind a registry of URL schemes."""
