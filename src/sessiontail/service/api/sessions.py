"""``/api/sessions``: the sessions of the directory by pages; and one of them, counted."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.directory.outlines import SessionOutline
from sessiontail.directory.selecting import SORTS, MetaPage, Selection, mentions, page_of
from sessiontail.format.cursor import Position
from sessiontail.format.records import ChunkKind
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.choosing import STATED
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.etags import NOT_MODIFIED, with_etag
from sessiontail.service.api.metas import META, META_FIELDS, compared, outlined, told
from sessiontail.service.api.parameters import SESSION_ID, Parameter, read
from sessiontail.service.api.schemas import COUNT, COUNTS, TEXT, closed, listed, nullable
from sessiontail.service.context import Context, context_of
from sessiontail.session.counts import SessionCounts, count_session
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import in_thread
from sessiontail.system.kept import Kept
from sessiontail.system.rounds import Rounds
from sessiontail.system.threads import long_place

__all__ = ["ENDPOINTS"]

_LIST = (
    *STATED,
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


_ONE = (
    SESSION_ID,
    Parameter(
        name="counts",
        about="Count its records by kind and by tool, for which all of it is read once; else only "
        "lines are counted: 0.1 s for 100 MB, and then what is added.",
        kind="flag",
        default=True,
    ),
)

# Questions whose answers are shared: the usual one, and what a person filters for; 0.3 MB each.
_KEPT = 16


class _Lists:
    """The lists of one application: however many ask at once, the directory is looked through once.

    Who asks the same at once gets one answer: a page that is open in 1,000 browsers asks 1,000
    times, when the service is there again.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._place = str(context.store.directory)
        self._metas = Rounds(context.store.list)
        self._answers: Kept[tuple[Any, ...], Rounds[bytes]] = Kept(_KEPT)

    async def answer(self, values: dict[str, Any]) -> bytes:
        """Return the body of the answer to the values of ``_LIST``."""
        asked = tuple(values.values())
        rounds = self._answers.get(asked)
        if rounds is None:
            rounds = Rounds(partial(self._made, values))
            self._answers.put(asked, rounds)
        return await rounds.ask()

    async def _made(self, values: dict[str, Any]) -> bytes:
        context, place = self._context, self._place
        chosen = Selection(states=values["state"], since=values["since"], until=values["until"])
        if text := values["q"]:
            metas = await in_thread(_mentioned, await compared(context), text, place=place)
        else:
            metas = await self._metas.ask()
        some = await in_thread(_taken, metas, chosen, place=place)
        page = await in_thread(_page, some, values, place=place)
        outlines = await outlined(context, page.metas)

        def encode() -> bytes:
            return _encoded({"sessions": [*map(told, outlines)], "next": page.next})

        # In a thread: 500 of them take 20 ms.
        return await in_thread(encode, place=place)


async def _list(request: Request) -> Response:
    values = read(request, _LIST)
    return with_etag(request, await context_of(request).part(_Lists).answer(values))


def _taken(metas: list[PersistedSessionMeta], chosen: Selection) -> list[PersistedSessionMeta]:
    return [*filter(chosen.takes, metas)]


def _mentioned(outlines: list[SessionOutline], text: str) -> list[PersistedSessionMeta]:
    return [one.meta for one in outlines if mentions(one, text)]


def _page(metas: list[PersistedSessionMeta], values: dict[str, Any]) -> MetaPage:
    return page_of(metas, sort=values["sort"], limit=values["limit"], after=values["cursor"])


async def _one(request: Request) -> Response:
    values = read(request, _ONE)
    context = context_of(request)
    place = str(context.store.directory)
    meta = await context.store.meta(values["session_id"])
    said: dict[str, Any]
    if values["counts"]:
        counts = await in_thread(count_session, meta.file, place=long_place(place))
        (outline,) = await outlined(context, [meta])
        counted = _counted(counts, outline.inherited_count)
        said = {"lines": counts.lines, "counts": counted, "cursor": counts.cursor}
    else:
        (outline,) = await outlined(context, [meta])
        cursor = await context.store.cursor_at(values["session_id"], last=0)
        said = {"lines": Position.decode(cursor).lines, "counts": None, "cursor": cursor}
    return with_etag(request, _encoded({**told(outline), **said}))


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


_COUNTS_SCHEMA = closed(
    lines=COUNT,
    header=COUNT,
    **{str(kind): COUNT for kind in ChunkKind},
    trailer=COUNT,
    damage=COUNT,
    tools=COUNTS,
    inherited=nullable(COUNT),
)

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
            409: refusal("The cursor is damaged, or of another sort."),
        },
    ),
    Endpoint(
        path="/api/sessions/{session_id}",
        handle=_one,
        operation_id="getSession",
        summary="One session, and how many records of what it has.",
        parameters=_ONE,
        responses={
            200: Answer(
                about="The session. `lines` are whole lines, `cursor` is behind the last of them; of "
                "`counts`, null where they were not asked for, `inherited` is how many of the first "
                "rows are an earlier session's, null where that is unknown.",
                schema=closed(
                    **META_FIELDS, lines=COUNT, counts=nullable(_COUNTS_SCHEMA), cursor=TEXT
                ),
            ),
            304: Answer(about=NOT_MODIFIED, media_type=None),
            422: refusal("Its file does not begin with a header."),
        },
    ),
)
