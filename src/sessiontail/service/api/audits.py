"""``/api/audit``: sessions counted and checked, a line each as they are found; or their sum."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import PurePath
from typing import Any

from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response

from sessiontail.errors import PersistenceError
from sessiontail.format.audit import DirectoryAudit, SessionAudit, summarize
from sessiontail.format.plain import SCHEMA
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.audit_passes import AuditPasses, SharedPass
from sessiontail.service.api.audit_schemas import AUDIT_LINE, SUMMARY
from sessiontail.service.api.choosing import CHOOSING, Choice
from sessiontail.service.api.disconnects import until_disconnect
from sessiontail.service.api.endpoints import Answer, Endpoint
from sessiontail.service.api.parameters import Parameter, read
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.frames import NDJSON
from sessiontail.service.live.sse import EventStream
from sessiontail.service.problems import problem_of
from sessiontail.system.files import in_thread

__all__ = ["ENDPOINTS", "summed_up"]

# Audits that become text in one turn of the event loop, 1 ms.
_AT_ONCE = 32

_PARAMETERS = (
    *CHOOSING,
    Parameter(name="summary", about="Only the sum, as one object.", kind="flag", default=False),
)


async def summed_up(shared: SharedPass, takes: Callable[[SessionAudit], bool]) -> DirectoryAudit:
    """Return the sum of the sessions of a pass that are meant.

    Raises:
        PersistenceError: the directory cannot be read.
    """
    found = await shared.all()
    return await in_thread(lambda: summarize([one for one in found if takes(one)]))


async def _audit(request: Request) -> Response:
    values = read(request, _PARAMETERS)
    context = context_of(request)
    choice = Choice(values)
    if values["summary"]:
        told = await until_disconnect(request, partial(_summary, context, choice))
        return Response(valid_json(told) + "\n", media_type="application/json")
    return EventStream(context, _lines(context, choice), media_type=NDJSON, heartbeat=b" ")


async def _summary(context: Context, choice: Choice) -> dict[str, Any]:
    async with context.part(AuditPasses).joined() as shared:
        return (await summed_up(shared, choice.takes)).to_dict()


async def _lines(context: Context, choice: Choice) -> AsyncGenerator[bytes, None]:
    """Yield a line a session, and the sum."""
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(context.part(AuditPasses).joined())
        chosen: list[SessionAudit] = []
        count = 0
        try:
            while some := await shared.beyond(count):
                count += len(some)
                for at in range(0, len(some), _AT_ONCE):
                    fit = [one for one in some[at : at + _AT_ONCE] if choice.takes(one)]
                    chosen += fit
                    yield "".join([f"{valid_json(_told(one))}\n" for one in fit]).encode()
                    await checkpoint()
            total = await in_thread(summarize, chosen)
            last = {"schema": SCHEMA, "summary": total.to_dict(), "undated": choice.undated}
        except PersistenceError as error:
            if not count:
                raise
            last = {"schema": SCHEMA, "error": problem_of(error).detail}
        yield f"{valid_json(last)}\n".encode()


def _told(one: SessionAudit) -> dict[str, Any]:
    """Return an audit as the command prints it; of its file, only the name."""
    return {**one.to_dict(), "file": PurePath(one.file).name}


ENDPOINTS = (
    Endpoint(
        path="/api/audit",
        handle=_audit,
        operation_id="audit",
        summary="All sessions counted and checked: a line each as they are found, the sum last.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="A line a session; the last one has the key summary, or error where the "
                "directory could not be read to its end. Without such a line it was cut off. "
                "With summary=true, the sum alone.",
                media_type=NDJSON,
                schema=AUDIT_LINE,
                also={"application/json": SUMMARY},
            ),
        },
    ),
)
