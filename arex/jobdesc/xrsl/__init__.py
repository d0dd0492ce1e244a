"""xRSL: grammar, attributes, and text written in it."""
