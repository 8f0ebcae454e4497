"""Tools for agents over the Model Context Protocol: an edge on the store (extra ``mcp``).

To import it raises ``MissingExtra`` where there is no SDK, or one of another major version.
"""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from sessiontail.errors import MissingExtra

_INSTALL = "pip install 'mcp>=1.22,<2'"

if find_spec("mcp") is None:
    raise MissingExtra(f"the tools for agents need the package mcp: {_INSTALL}")
# 2 has other messages; without a bound pip installs that.
if not (_version := metadata.version("mcp")).startswith("1."):
    raise MissingExtra(f"the tools for agents need mcp 1, and mcp {_version} is here: {_INSTALL}")
