"""Published information about the computing element and its jobs."""
