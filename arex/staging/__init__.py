"""Moves the files of jobs in and out: engine, transfers, queues, checksums."""
