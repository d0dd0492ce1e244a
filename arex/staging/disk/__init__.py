"""What staging keeps on disk: part files, session directories, the journal, the cache."""
