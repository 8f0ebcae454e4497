"""Rows of sessions, each compared with earlier ones -> how many of its first rows are another's."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from chats import by_pairs
from said import Said
from sessiontail.format.row_tree import OutOfOrder, RowTree, Walk


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


def gone(walk: Walk) -> None:
    walk.rows.gone = True
    walk.leave()


def test_who_left_the_tree_is_found_no_more() -> None:
    tree = RowTree()
    gone(tree.add(Said("0", "hA", at=0)))

    assert tree.add(Said("1", "hAqB", at=1)).match().count == 0


def test_who_shares_all_its_rows_leaves_the_others_theirs() -> None:
    tree = RowTree()
    first = Said("0", "hAqB", at=0)
    tree.add(first)
    gone(tree.add(Said("1", "hA", at=1)))

    match = tree.add(Said("2", "hArC", at=2)).match()

    assert (match.count, match.origin) == (2, first)


def test_what_others_have_copied_of_one_that_is_gone_is_found_with_them() -> None:
    tree = RowTree()
    walk = tree.add(Said("0", "hAqB", at=0))
    child = Said("1", "hAxC", at=1)
    tree.add(child)
    gone(walk)

    match = tree.add(Said("2", "hAqByD", at=2)).match()

    assert (match.count, match.origin) == (2, child)


def test_of_a_chain_that_is_pruned_from_its_begin_the_rest_stays() -> None:
    tree = RowTree()
    said = "".join(f"{'hqrstuvw'[i]}{'ABCDEFGH'[i]}" for i in range(8))
    walks = [tree.add(Said(str(i), said[: 2 * i + 2], at=i)) for i in range(8)]
    for i in range(7):
        gone(walks[i])
        later = tree.add(Said(f"new{i}", said + f"n{i}", at=10 + i)).match()
        assert (later.count, later.origin and later.origin.name) == (16, "7")
    gone(walks[7])

    assert tree.add(Said("last", said, at=99)).match().count in {0, 16}


@given(st.lists(st.text("aB", max_size=5), min_size=2, max_size=8), st.data())
def test_whoever_is_gone_the_rest_is_what_comparing_all_pairs_finds(
    sessions: list[str], data: st.DataObject
) -> None:
    tree = RowTree()
    walks = [tree.add(Said(str(i), rows, at=i)) for i, rows in enumerate(sessions[:-1])]
    left = []
    for walk, rows in zip(walks, sessions, strict=False):
        if data.draw(st.booleans()):
            gone(walk)
        else:
            left.append(rows)

    last = tree.add(Said("last", sessions[-1], at=99))

    assert last.match().count == by_pairs([*left, sessions[-1]])


def test_hundreds_of_sessions_that_go_on_at_once_are_no_depth() -> None:
    tree = RowTree()
    live = [Said(str(i), "hA", at=i, finished=False) for i in range(1200)]
    for rows in live:
        tree.add(rows)
    for rows in live:
        rows.rows = "hAqB"

    assert tree.add(Said("last", "hAqBrC", at=9999)).match().count == 4


def test_one_that_was_read_on_by_another_way_is_found_where_it_is_now() -> None:
    tree = RowTree()
    tree.add(Said("0", "hA", at=0))
    parent = Said("1", "hA", at=1, finished=False)
    tree.add(parent)
    parent.rows, parent.finished = "hAqB", True

    match = tree.add(Said("2", "hAqBrC", at=2)).match()

    assert (match.count, match.origin) == (4, parent)
