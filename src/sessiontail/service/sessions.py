"""``/api/sessions``: the sessions of the directory by pages; and one of them, counted."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.directory.selecting import SORTS, MetaPage, Selection, mentions, page_of
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.records import ChunkKind
from sessiontail.service.context import Context, context_of
from sessiontail.service.endpoints import Answer, Endpoint
from sessiontail.service.etags import NOT_MODIFIED, with_etag
from sessiontail.service.frames import valid_json
from sessiontail.service.metas import META, META_FIELDS, outlined, told
from sessiontail.service.parameters import SESSION_ID, Parameter, read
from sessiontail.service.schemas import COUNT, COUNTS, TEXT, closed, listed, nullable
from sessiontail.session.counts import SessionCounts, count_session
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import in_thread
from sessiontail.system.rounds import Rounds

__all__ = ["ENDPOINTS"]

# None of them goes over the directory a second time.
_LIST = (
    Parameter(
        name="state",
        about="Only sessions in this state.",
        choices=tuple(map(str, SessionState)),
        repeated=True,
    ),
    Parameter(
        name="since",
        about="Only sessions that were created at or after this moment, or so long ago.",
        kind="moment",
    ),
    Parameter(
        name="until",
        about="Only sessions that were created before this moment, or longer ago.",
        kind="moment",
    ),
    Parameter(
        name="q",
        about="Only sessions with this text in their id, title or lineage operator.",
        max_length=200,
    ),
    Parameter(
        name="sort",
        about="The order; with a minus the newest or largest comes first.",
        choices=SORTS,
        default="-created",
    ),
    Parameter(
        name="limit",
        about="So many sessions at most.",
        kind="integer",
        default=100,
        least=1,
        most=500,
    ),
    Parameter(
        name="cursor", about="What the page before has as `next`; of the same sort.", max_length=500
    ),
)


def _listing(context: Context) -> Rounds[list[PersistedSessionMeta]]:
    """Of one application: as many as ask at once, the directory is looked through once."""
    return Rounds(context.store.list)


async def _list(request: Request) -> Response:
    values = read(request, _LIST)
    context = context_of(request)
    place = str(context.store.directory)
    metas = await context.part(_listing).ask()
    chosen = Selection(states=values["state"], since=values["since"], until=values["until"])
    some = await in_thread(_taken, metas, chosen, place=place)
    if values["q"]:
        some = [one.meta for one in await outlined(context, some) if mentions(one, values["q"])]
    page = await in_thread(_page, some, values, place=place)
    outlines = await outlined(context, page.metas)
    # In a thread: 500 of them take 20 ms.
    body = await in_thread(
        lambda: _encoded({"sessions": [*map(told, outlines)], "next": page.next}), place=place
    )
    return with_etag(request, body)


def _taken(metas: list[PersistedSessionMeta], chosen: Selection) -> list[PersistedSessionMeta]:
    return [*filter(chosen.takes, metas)]


def _page(metas: list[PersistedSessionMeta], values: dict[str, Any]) -> MetaPage:
    return page_of(metas, sort=values["sort"], limit=values["limit"], after=values["cursor"])


async def _one(request: Request) -> Response:
    session_id = read(request, (SESSION_ID,))["session_id"]
    context = context_of(request)
    place = str(context.store.directory)
    meta = await context.store.meta(session_id)
    counts = await in_thread(count_session, meta.file, place=place)
    (outline,) = await outlined(context, [meta])
    said = {
        **told(outline),
        "counts": _counted(counts, outline.inherited_count),
        "cursor": counts.cursor,
    }
    return with_etag(request, _encoded(said))


def _counted(counts: SessionCounts, inherited: int | None) -> dict[str, Any]:
    return {
        "lines": counts.lines,
        "header": counts.header,
        **counts.chunks,
        "trailer": counts.trailer,
        "damage": counts.damage,
        "tools": counts.tools,
        "inherited": inherited,
    }


def _encoded(value: dict[str, Any]) -> bytes:
    return f"{valid_json(value)}\n".encode()


ENDPOINTS = (
    Endpoint(
        path="/api/sessions",
        handle=_list,
        operation_id="listSessions",
        summary="The sessions of the directory, a page at a time.",
        parameters=_LIST,
        responses={
            200: Answer(
                about="Sessions; `next` is the cursor of the next page, null where there is none.",
                schema=closed(sessions=listed(META), next=nullable(TEXT)),
            ),
            304: Answer(about=NOT_MODIFIED, media_type=None),
            409: Answer(
                about="The cursor is damaged, or of another sort.",
                media_type="application/problem+json",
            ),
        },
    ),
    Endpoint(
        path="/api/sessions/{session_id}",
        handle=_one,
        operation_id="getSession",
        summary="One session, and how many records of what it has.",
        parameters=(SESSION_ID,),
        responses={
            200: Answer(
                about="The session. `cursor` is behind its last whole line; of `counts`, "
                "`inherited` is how many of the first rows are an earlier session's, null where "
                "that is unknown.",
                schema=closed(
                    **META_FIELDS,
                    counts=closed(
                        lines=COUNT,
                        header=COUNT,
                        **{str(kind): COUNT for kind in ChunkKind},
                        trailer=COUNT,
                        damage=COUNT,
                        tools=COUNTS,
                        inherited=nullable(COUNT),
                    ),
                    cursor=TEXT,
                ),
            ),
            304: Answer(about=NOT_MODIFIED, media_type=None),
            422: Answer(
                about="Its file does not begin with a header.",
                media_type="application/problem+json",
            ),
        },
    ),
)
