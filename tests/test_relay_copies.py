from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors import may_lock
from samples import ID
from sessiontail.relay.checksums import sum_lines
from sessiontail.relay.copies import Copy
from sessiontail.relay.entries import Hole
from sessiontail.relay.journal import Copied, Journal
from sessiontail.relay.metas import Meta

STEM = str(ID)
A, B, C = b"a\n", b"b\n", b"c\n"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, "source")
    yield journal
    journal.close()


def meta(*lines: bytes, generation: int = 7, state: str = "live", why: str = "begun") -> Meta:
    crc = sum_lines(lines, 0)
    return Meta(generation, len(lines), sum(map(len, lines)), state, why, crc=crc)


def copied(tmp_path: Path, journal: Journal, *lines: bytes, state: str = "live") -> Copy:
    copy = Copy(tmp_path, STEM, "one", journal)
    copy.meet(meta(*lines))
    copy.append(lines)
    copy.settle(state)
    return copy


def files(tmp_path: Path) -> dict[str, bytes]:
    found = tmp_path.glob("[!.]*")
    return {path.name.removeprefix(STEM): path.read_bytes() for path in found}


def test_a_running_session_is_locked_as_its_writer_would(tmp_path: Path, journal: Journal) -> None:
    copy = copied(tmp_path, journal, A, B)

    assert files(tmp_path) == {".jsonl.__partial__": A + B}
    assert not may_lock(tmp_path / f"{STEM}.jsonl.__partial__")
    assert (copy.lines, copy.generation) == (2, 7)
    assert journal.files == {STEM: Copied("one", 7)}
    copy.let_go()


def test_a_closed_session_has_its_final_name_and_no_lock(tmp_path: Path, journal: Journal) -> None:
    copied(tmp_path, journal, A, B, state="closed")

    assert files(tmp_path) == {".jsonl": A + B}
    assert may_lock(tmp_path / f"{STEM}.jsonl")


def test_an_abandoned_session_is_let_go_and_taken_up_again(
    tmp_path: Path, journal: Journal
) -> None:
    copy = copied(tmp_path, journal, A, state="abandoned")
    partial = tmp_path / f"{STEM}.jsonl.__partial__"
    assert may_lock(partial)

    copy.append([B])

    assert not may_lock(partial)
    assert files(tmp_path) == {".jsonl.__partial__": A + B}
    copy.let_go()


def test_a_deleted_session_leaves_nothing(tmp_path: Path, journal: Journal) -> None:
    copied(tmp_path, journal, A).settle("deleted")

    assert (files(tmp_path), journal.files) == ({}, {})


def test_a_replaced_session_is_another_file_under_the_name(
    tmp_path: Path, journal: Journal
) -> None:
    copy = copied(tmp_path, journal, A, B)
    partial = tmp_path / f"{STEM}.jsonl.__partial__"
    inode = partial.stat().st_ino

    copy.meet(meta(C, generation=8, why="replaced"))
    copy.append([C])

    assert files(tmp_path) == {".jsonl.__partial__": C}
    assert (partial.stat().st_ino != inode, may_lock(partial)) == (True, False)
    assert journal.files == {STEM: Copied("one", 8)}
    copy.let_go()


def test_a_closed_session_that_is_opened_again_lies_beside_until_it_is_closed(
    tmp_path: Path, journal: Journal
) -> None:
    copied(tmp_path, journal, A, B, state="closed")
    copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(meta(C, generation=8, why="resumed"))
    copy.append([C])
    assert files(tmp_path) == {".jsonl": A + B, ".jsonl.__partial__": C}
    copy.settle("closed")

    assert files(tmp_path) == {".jsonl": C}


def test_a_closed_file_beside_is_whole_before_it_has_its_name(
    tmp_path: Path, journal: Journal
) -> None:
    copied(tmp_path, journal, C).let_go()
    beside = Copy(tmp_path, STEM, "one", journal, is_beside=True)

    beside.meet(meta(A, B, generation=5, state="closed"))
    beside.append([A])
    assert (files(tmp_path), list(journal.files)) == ({".jsonl.__partial__": C}, [STEM])
    beside.append([B])
    beside.settle("closed")

    assert files(tmp_path) == {".jsonl.__partial__": C, ".jsonl": A + B}
    assert journal.files == {STEM: Copied("one", 7), f"{STEM}/closed": Copied("one", 5)}


@pytest.mark.parametrize(
    ("again", "state", "expected", "same_file"),
    [
        ([A, B], "live", A + B, True),
        ([A, B, C], "live", A + B + C, True),
        ([A, C, B], "live", A + C + B, False),
        ([C], "live", C, False),
        ([A], "abandoned", A, False),
    ],
)
def test_what_comes_again_because_redis_forgot_is_compared(
    tmp_path: Path, journal: Journal, again: list[bytes], state: str, expected: bytes,
    *, same_file: bool,
) -> None:  # fmt: skip
    copy = copied(tmp_path, journal, A, B)
    partial = tmp_path / f"{STEM}.jsonl.__partial__"
    inode = partial.stat().st_ino

    copy.meet(meta(*again, generation=8))
    for line in again:
        copy.append([line])
    copy.settle(state)

    assert files(tmp_path) == {".jsonl.__partial__": expected}
    assert (partial.stat().st_ino == inode) == same_file
    assert journal.files == {STEM: Copied("one", 8)}
    copy.let_go()


@pytest.mark.parametrize(
    ("again", "state", "expected"),
    [
        ([A, B], "closed", {".jsonl": A + B}),
        ([A, C], "closed", {".jsonl": A + C}),
        ([A], "closed", {".jsonl": A}),
        ([A, B, C], "live", {".jsonl": A + B, ".jsonl.__partial__": A + B + C}),
    ],
)
def test_a_closed_file_that_comes_again_is_compared_too(
    tmp_path: Path, journal: Journal, again: list[bytes], state: str, expected: dict[str, bytes]
) -> None:
    copied(tmp_path, journal, A, B, state="closed")
    copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(meta(*again, generation=8))
    copy.append(again)
    copy.settle(state)

    assert files(tmp_path) == expected
    copy.let_go()


def test_a_mirror_that_was_killed_in_a_line_goes_on_before_it(
    tmp_path: Path, journal: Journal
) -> None:
    copied(tmp_path, journal, A, B).let_go()
    with (tmp_path / f"{STEM}.jsonl.__partial__").open("ab") as file:
        file.write(b"c")
    copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(meta(A, B, C))
    assert copy.lines == 2
    copy.append([C])

    assert files(tmp_path) == {".jsonl.__partial__": A + B + C}
    copy.let_go()


def test_a_file_that_is_complete_is_not_read_again(tmp_path: Path, journal: Journal) -> None:
    copied(tmp_path, journal, A, B, state="closed")
    (tmp_path / f"{STEM}.jsonl").chmod(0)
    copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(meta(A, B, state="closed"))
    copy.settle("closed")

    assert copy.lines == 2


def test_a_file_that_nobody_noted_is_compared(tmp_path: Path, journal: Journal) -> None:
    copied(tmp_path, journal, A, B).let_go()
    journal.note(STEM, None)
    copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(meta(A, C))
    copy.append([A, C])

    assert files(tmp_path) == {".jsonl.__partial__": A + C}
    copy.let_go()


def test_a_line_that_is_too_long_is_its_ends_and_a_hole(tmp_path: Path, journal: Journal) -> None:
    hole = Hole(10_000_000, b"begin", b"end\n")
    copy = Copy(tmp_path, STEM, "one", journal)
    copy.meet(meta(A, B, C))

    copy.append([A, hole, C])

    partial = tmp_path / f"{STEM}.jsonl.__partial__"
    assert partial.read_bytes() == A + b"begin" + bytes(10_000_000 - 9) + b"end\n" + C
    assert (copy.lines, partial.stat().st_blocks * 512 < 1_000_000) == (3, True)
    copy.meet(meta(A, B, C, generation=8))
    copy.append([A, hole, C])
    copy.settle("abandoned")
    assert partial.stat().st_size == 10_000_004


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("state", ["live", "closed"])
def test_a_generation_that_goes_on_otherwise_in_an_older_redis_is_taken_from_there(
    tmp_path: Path, journal: Journal, state: str, *, is_kept: bool
) -> None:
    """Redis lost B, its relay was killed, and the file was written anew with C behind A."""
    copy, now = copied(tmp_path, journal, A, B, state=state), meta(A, C, state=state)
    if is_kept:
        copy.let_go()
        copy = Copy(tmp_path, STEM, "one", journal)

    copy.meet(now)
    assert copy.doubt(now)
    copy.append([A, C])
    assert not copy.doubt(now)
    copy.settle(state)

    assert files(tmp_path) == {".jsonl" if state == "closed" else ".jsonl.__partial__": A + C}
    copy.let_go()


def test_of_a_closed_file_of_an_earlier_mirror_its_noted_sum_is_believed(
    tmp_path: Path, journal: Journal
) -> None:
    copied(tmp_path, journal, A, B, state="closed")
    journal.close()
    (tmp_path / f"{STEM}.jsonl").write_bytes(A + C)  # which only a read would tell
    with closing(Journal(tmp_path, "source")) as again:
        copy = Copy(tmp_path, STEM, "one", again)

        copy.meet(meta(A, B, state="closed"))

        assert (copy.lines, copy.doubt(meta(A, B, state="closed"))) == (2, False)


@pytest.mark.parametrize("state", ["live", "abandoned"])
def test_a_file_that_is_ahead_of_an_older_redis_waits_unless_redis_has_something_else(
    tmp_path: Path, journal: Journal, state: str
) -> None:
    copy = copied(tmp_path, journal, A, B, C)

    assert not copy.doubt(meta(A, B, state=state))
    assert copy.doubt(meta(A, C, state=state))
    copy.append([A, C])
    copy.settle(state)

    assert files(tmp_path) == {".jsonl.__partial__": A + C}
    copy.let_go()
