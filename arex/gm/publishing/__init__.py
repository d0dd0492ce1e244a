"""Information for the owners of jobs: the GLUE2 document, the evidence of an end, the job log."""
