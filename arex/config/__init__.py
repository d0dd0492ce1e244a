"""``arc.conf`` or YAML to one frozen configuration; its reference and explanation."""
