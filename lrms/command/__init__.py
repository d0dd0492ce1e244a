"""Batch systems that are controlled by commands: everything but the dialect of each."""
