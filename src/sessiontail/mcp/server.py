"""a store -> an MCP server: its tools, run one call at a time each, with exact errors and limits.

On the SDK's low-level server, which speaks the protocol; how messages come and go is ``stdio``'s and
``http``'s. What is sent must be JSON that any client reads: the answers have no halves of characters and no
NaN.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.types import (
    CallToolRequest,
    CallToolResult,
    ListToolsRequest,
    ListToolsResult,
    ServerResult,
)

from sessiontail.errors import PersistenceError
from sessiontail.mcp.answers import ToolError, as_error, as_result
from sessiontail.mcp.arguments import parse
from sessiontail.mcp.calls import Calls, Ending, InFlight
from sessiontail.mcp.toolbox import Progress, Toolbox
from sessiontail.mcp.tools import INSTRUCTIONS, TOOLS, ToolRow, as_tool

__all__ = ["ToolServer"]

logger = logging.getLogger("sessiontail")

# Calls that read at once, of all clients; those beyond wait for their turn, within their time.
_READING = 8


class ToolServer:
    """Answers the calls of MCP clients.

    Args:
        toolbox: what the tools work with.
    """

    def __init__(self, toolbox: Toolbox) -> None:
        #: The calls that are in flight.
        self.calls = Calls()
        #: Speaks the protocol; ``run`` it with two streams of messages.
        self.server: Server[Any, Any] = Server(
            "sessiontail", version=version("sessiontail"), instructions=INSTRUCTIONS
        )
        self._toolbox = toolbox
        self._rows = {row.name: row for row in TOOLS}
        self._turns = anyio.Semaphore(_READING)
        # Set as they are, not by the SDK's decorators: these check the arguments once more, in words
        # that repeat them whole.
        self.server.request_handlers[ListToolsRequest] = self._list
        self.server.request_handlers[CallToolRequest] = self._call

    async def _list(self, _: ListToolsRequest) -> ServerResult:
        return ServerResult(ListToolsResult(tools=[as_tool(row) for row in TOOLS]))

    async def _call(self, request: CallToolRequest) -> ServerResult:
        row = self._rows.get(request.params.name)
        if row is None:
            names = ", ".join(self._rows)
            return ServerResult(as_error(f"there is no such tool; there are {names}"))
        context = self.server.request_context
        client = context.request if isinstance(context.request, str) else ""
        results: list[CallToolResult] = []
        with self.calls.running(client, str(context.request_id), waits=row.waits) as call:
            results.append(await self._run(row, request.params.arguments, call))
        if not results:  # it was ended
            results.append(as_error(_why(call)))
        return ServerResult(results[0])

    async def _run(
        self, row: ToolRow, arguments: dict[str, Any] | None, call: InFlight
    ) -> CallToolResult:
        try:
            asked = parse(row.shape, arguments)
            with anyio.fail_after(row.most_s):
                async with nullcontext() if row.waits else self._turns:
                    return as_result(await row.run(self._toolbox, asked, self._progress(call)))
        except ToolError as error:
            return as_error(str(error))
        except PersistenceError as error:
            session = (arguments or {}).get("session")
            return as_error(await self._toolbox.explain(error, session))
        except TimeoutError:
            return as_error(
                f"that took more than {row.most_s:g} s and was given up; ask for less: one session, a "
                "smaller limit, a later since"
            )
        except Exception as error:
            logger.exception("the tool %s failed", row.name)
            return as_error(f"the tool failed ({type(error).__name__}); the server's log says why")

    def _progress(self, call: InFlight) -> Progress:
        """Return what notes how far a call is, and tells the caller where that was asked for."""
        context = self.server.request_context
        token = None if context.meta is None else context.meta.progressToken

        async def tell(seconds: float, total: float, cursor: str) -> None:
            call.cursor = cursor
            if token is not None:
                await context.session.send_progress_notification(
                    token,
                    round(seconds, 3),
                    total,
                    f"waiting; so far up to {cursor}",
                    related_request_id=str(context.request_id),
                )

        return tell


def _why(call: InFlight) -> str:
    """Return what is said of a call that was ended."""
    if call.ending is Ending.CANCELLED:
        return "cancelled"
    how = "the same arguments" if call.cursor is None else f"after={call.cursor}"
    return f"the server stops. Nothing is lost: call again with {how} once it is back"
