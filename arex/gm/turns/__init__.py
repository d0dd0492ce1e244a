"""Turns: which job is driven next, in which thread, and what is known about it meanwhile."""
