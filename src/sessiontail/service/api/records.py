"""``/api/sessions/{session_id}/records``: what a session says, by pages or one record whole."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import anyio
from starlette.requests import Request
from starlette.responses import Response

from sessiontail.errors import LineNotFound
from sessiontail.format.json_pieces import json_pieces
from sessiontail.format.kinds import KINDS
from sessiontail.format.matching import hits_in
from sessiontail.format.patterns import TextPattern, text_pattern
from sessiontail.format.records import Chunk, Damage, Record
from sessiontail.format.shortened import MOST_LETTERS, shortened
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.bodies import AT_ONCE_BYTES, JSON, answer
from sessiontail.service.api.disconnects import until_disconnect
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.parameters import SESSION_ID, Parameter, read
from sessiontail.service.api.schemas import COUNT, FLAG, SCHEMA_ONE, TEXT, closed, listed, nullable
from sessiontail.service.api.slots import Slots
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.frames import parse_id
from sessiontail.service.live.sse import EventStream
from sessiontail.service.problems import Problem
from sessiontail.session.pages import PagedRecord, RecordPage, read_page
from sessiontail.session.reading import SessionReader
from sessiontail.system.files import in_thread

__all__ = ["ENDPOINTS"]

_MOST_LINE = 10**15
# Of a page that searches: up to where in the file it did, in bytes.
_SEARCHED = "Sessiontail-Searched"
# And the cursor of that place, also where there is no next page yet.
_BEHIND = "Sessiontail-Behind"

_LIST = (
    SESSION_ID,
    Parameter(
        name="after",
        about="A record's cursor, or the id of its event: begin with the record behind it.",
    ),
    Parameter(
        name="line",
        about="Begin at this line of the file, from 1.",
        kind="integer",
        least=1,
        most=_MOST_LINE,
    ),
    Parameter(
        name="last",
        about="Begin so many lines before the end.",
        kind="integer",
        least=1,
        most=_MOST_LINE,
    ),
    Parameter(
        name="limit",
        about="So many records at most.",
        kind="integer",
        default=200,
        least=1,
        most=1000,
    ),
    Parameter(name="kind", about="Only records of this kind.", choices=KINDS, repeated=True),
    Parameter(
        name="q",
        about="Only records with this text, in any case of letters: in what was said and thought, "
        "in what tools were given and gave, in damaged lines.",
        max_length=200,
    ),
)
_ONE = (
    SESSION_ID,
    Parameter(
        name="line",
        about="The record's line, from 1.",
        kind="integer",
        place="path",
        required=True,
        least=1,
        most=_MOST_LINE,
    ),
)


class _PageSearches:
    """Pages that search, of one application: two are read at once, so that the others' threads are free."""

    def __init__(self, context: Context) -> None:
        self._slots = Slots("pages that search", context.limits.page_searches)
        self._turn = anyio.Semaphore(2)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Be inside, when it is one's turn.

        Raises:
            Problem: 429, there are too many.
        """
        with self._slots.hold():
            async with self._turn:
                yield


def _page_reads(_: Context) -> anyio.Semaphore:
    """Four at once: the next one is read when this one is being sent, so that none pile up behind the loop."""
    return anyio.Semaphore(4)


def _whole_records(_: Context) -> anyio.Semaphore:
    """Two are read at once: a record may have 64 MiB, and takes three times as much to be parsed."""
    return anyio.Semaphore(2)


async def _list(request: Request) -> Response:
    # What waits for a thread, and whose client is gone, is not read.
    return await until_disconnect(request, partial(_page, request))


async def _page(request: Request) -> Response:
    values = read(request, _LIST)
    context = context_of(request)
    session_id = values["session_id"]
    searches = values["q"] or values["kind"]
    pattern = _pattern(values["q"])
    made: list[tuple[bytes, dict[str, str]]] = []
    async with context.part(_PageSearches).one() if searches else context.part(_page_reads):
        await read_page(
            await _reader(context, session_id, values),
            limit=values["limit"],
            kinds=values["kind"] or None,
            wants=None if pattern is None else _saying(pattern),
            needles=None if pattern is None else pattern.needles,
            most_bytes=context.limits.page_bytes,
            scan_bytes=context.limits.page_scan_bytes,
            finish=lambda page: made.append((_page_json(page, session_id), _how_far(page))),
        )
    ((body, how_far),) = made
    return answer(request, body, how_far if searches else None)


def _how_far(page: RecordPage) -> dict[str, str]:
    return {_SEARCHED: str(page.offset), _BEHIND: page.next}


async def _reader(context: Context, session_id: UUID, values: dict[str, Any]) -> SessionReader:
    after, line, last = values["after"], values["line"], values["last"]
    if sum(one is not None for one in (after, line, last)) > 1:
        raise Problem(400, "a page begins at one place: after, line or last")
    if line is not None or last is not None:
        # Also the last ones know their lines: they are counted once.
        after = await context.store.cursor_at(session_id, line, last=last)
    else:
        after = parse_id(after)[0]
    return context.store.read(session_id, after=after)


def _pattern(text: str | None) -> TextPattern | None:
    """Return what is searched for; None: nothing is."""
    if not text:
        return None
    return text_pattern(text, literal=True, ignore_case=True, clock=time.monotonic)


def _saying(pattern: TextPattern) -> Callable[[Record], bool]:
    """Return what says whether a pattern matches in a record."""

    def says(record: Record) -> bool:
        return isinstance(record, (Chunk, Damage)) and any(True for _ in hits_in(record, pattern))

    return says


def _page_json(page: RecordPage, session_id: UUID) -> bytes:
    records = ", ".join([_cut_json(row, session_id) for row in page.records])
    following = json.dumps(None if page.at_end else page.next)
    return f'{{"records": [{records}], "next": {following}}}\n'.encode()


def _cut_json(row: PagedRecord, session_id: UUID) -> str:
    whole = row.record.to_dict(session_id)
    if row.size <= MOST_LETTERS:  # nothing in it is longer than that
        return valid_json({**whole, "line": row.line, "cursor": row.cursor})
    value, cut, letters = shortened(whole)
    said = {**value, "line": row.line, "cursor": row.cursor}
    return valid_json({**said, "cut": True, "letters": letters} if cut else said)


async def _one(request: Request) -> Response:
    values = read(request, _ONE)
    context = context_of(request)
    session_id, line = values["session_id"], values["line"]
    after = await context.store.cursor_at(session_id, line)
    async with context.part(_whole_records):
        page = await read_page(context.store.read(session_id, after=after), limit=1)
    rows = [row for row in page.records if row.line == line]
    if not rows:
        raise LineNotFound(f"there is no record in line {line}")
    (row,) = rows
    said = {**row.record.to_dict(session_id), "line": row.line, "cursor": row.cursor}
    if row.size <= AT_ONCE_BYTES:
        return answer(request, f"{valid_json(said)}\n".encode())
    return EventStream(context, _in_pieces(context, said), media_type=JSON, holds=row.size)


async def _in_pieces(context: Context, said: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    pieces = json_pieces(said, valid_json)
    place = str(context.store.directory)
    while (piece := await in_thread(next, pieces, None, place=place)) is not None:
        yield piece.encode()
    yield b"\n"


# What every record has; the rest is as `-o jsonl` prints it.
_COMMON = {
    "schema": SCHEMA_ONE,
    "record_type": {"enum": ["header", "chunk", "trailer", "damage"]},
    "session_id": TEXT,
    "line": nullable(COUNT),
    "cursor": TEXT,
}
_RECORD = {"type": "object", "properties": _COMMON, "required": [*_COMMON]}
_CUT_RECORD = {**_RECORD, "properties": {**_COMMON, "cut": FLAG, "letters": COUNT}}
_NO_HEADER = refusal("The file does not begin with a header.")

ENDPOINTS = (
    Endpoint(
        path="/api/sessions/{session_id}/records",
        handle=_list,
        operation_id="listRecords",
        summary="The records of a session, a page at a time, long texts cut.",
        parameters=_LIST,
        responses={
            200: Answer(
                about="Records; `next` is the cursor of the next page, null where the end of the "
                "file was met. A page that searches may be short, or empty, and go on. A record "
                "that was cut says so, and how many `letters` its cut texts have. Where `kind` or "
                f"`q` is given, the header `{_SEARCHED}` says how many bytes of the file lie behind, "
                f"and `{_BEHIND}` is the cursor there, also where the end was met.",
                schema=closed(records=listed(_CUT_RECORD), next=nullable(TEXT)),
            ),
            409: refusal("The cursor is damaged, or does not fit."),
            422: _NO_HEADER,
        },
    ),
    Endpoint(
        path="/api/sessions/{session_id}/records/{line}",
        handle=_one,
        operation_id="getRecord",
        summary="One record of a session, whole.",
        parameters=_ONE,
        responses={
            200: Answer(about="The record.", schema=_RECORD),
            422: _NO_HEADER,
        },
    ),
)
