"""Submitters: each package writes jobs into the control directory, which is their only interface to the service."""
