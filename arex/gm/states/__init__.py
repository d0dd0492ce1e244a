"""One module for each state, with the handler that decides the next step of a job."""
