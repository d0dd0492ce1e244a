"""The job script that all batch systems share, and the runtime environments in it."""
