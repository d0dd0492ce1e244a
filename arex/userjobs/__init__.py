"""What a user's clients remember of jobs."""
