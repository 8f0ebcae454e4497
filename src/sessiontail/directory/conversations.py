"""outlines of sessions -> the conversations that they are turns of, as trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from sessiontail.directory.outlines import SessionOutline
from sessiontail.format.brief import brief, quoted, short
from sessiontail.system.paths import WAL_ENDING

__all__ = ["ConversationTurn", "trees", "way_to"]


class ConversationTurn(Struct, frozen=True):
    """One session of a conversation, and those that go on from it."""

    outline: SessionOutline
    #: Oldest first.
    children: list[ConversationTurn]

    def __repr__(self) -> str:
        one = self.outline
        title = "" if one.title is None else quoted(one.title)
        return brief(self, short(one.meta.id_text), title, f"{len(self.children)} children")

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it, and the ids of its ``children``."""
        children = [child.outline.meta.id_text for child in self.children]
        return {**self.outline.to_dict(), "children": children}


def trees(outlines: Sequence[SessionOutline]) -> list[ConversationTurn]:
    """Return conversations by their first session, oldest first.

    A session whose parent is not there begins one; so does the oldest where parents form a circle.
    Of two files of one session, the one that was closed before its session was opened again has no
    children: the other goes on.
    """
    ordered = sorted(outlines, key=_age)
    turns = [ConversationTurn(one, []) for one in ordered]
    by_id = {turn.outline.meta.id_text: turn for turn in turns}
    begins = _beginnings([turn.outline for turn in by_id.values()])
    roots: list[ConversationTurn] = []
    for turn in turns:
        one = turn.outline
        parent = by_id.get(one.parent_text or "")
        if parent is None or parent is turn or one.meta.id_text in begins:
            roots.append(turn)
        else:
            parent.children.append(turn)
    return roots


def way_to(session_id: UUID, outlines: Sequence[SessionOutline]) -> list[SessionOutline]:
    """Return the sessions that lead to one, from the first of the conversation to it."""
    by_id = {one.meta.id_text: one for one in sorted(outlines, key=_age)}
    way: dict[str, SessionOutline] = {}
    one = by_id.get(str(session_id))
    while one is not None and one.meta.id_text not in way:
        way[one.meta.id_text] = one
        one = by_id.get(one.parent_text or "")
    return [*way.values()][::-1]


def _beginnings(outlines: Sequence[SessionOutline]) -> set[str]:
    """Return the oldest session of each circle of parents."""
    parents = {one.meta.id_text: one.parent_text for one in outlines}
    ages = {one.meta.id_text: _age(one) for one in outlines}
    begins: set[str] = set()
    seen: set[str] = set()
    for start in parents:
        way: dict[str, None] = {}
        at: str | None = start
        while at is not None and at in parents and at not in seen and at not in way:
            way[at] = None
            at = parents[at]
        if at in way:
            names = [*way]
            begins.add(min(names[names.index(at) :], key=ages.__getitem__))
        seen.update(way)
    return begins


def _age(one: SessionOutline) -> tuple[Any, ...]:
    # Of one session's files, the WAL is the later one.
    return one.meta.created_at, one.meta.file.endswith(WAL_ENDING), one.meta.file
