"""Mail to the owners of jobs, and the command of the service's owner at the end of jobs."""
