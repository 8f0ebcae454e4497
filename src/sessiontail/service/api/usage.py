"""``/api/usage``: tokens, and of how many sessions they are known; of all, or of one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.directory.conversations import way_to
from sessiontail.errors import PersistenceError
from sessiontail.format.plain import SCHEMA, plain
from sessiontail.format.records import TokenUsage
from sessiontail.format.tally import UsageTotal
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.audit_passes import AuditPasses
from sessiontail.service.api.audit_schemas import USAGE
from sessiontail.service.api.audits import summed_up
from sessiontail.service.api.disconnects import until_disconnect
from sessiontail.service.api.endpoints import Answer, Endpoint
from sessiontail.service.api.metas import compared
from sessiontail.service.api.parameters import Parameter, read
from sessiontail.service.context import Context, context_of
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore
from sessiontail.system.files import in_thread

__all__ = ["ENDPOINTS"]

_PARAMETERS = (
    Parameter(
        name="session",
        about="Of this session, and of the conversation that it is the last turn of.",
        kind="session",
    ),
)


async def _usage(request: Request) -> Response:
    session_id = read(request, _PARAMETERS)["session"]
    context = context_of(request)
    work = (
        partial(_of_all, context) if session_id is None else partial(_of_one, context, session_id)
    )
    told = await until_disconnect(request, work)
    return Response(valid_json({"schema": SCHEMA, **told}) + "\n", media_type="application/json")


async def _of_all(context: Context) -> dict[str, Any]:
    async with context.part(AuditPasses).joined() as shared:
        total = await summed_up(shared, lambda _: True)
    return _told(total.usage, sessions=total.sessions, unreadable=total.unreadable)


async def _of_one(context: Context, session_id: UUID) -> dict[str, Any]:
    store = context.store
    own = await store.meta(session_id)
    way = await in_thread(way_to, session_id, await compared(context))
    # One that has come since the look around is the only turn that is known.
    metas = [one.meta for one in way] or [own]
    return {
        "session_id": own.id_text,
        **await _total(store, [own]),
        "conversation": {
            "session_ids": [meta.id_text for meta in metas],
            **await _total(store, metas),
        },
    }


async def _total(store: SessionStore, metas: Sequence[PersistedSessionMeta]) -> dict[str, Any]:
    usages: list[tuple[TokenUsage | None, bool]] = []
    unreadable = 0
    for meta in metas:
        damaged = False
        if meta.cumulative_usage is None:
            # Whether the line that may have said it is damaged: every line is looked at.
            try:
                damaged = bool((await store.meta(path=meta.file, verify=True)).damaged_lines)
            except PersistenceError:
                unreadable += 1
                continue
        usages.append((meta.cumulative_usage, damaged))
    return _told(UsageTotal.of(usages), sessions=len(metas), unreadable=unreadable)


def _told(total: UsageTotal, *, sessions: int, unreadable: int) -> dict[str, Any]:
    return {**plain(total), "sessions": sessions, "unreadable": unreadable}


ENDPOINTS = (
    Endpoint(
        path="/api/usage",
        handle=_usage,
        operation_id="usage",
        summary="Tokens, and of how many sessions they are known: of all, or of one conversation.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="Sums of the known ones. Unknown are sessions that say none: they run, crashed, "
                "or nobody counted; damaged are those of them that have a damaged line.",
                schema=USAGE,
            ),
        },
    ),
)
