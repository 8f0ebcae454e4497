"""Streams: what is written and what happens -> events, read once for all clients that listen."""
