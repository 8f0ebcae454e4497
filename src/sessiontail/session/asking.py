"""what is searched for, and a record -> the matches in it, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct

from sessiontail.errors import PatternTooSlow
from sessiontail.format.brief import brief, quoted, short
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.matching import hits_in
from sessiontail.format.needles import Needles
from sessiontail.format.patterns import MOST_SECONDS, TextPattern, TooSlow
from sessiontail.format.plain import SCHEMA
from sessiontail.format.records import Chunk, Damage, Record
from sessiontail.session.sieve import Find
from sessiontail.urls import as_path

__all__ = ["Match", "Question", "matches_of"]


class Match(Struct, frozen=True, kw_only=True, gc=False):
    """A line of a text that matches; several, where one match goes over them."""

    #: None where neither the header nor the file's name says.
    session_id: UUID | None
    #: The file, as text; None where it is followed under changing names.
    file: str | None
    #: The record's line in the file, from 1, and where it begins, bytes from 0; None: unknown.
    line: int | None
    offset: int | None
    #: The chunk's kind, or "damage".
    kind: str
    #: The tool's name, of arguments and results.
    tool: str | None
    #: What matched: "text", "reasoning", "arguments", "result", or "raw" of a damaged line.
    field: str
    #: The whole line or lines of the text that match, without the last newline.
    text: str
    #: Which line of that text it is, from 1.
    text_line: int
    #: Where in ``text`` the matches are, begin and end; 1,000 at most, empty ones left out.
    spans: tuple[tuple[int, int], ...]
    #: The lines of the same text before and behind it.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def __repr__(self) -> str:
        whose = "?" if self.session_id is None else short(self.session_id)
        return brief(self, whose, f"line {self.line}", self.kind, quoted(self.text))

    @property
    def path(self) -> Path | None:
        """The file."""
        return None if self.file is None else as_path(self.file)

    def to_dict(self) -> dict[str, Any]:
        """Return the match as JSON has it: names, numbers, and spans as pairs."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields["session_id"] = None if self.session_id is None else str(self.session_id)
        for name in ("spans", "before", "after"):
            fields[name] = [*map(list, self.spans)] if name == "spans" else [*fields[name]]
        return {"schema": SCHEMA, **fields}


@dataclass(frozen=True)
class Question:
    """What is searched for, and where."""

    pattern: TextPattern
    #: Chunks of these kinds, and "damage"; None: all chunks.
    kinds: Collection[str] | None = None
    #: Only arguments and results of tools that are called so; none: everything.
    tools: Collection[str] = ()
    context: int = 0
    #: So many matching records of a file; None: all.
    most: int | None = None
    #: Says what of a file is inherited, and not searched; None: everything is.
    find: Find | None = None
    max_line_bytes: int = MAX_LINE_BYTES

    @property
    def damage(self) -> bool:
        """Whether damaged lines are searched."""
        return self.kinds is not None and "damage" in self.kinds

    @property
    def needles(self) -> Needles | None:
        """What candidates are told by; None: every line is one."""
        return None if self.damage else self.pattern.needles

    def wants(self, record: Record) -> bool:
        """Say whether a record is searched."""
        if type(record) is Chunk:
            return self.kinds is None or record.kind.value in self.kinds
        return self.damage and isinstance(record, Damage)


def matches_of(
    record: Record,
    question: Question,
    *,
    session_id: UUID | None,
    path: str | None,
    line: Callable[[], int | None],
    offset: int | None,
    most_s: float = MOST_SECONDS,
) -> Iterator[Match]:
    """Yield the matches in one record.

    Args:
        record: the record.
        question: what is searched for.
        session_id: whose it is.
        path: in which file.
        line: says in which line, where that is to be told.
        offset: where that begins.
        most_s: how long the pattern may take for one of its texts.

    Raises:
        PatternTooSlow: it took longer.
    """
    if not question.wants(record):
        return
    assert isinstance(record, (Chunk, Damage))
    kind = record.kind.value if isinstance(record, Chunk) else "damage"
    try:
        for hit in hits_in(
            record,
            question.pattern,
            tools=question.tools,
            context=question.context,
            most_s=most_s,
        ):
            yield Match(
                session_id=session_id,
                file=path,
                line=line(),
                offset=offset,
                kind=kind,
                **hit._asdict(),
            )
    except TooSlow:
        raise PatternTooSlow(
            f"the pattern takes more than {MOST_SECONDS:g} s, or a gigabyte, for one text of session "
            f"{session_id}: "
            "write it so that it can match in one way only, or search for a literal text",
            path=path,
            line=line(),
            offset=offset,
        ) from None
