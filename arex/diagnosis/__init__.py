"""Why a job waits, and why it failed."""
