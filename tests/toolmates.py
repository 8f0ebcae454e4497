"""The SDK's own client of our tools: connected to a server in this process, and what it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import ClientSession
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import CallToolResult, TextContent

from sessiontail import SessionStore
from sessiontail.mcp.answers import NOTICE
from sessiontail.mcp.server import ToolServer
from sessiontail.mcp.toolbox import Toolbox

__all__ = ["asked", "connected", "refused", "text_of", "within_fence"]


@asynccontextmanager
async def connected(
    directory: Path, *, progress_s: float = 5.0, server: ToolServer | None = None
) -> AsyncIterator[ClientSession]:
    """A client; it knows the tools, so that it checks each answer by the schema that it was shown."""
    server = server or ToolServer(Toolbox(SessionStore(directory), progress_s=progress_s))
    async with create_connected_server_and_client_session(server.server) as client:
        await client.list_tools()
        yield client


async def asked(client: ClientSession, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """What a tool finds, without the notice."""
    result = await client.call_tool(tool, arguments)
    assert not result.isError, text_of(result)
    assert result.structuredContent is not None
    found = {**result.structuredContent}
    assert found.pop("notice") == NOTICE
    return found


async def refused(client: ClientSession, tool: str, /, **arguments: Any) -> str:
    """What is said where a tool cannot do it."""
    result = await client.call_tool(tool, arguments)
    assert result.isError, result
    assert result.structuredContent is None
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def within_fence(text: str) -> tuple[str, str]:
    """The data of a text, and what is said behind it."""
    first, begin, rest = text.split("\n", 2)
    name = begin.removeprefix("=== data ").removesuffix(" ===")
    assert first.startswith(f"Between the two lines that say {name} stands what other agents, ")
    data, told = rest.split(f"\n=== end of data {name} ===\n")
    return data, told
