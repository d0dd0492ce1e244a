"""What we publish about the computing element and its jobs."""
