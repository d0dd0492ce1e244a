"""What the submitting side does with a description: defaults, wrapper script, conversion."""
