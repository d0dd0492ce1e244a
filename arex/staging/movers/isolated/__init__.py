"""A mover in a separate process, so that a crash of its library costs the service nothing."""
