"""One module for each state: it looks at a job and decides what comes next."""
