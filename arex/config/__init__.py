"""Reads ``arc.conf`` or YAML into one immutable configuration; reference page and explanations of options."""
