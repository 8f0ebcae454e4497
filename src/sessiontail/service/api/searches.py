"""``/api/search``: a pattern -> its matches, a line each as they are found, and how far it came."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import PurePath
from typing import Any, NamedTuple

from anyio import current_time, move_on_after
from starlette.requests import Request
from starlette.responses import Response

from sessiontail.directory.search import Search
from sessiontail.directory.search_options import SearchOptions
from sessiontail.errors import PatternTooSlow, PersistenceError, SessionNotFound
from sessiontail.format.excerpt import excerpt_of
from sessiontail.format.records import ChunkKind
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.choosing import CHOOSING
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.parameters import Parameter, read
from sessiontail.service.api.schemas import (
    COUNT,
    FLAG,
    TEXT,
    UUID,
    closed,
    listed,
    nullable,
    one_of,
)
from sessiontail.service.api.slots import Slots
from sessiontail.service.context import Context, context_of
from sessiontail.service.live.frames import NDJSON
from sessiontail.service.live.sse import EventStream
from sessiontail.service.problems import problem_of
from sessiontail.session.asking import Match
from sessiontail.system.files import in_thread

__all__ = ["ENDPOINTS"]

_KINDS = (*map(str, ChunkKind), "damage")
# Letters of a line that are shown, and files that are named of those that could not be read.
_EXCERPT = 400
# Letters of a tool's name: it comes with each match, and a log may say what it likes.
_NAME = 200
_NAMED = 20
# Matches that are sent at once, where they are at hand.
_AT_ONCE = 64

_PARAMETERS = (
    Parameter(
        name="q",
        about="What is searched for: in what was said and thought, in what tools were given and gave.",
        required=True,
    ),
    Parameter(
        name="regex",
        about="q is a regular expression, as Python writes them; else it is a text.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="ignore_case",
        about="Capitals and small letters are the same.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="kind",
        about="Only records of this kind; damaged lines are searched only if they are asked for.",
        choices=_KINDS,
        repeated=True,
    ),
    Parameter(
        name="tool", about="Only what this tool was given and gave.", repeated=True, max_length=200
    ),
    *CHOOSING,
    Parameter(
        name="inherited",
        about="Also in rows that a session has copied from an earlier one; else each is searched once.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="limit",
        about="So many matches at most.",
        kind="integer",
        default=100,
        least=1,
        most=10_000,
    ),
)


class _Why(NamedTuple):
    """Why a search is over; None: all was searched."""

    reason: str | None
    message: str | None


async def _search(request: Request) -> Response:
    values = read(request, _PARAMETERS)
    context = context_of(request)
    return EventStream(context, _lines(context, values), media_type=NDJSON, heartbeat=b" ")


def _searches(context: Context) -> Slots:
    return Slots("searches", context.limits.searches)


def _regex_searches(context: Context) -> Slots:
    return Slots("searches with regular expressions", context.limits.regex_searches)


async def _lines(context: Context, values: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """Yield a line a match, and one that says how far it came."""
    async with AsyncExitStack() as stack:
        stack.enter_context(context.part(_searches).hold())
        if values["regex"]:
            stack.enter_context(context.part(_regex_searches).hold())
        until_s = current_time() + context.limits.search_s
        # A long pattern takes a moment.
        make = partial(context.store.search, values["q"], **_options(values))
        search = await stack.enter_async_context(await in_thread(make))
        told = 0
        why: _Why | None = None
        while why is None:
            most = min(_AT_ONCE, values["limit"] - told)
            some: list[Match] = []
            try:
                why = await _take(search, some, most, until_s)
            except PersistenceError as error:
                if not told:
                    raise
                why = _Why("error", problem_of(error).detail)
            told += len(some)
            if why is None and told == values["limit"]:
                why = _Why("limit", f"there may be more than {told}")
            yield "".join([f"{valid_json(_told(one))}\n" for one in some]).encode()
        yield f"{valid_json(_last(search, told, why))}\n".encode()


async def _take(search: Search, some: list[Match], most: int, until_s: float) -> _Why | None:
    """Take the next matches; return why there are no more.

    Raises:
        PersistenceError: the directory cannot be read.
    """
    with move_on_after(max(0.0, until_s - current_time())):
        try:
            while len(some) < most and (search.at_hand or not some):
                some.append(await anext(search))
        except StopAsyncIteration:
            return _Why(None, None)
        except PatternTooSlow as error:
            return _Why("pattern", error.message)
        return None
    return _Why("time", "the time is up: search for more letters, or in fewer sessions")


def _options(values: dict[str, Any]) -> SearchOptions:
    return SearchOptions(
        literal=not values["regex"],
        ignore_case=values["ignore_case"],
        kinds=values["kind"] or None,
        tools=values["tool"],
        ids=values["session"] or None,
        states=values["state"] or None,
        since=values["since"],
        until=values["until"],
        inherited="include" if values["inherited"] else "skip",
    )


def _told(match: Match) -> dict[str, Any]:
    excerpt = excerpt_of(match.text, match.spans, _EXCERPT)
    return {
        "session_id": None if match.session_id is None else str(match.session_id),
        "file": None if match.file is None else PurePath(match.file).name,
        "line": match.line,
        "kind": match.kind,
        "tool": None if match.tool is None else match.tool[:_NAME],
        "field": match.field,
        "text": excerpt.text,
        "spans": [*map(list, excerpt.spans)],
        "cut": excerpt.cut,
        "text_line": match.text_line,
    }


def _last(search: Search, told: int, why: _Why) -> dict[str, Any]:
    """Return what is said when it is over."""
    return {
        "complete": why.reason is None and not search.failed,
        "matches": told,
        "sessions": search.total,
        "total_bytes": search.total_bytes,
        "searched_bytes": search.searched_bytes,
        "damaged": search.damaged,
        "failed": [
            {"file": _name_of(one), "message": one.message} for one in search.failed[:_NAMED]
        ],
        "failed_count": len(search.failed),
        "skipped": len(search.skipped),
        "reason": why.reason,
        "message": why.message,
    }


def _name_of(error: PersistenceError) -> str | None:
    """Return the name of the file that could not be read; None where none was found."""
    if error.path is None or isinstance(error, SessionNotFound):
        return None
    return error.path.name


_MATCH = closed(
    session_id=nullable(UUID),
    file=nullable(TEXT),
    line=nullable(COUNT),
    kind=one_of(_KINDS),
    tool=nullable(TEXT),
    field=one_of(("text", "reasoning", "arguments", "result", "raw")),
    text={"type": "string", "maxLength": _EXCERPT},
    spans=listed({"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}),
    cut=FLAG,
    text_line=COUNT,
)
_END = closed(
    complete=FLAG,
    matches=COUNT,
    sessions=nullable(COUNT),
    total_bytes=COUNT,
    searched_bytes=COUNT,
    damaged=COUNT,
    failed=listed(closed(file=nullable(TEXT), message=TEXT)),
    failed_count=COUNT,
    skipped=COUNT,
    reason=nullable(one_of(("limit", "time", "pattern", "error"))),
    message=nullable(TEXT),
)

ENDPOINTS = (
    Endpoint(
        path="/api/search",
        handle=_search,
        operation_id="search",
        summary="Where a text stands in what was said, called and answered: a line a match.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="A line a match, spans counted in code points of text; the last line has the "
                "key complete, and says why it is not. Without such a line it was cut off.",
                media_type=NDJSON,
                schema={"oneOf": [_MATCH, _END]},
            ),
            501: refusal("Regular expressions need a package that is not installed here."),
        },
    ),
)
