"""``read_session``, ``search``, ``wait_for``: what sessions say, have said, and are going to say."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from sessiontail.directory.awaiting import Waited, await_in_any, await_in_session
from sessiontail.directory.search_options import SearchOptions
from sessiontail.directory.search_pages import search_page
from sessiontail.errors import DamagedSession, SessionNotFound
from sessiontail.format.awaited import Awaited
from sessiontail.format.brief import counted
from sessiontail.format.condensed import as_lines, condensed, sound, weight
from sessiontail.format.excerpt import excerpt_of
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.patterns import text_pattern
from sessiontail.format.records import Record
from sessiontail.mcp.answers import Answer, ToolError
from sessiontail.mcp.arguments import ReadSession, Search, WaitFor
from sessiontail.mcp.bookmarks import SHORT
from sessiontail.mcp.toolbox import Progress, Toolbox
from sessiontail.session.asking import Match
from sessiontail.session.pages import read_page

__all__ = ["read_session", "search", "wait_for"]

# Of the line that matches, around the first match.
_EXCERPT = 400
# Of sessions that were not searched to their end, so many are named.
_NAMED = 20
# Of each text of a record that was waited for.
_AWAITED_TEXT = 2000
# A look at what is there takes a moment, also where no time is given for it.
_LEAST_WAIT_S = 0.25


async def read_session(tools: Toolbox, asked: ReadSession, _: Progress) -> Answer:
    """Return a page of a session's records."""
    given = [name for name in ("after", "last", "line") if getattr(asked, name) is not None]
    if len(given) > 1:
        raise ToolError(f"give one of after, last and line, not {' and '.join(given)}")
    session_id = await tools.meant(asked.session)
    after, last = asked.after, asked.last
    if asked.line is not None:
        after = await tools.store.cursor_at(session_id, asked.line)
    elif last is not None:
        # What is read from a place has its lines: a text that is cut is read whole by its line.
        with suppress(DamagedSession):
            after, last = await tools.store.cursor_at(session_id, last=last), None
    shape = partial(condensed, most=asked.max_text, start=asked.from_character)
    reader = tools.store.read(
        session_id,
        after=after,
        last=last,
        inherited="include" if asked.inherited else "skip",
    )
    page = await read_page(
        reader,
        limit=asked.limit,
        most_weight=max(asked.max_characters, asked.max_text),
        weigh=lambda record: weight(shape(record)),
        kinds=asked.kinds,
    )
    records = [
        {"line": one.line, "cursor": one.cursor, **shape(one.record)} for one in page.records
    ]
    told = f"{counted(len(records), 'record')} of session {session_id}."
    if page.at_end:
        told += (
            f" That is its end as it is now.\nWhat it writes next: wait_for with after={page.next}"
        )
    else:
        told += f" There is more.\nGo on: after={page.next}"
    return Answer(
        found={
            "session_id": str(session_id),
            "records": records,
            "next": page.next,
            "at_end": page.at_end,
        },
        data="\n".join(map(_text_of, records)),
        told=told,
    )


def _text_of(shown: dict[str, Any]) -> str:
    line = "?" if shown["line"] is None else shown["line"]
    return f"line {line}: " + "\n  ".join(as_lines(shown))


async def search(tools: Toolbox, asked: Search, _: Progress) -> Answer:
    """Return a page of matches, those of the newest session first."""
    options = SearchOptions(
        literal=not asked.regex, ignore_case=asked.ignore_case, kinds=asked.kinds
    )
    if asked.session is not None:
        session_id = await tools.meant(asked.session)
        await tools.store.meta(session_id)  # refuses one that is not there
        options["ids"] = [session_id]
    page = await search_page(
        asked.pattern,
        directory=tools.store.directory,
        limit=asked.limit,
        seconds=asked.max_seconds,
        after=asked.cursor,
        **options,
    )
    matches = [*map(_shown, page.matches)]
    told = (
        f"{counted(len(matches), 'matching line')}; {page.searched} of "
        f"{counted(page.total, 'session')} searched."
    )
    if page.unfinished:
        told += (
            f" {len(page.unfinished)} of them not to their end, for what takes too long or cannot be "
            f"read: {', '.join(page.unfinished[:_NAMED])}."
        )
    told += " That is all." if page.next is None else f"\nThere may be more: cursor={page.next}"
    return Answer(
        found={
            "matches": matches,
            "searched": page.searched,
            "sessions": page.total,
            "unfinished": page.unfinished[:_NAMED],
            "complete": page.next is None and not page.unfinished,
            "next": page.next,
        },
        data="\n".join(map(_match_text, matches)),
        told=told,
    )


def _shown(match: Match) -> dict[str, Any]:
    excerpt = excerpt_of(match.text, match.spans, _EXCERPT)
    shown: dict[str, Any] = {
        "session_id": None if match.session_id is None else str(match.session_id),
        "line": match.line,
        "kind": match.kind,
        "field": match.field,
        "text": sound(excerpt.text),
    }
    if match.tool is not None:
        shown["tool"] = sound(match.tool[:200])
    if excerpt.cut:
        shown["cut"] = True
    return shown


def _match_text(shown: dict[str, Any]) -> str:
    tool = f" of {shown['tool']!r}" if "tool" in shown else ""
    text = shown["text"].replace("\n", "\n  | ")
    head = f"session {shown['session_id']} line {shown['line']}: {shown['kind']}{tool}"
    return f"{head}, {shown['field']}\n  | {text}"


async def wait_for(tools: Toolbox, asked: WaitFor, progress: Progress) -> Answer:
    """Return the first record that is waited for, or why there was none."""
    awaited = Awaited(
        kinds=asked.kinds,
        tools=() if asked.tool is None else (asked.tool,),
        pattern=None
        if asked.text is None
        else text_pattern(asked.text, literal=True, ignore_case=True, clock=time.monotonic),
    )
    timeout_s = max(asked.timeout_s, _LEAST_WAIT_S)

    stands = ""

    async def on_wait(seconds: float, cursor: str) -> None:
        nonlocal stands
        # A long one is kept once, not every few seconds: from there on more is told twice.
        if not stands or len(cursor) <= SHORT:
            stands = await tools.bookmarks.short(cursor)
        await progress(seconds, timeout_s, stands)

    after = None if asked.after is None else await tools.bookmarks.whole(asked.after)
    if asked.session is None:
        everywhere = tools.store.tail_all(
            after=after, last=0 if after is None else None, inherited="skip"
        )
        waited = await await_in_any(
            everywhere, awaited, timeout=timeout_s, every_s=tools.progress_s, on_wait=on_wait
        )
        return await _ended(tools, waited, None)
    session_id = await tools.meant(asked.session)
    tail = tools.store.tail(session_id, after=after, wait=True, inherited="skip")
    waited = await await_in_session(
        tail, awaited, timeout=timeout_s, every_s=tools.progress_s, on_wait=on_wait
    )
    if waited.record is None and waited.outcome is None and not waited.passed and after is None:
        try:
            await tools.store.meta(session_id)
        except SessionNotFound:
            return await _ended(tools, waited, session_id, absent=True)
    return await _ended(tools, waited, session_id)


async def _ended(
    tools: Toolbox, waited: Waited, session_id: UUID | None, *, absent: bool = False
) -> Answer:
    """Return how a wait ended."""
    following = await tools.bookmarks.short(waited.cursor)
    whose = session_id or waited.session_id
    found: dict[str, Any] = {
        "ended_by": "record"
        if waited.record is not None
        else "time"
        if waited.outcome is None
        else "session_ended",
        "session_id": None if whose is None else str(whose),
        "passed": waited.passed,
        "next": following,
    }
    if waited.record is not None:
        shown = {"line": waited.line, **_awaited(waited.record)}
        found["record"] = shown
        return Answer(
            found=found,
            data=f"session {whose}\n{_text_of(shown)}",
            told=f"That record ended the wait.\nWhat comes behind it: after={following}",
        )
    if waited.outcome is not None:
        found["outcome"] = waited.outcome.value
        told = (
            f"The session has ended ({waited.outcome.value}) without it: nobody writes it any more. "
            f"Should it go on one day: after={following}"
        )
        if waited.outcome is Outcome.REPLACED:
            told = (
                "Another file has taken the place of the session's (replaced). Call again without after: "
                "it begins anew."
            )
        return Answer(found=found, data="", told=told)
    if absent:
        told = "The time is up, and there is no session with this id yet."
    else:
        told = f"The time is up; {counted(waited.passed, 'record')} came, and none was it."
    return Answer(found=found, data="", told=f"{told}\nGo on waiting: after={following}")


def _awaited(record: Record) -> dict[str, Any]:
    return condensed(record, most=_AWAITED_TEXT)
