"""What the kernel says: files, names, locks, events, threads.

Nothing here knows what is in a session file.
"""
