"""The control directory: where files lie, what they say, atomic writes, events."""
