"""Batch systems that are spoken to by commands: everything but the dialect of each."""
