"""All sessions of a directory: listed, followed together, pruned."""
