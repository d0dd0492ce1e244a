"""Jobs as processes of this machine: supervisors, started by a fork server."""
