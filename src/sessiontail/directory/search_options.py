"""options of a search -> what is asked of each file."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime
from os import PathLike
from typing import Literal, TypedDict, Unpack
from uuid import UUID

from sessiontail import checks
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.patterns import text_pattern
from sessiontail.format.records import ChunkKind
from sessiontail.session.asking import Question

__all__ = ["SearchOptions", "question_of"]


class SearchOptions(TypedDict, total=False):
    """What ``search`` takes besides the pattern; each may be left out."""

    #: Search for the text as it stands; else it is a regular expression (extra ``search``).
    literal: bool
    #: Capitals and small letters are the same.
    ignore_case: bool
    #: Only chunks of these kinds; "damage" among them searches damaged lines too.
    kinds: Collection[ChunkKind | str] | None
    #: Only arguments and results of tools with these names.
    tools: Collection[str] | None
    #: Only these sessions.
    ids: Collection[UUID | str] | None
    #: Only these files.
    paths: Collection[str | PathLike[str]] | None
    #: Only sessions in one of these states.
    states: Collection[SessionState | str] | None
    #: Only sessions that were created at or after this moment, and before that one.
    since: datetime | None
    until: datetime | None
    #: So many matching records of each session; None: all.
    max_per_session: int | None
    #: So many lines of the same text before and behind each match.
    context: int
    #: "skip": a row that was inherited is searched where it is its session's own, and nowhere else.
    inherited: Literal["include", "skip"]


def question_of(
    pattern: str, *, max_line_bytes: int = MAX_LINE_BYTES, **options: Unpack[SearchOptions]
) -> Question:
    """Return what is searched for in each file, without what is inherited there.

    Raises:
        InvalidPattern: it is no regular expression, or empty.
        MissingExtra: it is one, and the ``regex`` package is not installed.
        TypeError: there is no such option, or it is of another type.
        ValueError: an option cannot be meant.
    """
    _check(pattern, options)
    kinds, tools = options.get("kinds"), options.get("tools")
    most, context = options.get("max_per_session"), options.get("context", 0)
    return Question(
        pattern=text_pattern(
            pattern,
            literal=options.get("literal", False),
            ignore_case=options.get("ignore_case", False),
            clock=time.monotonic,
        ),
        kinds=None
        if kinds is None
        else frozenset(str(kind) if kind == "damage" else ChunkKind(kind).value for kind in kinds),
        tools=frozenset(tools or ()),
        context=context,
        most=most,
        max_line_bytes=max_line_bytes,
    )


def _check(pattern: object, options: SearchOptions) -> None:
    """Refuse what cannot be meant, whichever of the options a search makes use of."""
    if not isinstance(pattern, str):
        raise TypeError(f"pattern is a str, not {type(pattern).__name__} {pattern!r}")
    checks.no_others("a search", options, SearchOptions.__annotations__)
    for name in ("literal", "ignore_case"):
        checks.flag(name, options.get(name, False))
    for name in ("kinds", "tools", "ids", "paths", "states"):
        checks.several(name, options.get(name))
    for tool in options.get("tools") or ():
        if not isinstance(tool, str):
            raise TypeError(f"tools are names, not {type(tool).__name__} {tool!r}")
    for name in ("since", "until"):
        checks.moment(name, options.get(name))
    checks.count("context", options.get("context", 0))
    if options.get("max_per_session") is not None:
        checks.count("max_per_session", options["max_per_session"])
    checks.one_of("inherited", options.get("inherited", "skip"), ("include", "skip"))
