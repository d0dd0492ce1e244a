"""The control directory: paths and formats of its files, atomic writes, events."""
