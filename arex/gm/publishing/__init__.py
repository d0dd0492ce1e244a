"""What owners see of their jobs: the GLUE2 document, the evidence of an end, the job log."""
