from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from sessiontail.relay.copying import Copies
from sessiontail.relay.journal import Journal
from sessiontail.relay.metas import Meta

LIVE, CLOSED, DELETED = (
    Meta(7, 2, 4, state, "begun", crc=crc32(b"a\nb\n")) for state in ("live", "closed", "deleted")
)
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


def test_what_goes_on_in_an_open_file_is_at_hand(copies: Copies) -> None:
    more = Meta(7, 3, 6, "live", "begun")
    assert copies.at_hand([(("one", "a"), LIVE)]) == []
    [(copy, _)] = copies.prepare([(("one", "a"), LIVE)])
    copies.take([(copy, LIVE)], [PAGE])

    others = [
        (("one", "a"), LIVE),  # all of it is there
        (("two", "a"), more),
        (("one", "b"), more),
        (("one", "a"), Meta(8, 3, 6, "live", "begun")),
        (("one", "a"), Meta(7, 3, 6, "closed", "begun")),
        (("one", "a"), Meta(7, 3, 6, "live", "begun", CLOSED)),
    ]
    assert copies.at_hand([*others, (("one", "a"), more)]) == [(copy, more)]
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


AGAIN = Meta(9, 1, 2, "live", "resumed", CLOSED, crc32(b"c\n"))
NEW = [(b"9-1", {b"d": b"c"})]


def texts(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")}


def test_a_session_that_was_opened_again_has_both_files(copies: Copies, tmp_path: Path) -> None:
    due = copies.prepare([(("one", "a"), AGAIN)])
    assert [(copy.key, copy.lines) for copy, _ in due] == [("a/closed", 0), ("a", 0)]

    assert copies.take(due, [PAGE, NEW]) == []

    assert texts(tmp_path) == {"a.jsonl": b"a\nb\n", "a.jsonl.__partial__": b"c\n"}
    assert copies.prepare([(("one", "a"), AGAIN)]) == []
    copies.prepare([(("one", "a"), Meta(9, 1, 2, "closed", "resumed", crc=AGAIN.crc))])
    assert texts(tmp_path) == {"a.jsonl": b"c\n"}
    copies.close()


def test_a_closed_file_that_is_here_is_kept_when_its_session_is_opened_again(
    tmp_path: Path, told: list[str]
) -> None:
    copies = Copies(tmp_path, Journal(tmp_path, "source"), told.append, closed=False)
    copies.take(copies.prepare([(("one", "a"), CLOSED)]), [PAGE])

    due = copies.prepare([(("one", "a"), AGAIN), (("one", "b"), AGAIN)])

    assert [copy.key for copy, _ in due] == ["a", "b"]  # of b nothing closed was wanted
    assert texts(tmp_path)["a.jsonl"] == b"a\nb\n"
    copies.close()


@pytest.mark.parametrize(
    ("meta", "left"),
    [
        (CLOSED, {"a.jsonl": b"a\nb\n"}),  # back
        (
            Meta(9, 1, 2, "live", "resumed", crc=AGAIN.crc),
            {"a.jsonl.__partial__": b"c\n"},
        ),  # the closed one went
        (DELETED, {}),
    ],
)
def test_one_of_both_files_goes(
    copies: Copies, tmp_path: Path, meta: Meta, left: dict[str, bytes]
) -> None:
    copies.take(copies.prepare([(("one", "a"), AGAIN)]), [PAGE, NEW])

    assert copies.prepare([(("one", "a"), meta)]) == []

    assert texts(tmp_path) == left
    assert copies.names == [("one", "a")] * bool(left)
    copies.close()


def test_a_closed_file_that_cannot_be_written_beside_is_tried_again(
    copies: Copies, tmp_path: Path, told: list[str]
) -> None:
    hidden = tmp_path / ".a.sessiontail-new"
    hidden.mkdir()
    copies.take(copies.prepare([(("one", "a"), AGAIN)]), [NEW])
    assert (texts(tmp_path), copies.to_try) == ({"a.jsonl.__partial__": b"c\n"}, [("one", "a")])
    hidden.rmdir()

    copies.take(copies.prepare([(("one", "a"), AGAIN)]), [PAGE])

    assert texts(tmp_path) == {"a.jsonl": b"a\nb\n", "a.jsonl.__partial__": b"c\n"}
    assert (copies.to_try, told[1:]) == ([], ["what could not be mirrored is there now"])
    copies.close()


def test_a_deleted_session_that_was_never_here_is_not_made(copies: Copies, tmp_path: Path) -> None:
    assert copies.prepare([(("one", "a"), DELETED)]) == []
    assert names(tmp_path) == []

    copies.take(copies.prepare([(("one", "a"), LIVE)]), [PAGE])
    copies.prepare([(("one", "a"), DELETED)])

    assert (names(tmp_path), copies.names) == ([], [])
    copies.close()
