"""The grid manager's side of a batch system: submitting, polling, requests, health."""
