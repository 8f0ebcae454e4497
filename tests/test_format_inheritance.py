"""Rows of sessions, each compared with earlier ones -> how many of its first rows are another's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from chats import by_pairs
from samples import ID
from sessiontail import Header, LineageKind
from sessiontail.format.inheritance import (
    Order,
    OutOfOrder,
    RowTree,
    common,
    digest_of,
    may_inherit,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


class Said:
    """The rows of a session, a letter each; capitals are the assistant's."""

    def __init__(self, name: str, rows: str, *, at: int = 0, finished: bool = True) -> None:
        self.name = name
        self.rows = rows
        self.finished = finished
        self.at = at

    @property
    def order(self) -> Order:
        return START + timedelta(seconds=self.at), 0, 0, self.name

    def digest(self, index: int) -> bytes | None:
        return digest_of(self.rows[index].encode()) if index < len(self.rows) else None

    def answered(self, count: int) -> int:
        return max((i for i in range(1, count + 1) if self.rows[i - 1].isupper()), default=0)


def shared(*sessions: str) -> tuple[int, str | None]:
    """Return how much of the last of these is inherited, and from which."""
    tree = RowTree()
    for i, rows in enumerate(sessions):
        walk = tree.add(Said(str(i), rows, at=i))
    match = walk.match()
    return match.count, match.origin.name if match.origin else None


@pytest.mark.parametrize(
    ("sessions", "count", "origin"),
    [
        (["hA"], 0, None),
        (["hA", "hAqB"], 2, "0"),
        (["hA", "hAqB", "hAqBrC"], 4, "1"),
        (["hA", "hAqB", "hArC"], 2, "0"),
        (["hAqB", "hAqBrC", "hArC"], 2, "0"),
        (["hA", "xA", "xAqB"], 2, "1"),
        (["hA", "hAqB", "hAqB"], 4, "1"),
    ],
    ids=[
        "nothing before it", "a turn", "the turn after", "a fork", "a fork in the midst",
        "another chat", "nothing of its own",
    ],
)  # fmt: skip
def test_the_first_rows_are_those_of_the_session_that_has_them_all(
    sessions: list[str], count: int, origin: str | None
) -> None:
    assert shared(*sessions) == (count, origin)


@pytest.mark.parametrize("other", ["h", "hA", "hqA"])
def test_two_chats_that_begin_with_the_same_question_are_two(other: str) -> None:
    assert shared(other, "hB") == (0, None)


def test_a_question_that_was_asked_before_at_the_same_place_is_its_own() -> None:
    assert shared("hA", "hAqB", "hAqC") == (2, "0")


def test_an_answer_that_was_given_before_at_the_same_place_is_inherited() -> None:
    assert shared("hA", "hAqB", "hAqBrC") == (4, "1")


@given(
    st.lists(st.text("abAB", max_size=6), min_size=1, max_size=9),
)
def test_a_walk_through_the_tree_finds_what_comparing_all_pairs_finds(sessions: list[str]) -> None:
    assert shared(*sessions)[0] == by_pairs(sessions)


def test_a_copy_that_is_being_written_is_undecided_until_an_answer_comes() -> None:
    tree = RowTree()
    tree.add(Said("0", "hqABr", at=0))
    copy = Said("1", "hq", at=1, finished=False)
    walk = tree.add(copy)
    assert (walk.match().count, walk.match().undecided, walk.match().settled) == (0, 2, False)

    copy.rows = "hqAB"
    walk.go_on()
    assert (walk.match().count, walk.match().undecided, walk.match().settled) == (4, 4, False)

    copy.rows = "hqABn"
    walk.go_on()
    assert (walk.match().count, walk.match().undecided, walk.match().settled) == (4, 4, True)


def test_what_an_earlier_session_wrote_after_it_was_compared_is_found_in_its_child() -> None:
    tree = RowTree()
    tree.add(Said("0", "hA", at=0))
    live = Said("1", "hA", at=1, finished=False)
    tree.add(live)
    live.rows = "hAqB"

    match = tree.add(Said("2", "hAqBrC", at=2)).match()

    assert (match.count, match.origin) == (4, live)


def test_an_earlier_session_with_the_rows_of_a_later_one_asks_for_a_new_tree() -> None:
    tree = RowTree()
    tree.add(Said("late", "hAqB", at=5))
    tree.add(Said("other", "xA", at=1))

    with pytest.raises(OutOfOrder):
        tree.add(Said("early", "hAqB", at=1))


def test_who_left_the_tree_is_found_no_more() -> None:
    tree = RowTree()
    walk = tree.add(Said("0", "hA", at=0))

    assert walk.leave()
    assert tree.add(Said("1", "hAqB", at=1)).match().count == 0


def test_who_shares_all_its_rows_leaves_the_others_theirs() -> None:
    tree = RowTree()
    first = Said("0", "hAqB", at=0)
    tree.add(first)
    tree.add(Said("1", "hA", at=1)).leave()

    match = tree.add(Said("2", "hArC", at=2)).match()

    assert (match.count, match.origin) == (2, first)


def test_whose_rows_others_stand_on_cannot_leave() -> None:
    tree = RowTree()
    walk = tree.add(Said("0", "hA", at=0))
    tree.add(Said("1", "hAqB", at=1))

    assert not walk.leave()


@pytest.mark.parametrize(
    ("rows", "parent", "count", "settled"),
    [
        ("hAqB", "hA", 2, True),
        ("hqB", "h", 1, True),
        ("hAqB", "hAqBr", 4, False),
        ("xA", "hA", 0, True),
        ("hA", "h", 1, True),
    ],
    ids=["a turn", "before any answer", "it went on", "nothing", "damaged behind one row"],
)
def test_a_parent_that_is_there_is_compared_row_by_row(
    rows: str, parent: str, count: int, *, settled: bool
) -> None:
    match = common(Said("1", rows, finished=False), Said("0", parent))

    assert (match.count, match.undecided, match.settled) == (count, count, settled)


@pytest.mark.parametrize(
    ("kind", "parents", "may"),
    [
        ("op_session_loop", (ID,), True),
        ("unknown", (ID,), True),
        ("op_detach", (), True),
        ("op_session_loop", (), True),
        ("leaf_user", (), False),
        ("op_create", (), False),
        ("unknown", (), False),
    ],
)
def test_only_what_was_made_from_another_session_can_inherit(
    kind: str, parents: tuple[object, ...], *, may: bool
) -> None:
    header = Header(
        id=ID, created_at=START, lineage_kind=LineageKind(kind), parent_session_ids=parents  # type: ignore[arg-type] # ids
    )  # fmt: skip

    assert may_inherit(header) is may
