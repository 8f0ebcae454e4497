"""Outlines of sessions -> the conversations that they are turns of, as trees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chats import name
from sessiontail import LineageKind, PersistedSessionMeta, SessionState
from sessiontail.directory.conversations import ConversationTurn, trees, way_to
from sessiontail.directory.outlines import SessionOutline

START = datetime(2026, 1, 1, tzinfo=UTC)


def outline(number: int, parent: int | None = None, *, file: str = "") -> SessionOutline:
    meta = PersistedSessionMeta(
        id_text=name(number), file=file or str(number), created_at=START + timedelta(seconds=number),
        lineage_operator="", lineage_kind=LineageKind.UNKNOWN, chunk_count=1, closed=True,
        state=SessionState.CLOSED, parent_texts=(), cumulative_usage=None, closed_at=None,
        size_bytes=1, modified_at=START,
    )  # fmt: skip
    return SessionOutline(meta, 0, None if parent is None else name(parent), str(number))


def drawn(turns: list[ConversationTurn]) -> list[object]:
    """A turn as its title, then its children."""
    return [[turn.outline.title, *drawn(turn.children)] for turn in turns]


def test_turns_stand_below_what_they_go_on_from_the_oldest_first() -> None:
    found = trees([outline(5, 2), outline(4), outline(3, 1), outline(2, 1), outline(1)])

    assert drawn(found) == [["1", ["2", ["5"]], ["3"]], ["4"]]


def test_a_turn_whose_parent_is_gone_begins_a_tree() -> None:
    assert drawn(trees([outline(2, 1), outline(3, 2)])) == [["2", ["3"]]]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_circle_of_parents_begins_with_its_oldest(size: int) -> None:
    circle = [outline(i, (i + 1) % size) for i in range(size)]

    (first,) = trees([*circle, outline(9, 0)])

    assert first.outline.title == "0"
    assert len(str(drawn([first])).split("'")) // 2 == size + 1


def test_of_two_files_of_one_session_both_are_shown_and_the_later_goes_on() -> None:
    assert drawn(trees([outline(1, file="a"), outline(1, file="b"), outline(2, 1)])) == [
        ["1"],
        ["1", ["2"]],
    ]


def test_a_chain_of_thousands_is_no_problem() -> None:
    found = trees([outline(i, i - 1 if i else None) for i in range(5000)])

    depth = 0
    while found:
        depth, found = depth + 1, found[0].children
    assert depth == 5000


def test_the_way_to_a_turn_leads_from_the_first_one() -> None:
    every = [outline(1), outline(2, 1), outline(3, 1), outline(4, 3)]

    assert [one.title for one in way_to(UUID(name(4)), every)] == ["1", "3", "4"]
    assert way_to(UUID(name(9)), every) == []


def test_the_way_through_a_circle_ends() -> None:
    assert len(way_to(UUID(name(1)), [outline(1, 2), outline(2, 1)])) == 2


def test_a_long_chain_with_its_times_reversed_is_walked_once() -> None:
    every = [outline(5000 - i, 5001 - i if i else None) for i in range(5000)]

    (root,) = trees(every)

    assert root.outline.title == "5000"
    assert repr(root) == "ConversationTurn(00000000, '5000', 1 children)"
    assert root.to_dict()["children"] == [name(4999)]
