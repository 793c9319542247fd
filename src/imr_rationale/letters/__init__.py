"""Files in, letters out: read the text of a file, then its items."""
