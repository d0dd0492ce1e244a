"""How jobs come in: submission plugins."""
