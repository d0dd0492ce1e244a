"""Parsing the answers of batch systems, entry by entry."""
