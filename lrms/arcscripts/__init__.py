"""Any batch system through ARC's own scripts."""
