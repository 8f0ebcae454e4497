"""One session: its file is found, read, followed to its end, written, deleted."""
