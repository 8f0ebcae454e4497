from __future__ import annotations

from pathlib import Path

import pytest

from sessiontail.relay.copying import Copies
from sessiontail.relay.journal import Journal
from sessiontail.relay.metas import Meta

LIVE, CLOSED, DELETED = (Meta(7, 2, 4, state, "begun") for state in ("live", "closed", "deleted"))
PAGE = [(b"7-1", {b"d": b"a"}), (b"7-2", {b"d": b"b"})]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def copies(tmp_path: Path, told: list[str]) -> Copies:
    return Copies(tmp_path, Journal(tmp_path, "source"), told.append)


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.glob("[!.]*"))


def test_what_lacks_lines_is_due_until_they_are_there(copies: Copies, tmp_path: Path) -> None:
    due = copies.prepare([(("one", "a"), CLOSED)])
    assert [(copy.stem, copy.lines) for copy, _ in due] == [("a", 0)]

    left = copies.take(due, [PAGE[:1]])
    assert [copy.lines for copy, _ in left] == [1]

    assert copies.take(left, [PAGE[1:]]) == []
    assert names(tmp_path) == ["a.jsonl"]
    assert copies.prepare([(("one", "a"), CLOSED)]) == []
    copies.close()


def test_what_redis_does_not_have_any_more_is_not_waited_for(copies: Copies) -> None:
    due = copies.prepare([(("one", "a"), LIVE)])

    assert copies.take(due, [[]]) == []
    assert copies.take(due, [PAGE[1:]]) == []  # a gap is not written
    assert due[0][0].lines == 0
    copies.close()


def test_a_file_of_two_hosts_is_that_of_the_first_and_told_once(
    copies: Copies, told: list[str], tmp_path: Path
) -> None:
    copies.take(copies.prepare([(("one", "a"), LIVE)]), [PAGE])

    assert copies.prepare([(("two", "a"), LIVE)]) == []
    assert copies.prepare([(("two", "a"), DELETED)]) == []

    assert told == ["two has sessions that one has too, such as a: they are taken from one"]
    assert names(tmp_path) == ["a.jsonl.__partial__"]
    assert copies.names == [("one", "a")]
    copies.close()


def test_what_fails_for_one_file_stops_no_other(
    copies: Copies, told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl.__partial__").mkdir()

    due = copies.prepare([(("one", "a"), LIVE), (("one", "b"), LIVE)])
    copies.take(due, [PAGE] * len(due))

    assert names(tmp_path) == ["a.jsonl.__partial__", "b.jsonl.__partial__"]
    assert (tmp_path / "b.jsonl.__partial__").read_bytes() == b"a\nb\n"
    assert len(told) == 1
    assert told[0].startswith("a of one cannot be mirrored: ")
    copies.close()


def test_a_deleted_session_that_was_never_here_is_not_made(copies: Copies, tmp_path: Path) -> None:
    assert copies.prepare([(("one", "a"), DELETED)]) == []
    assert names(tmp_path) == []

    copies.take(copies.prepare([(("one", "a"), LIVE)]), [PAGE])
    copies.prepare([(("one", "a"), DELETED)])

    assert (names(tmp_path), copies.names) == ([], [])
    copies.close()
