"""Storages that fsspec can reach and the site allows."""
