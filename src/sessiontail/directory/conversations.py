"""outlines of sessions -> the conversations that they are turns of, as trees."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from sessiontail.directory.outlines import SessionOutline

__all__ = ["ConversationTurn", "trees", "way_to"]


class ConversationTurn(Struct, frozen=True):
    """One session of a conversation, and those that go on from it."""

    outline: SessionOutline
    #: Oldest first.
    children: list[ConversationTurn]


def trees(outlines: Sequence[SessionOutline]) -> list[ConversationTurn]:
    """Return conversations by their first session, oldest first.

    A session whose parent is not there begins one; so does the oldest where parents form a circle.
    """
    ordered = sorted(outlines, key=_age)
    turns = {one.meta.id_text: ConversationTurn(one, []) for one in ordered}
    roots: list[ConversationTurn] = []
    placed: set[str] = set()
    for one in ordered:
        turn = turns[one.meta.id_text]
        if turn.outline is not one:
            continue  # another file of the same session
        parent = turns.get(one.parent_text or "")
        # Where all are older than their children there is no circle.
        if parent is None or (parent.outline.meta.id_text not in placed and _leads_to(one, turns)):
            roots.append(turn)
        else:
            parent.children.append(turn)
        placed.add(one.meta.id_text)
    return roots


def way_to(session_id: UUID, outlines: Sequence[SessionOutline]) -> list[SessionOutline]:
    """Return the sessions that lead to one, from the first of the conversation to it."""
    by_id = {one.meta.id_text: one for one in sorted(outlines, key=_age, reverse=True)}
    way: dict[str, SessionOutline] = {}
    one = by_id.get(str(session_id))
    while one is not None and one.meta.id_text not in way:
        way[one.meta.id_text] = one
        one = by_id.get(one.parent_text or "")
    return [*way.values()][::-1]


def _age(one: SessionOutline) -> tuple[object, str]:
    return one.meta.created_at, one.meta.file


def _leads_to(one: SessionOutline, turns: dict[str, ConversationTurn]) -> bool:
    """Say whether a session is the oldest of a circle of parents."""
    seen = {one.meta.id_text}
    at: SessionOutline | None = one
    while at is not None and at.parent_text is not None:
        turn = turns.get(at.parent_text)
        at = None if turn is None else turn.outline
        if at is one:
            return all(_age(one) <= _age(turns[name].outline) for name in seen)
        if at is None or at.meta.id_text in seen:
            return False
        seen.add(at.meta.id_text)
    return False
