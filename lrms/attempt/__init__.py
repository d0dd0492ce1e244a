"""What one submission attempt leaves on disk: its completion record, its start marker, its output."""
