"""What the bytes mean: lines, records, sessions, cursors.

Nothing here waits, opens a file or looks at a clock.
"""
