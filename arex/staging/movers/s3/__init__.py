"""Buckets of S3 services."""
