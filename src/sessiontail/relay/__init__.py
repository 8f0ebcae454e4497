"""Sessions of many hosts, through Redis Streams: published by each, mirrored where they are read."""
