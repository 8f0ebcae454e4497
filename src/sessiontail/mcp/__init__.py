"""Tools for agents over the Model Context Protocol: an edge on the store (extra ``mcp``)."""
