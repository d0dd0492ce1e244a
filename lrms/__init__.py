"""How jobs run: batch system backends."""
