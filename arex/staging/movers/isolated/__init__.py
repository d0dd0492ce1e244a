"""A mover in a separate process, so that a crash of its library does not affect the service."""
