"""A line without an end, larger than one read, that grows, is cut off or is begun anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import Actor
from sessiontail.session.long_line import LongLineSearch, NoEnd
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile
from sessiontail.system.stamps import FileStamp
from sessiontail.system.stats import StoreStats
from test_session_reader import rest


def test_a_line_hidden_below_what_was_searched_is_found_by_a_thorough_look(
    tmp_path: Path,
) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(b"x" * 100_000)
        reader = FileReader(SessionFile(actor.wal))
        got = rest(reader)
        actor.cut(len(actor.whole))
        # A whole line, and behind it a torn one that looks as before where the search stood.
        actor.write(actor.chunk("one") + b"x" * 110_000)
        got += rest(reader, thorough=True)
        reader.close()

        assert got == actor.records


def test_a_line_over_the_maximum_that_is_cut_off_is_forgotten(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(b"x" * 300_000)
        reader = FileReader(SessionFile(actor.wal), max_line_bytes=1000)
        got = rest(reader)
        torn = reader.torn_bytes
        actor.cut(len(actor.whole))
        actor.say("one", "two")
        got += rest(reader)
        reader.close()

        assert (torn, got) == (300_000, actor.records)


def test_a_torn_tail_that_drips_is_not_read_again_for_each_drop(tmp_path: Path) -> None:
    with Actor(tmp_path).open() as actor:
        actor.write(actor.chunk("x" * 1_000_000)[:-100])
        stats = StoreStats()
        reader = FileReader(SessionFile(actor.wal), stats=stats)
        got = rest(reader)
        before = stats.bytes
        for _ in range(98):
            actor.write(b"y")
            got += rest(reader)
        dripped = stats.bytes - before

        assert (got, dripped, reader.torn_bytes) == (actor.records, 98, actor.torn)


# --- by itself

READ_BYTES = 1_000


def search(
    torn: LongLineSearch, file: SessionFile, *, limit: int | None = None, block: bool = True
) -> int | NoEnd:
    return torn.find_end(file, read_bytes=READ_BYTES, limit=limit, block=block, stats=StoreStats())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a.jsonl"
    found.write_bytes(b"x" * 5_000)
    return found


@pytest.fixture
def file(path: Path) -> Iterator[SessionFile]:
    found = SessionFile(path)
    yield found
    found.close()


def begun() -> LongLineSearch:
    """As after one read of so many bytes without a newline."""
    return LongLineSearch(READ_BYTES, b"x" * 256)


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as out:
        out.write(data)


def test_the_end_is_behind_the_first_newline_wherever_reads_are_cut(
    path: Path, file: SessionFile
) -> None:
    for at in (1_000, 1_001, 1_999, 2_000, 2_001, 4_999):
        data = bytearray(b"x" * 5_000)
        data[at] = data[-1] = 0x0A
        path.write_bytes(data)

        assert search(begun(), file) == at + 1


def test_what_was_searched_is_not_searched_again(path: Path, file: SessionFile) -> None:
    torn, stats = begun(), StoreStats()
    found = []
    for more in (b"", b"y", b"y" * 3_000, b"y\nz"):
        add(path, more)
        found.append(
            torn.find_end(file, read_bytes=READ_BYTES, limit=None, block=True, stats=stats)
        )

    assert found == [NoEnd.AT_END] * 3 + [8_003]
    assert stats.bytes == 8_004 - READ_BYTES


@pytest.mark.parametrize(
    "data", [b"x" * 500, b"", b"x" * 800 + b"y" * 4_200, b"x" * 999 + b"\n" + b"x" * 4_000]
)
def test_a_line_that_is_no_longer_what_it_was_is_told(
    path: Path, file: SessionFile, data: bytes
) -> None:
    path.write_bytes(data)

    assert search(begun(), file) is NoEnd.CHANGED


@pytest.mark.parametrize("limit", [1_000, 1_001, 2_000, 4_999])
def test_behind_the_limit_nothing_is_searched(path: Path, file: SessionFile, limit: int) -> None:
    data = bytearray(b"x" * 5_000)
    data[limit] = 0x0A
    path.write_bytes(data)
    torn = begun()

    assert search(torn, file, limit=limit) is NoEnd.AT_END
    assert torn.searched == limit
    assert search(torn, file, limit=limit + 1) == limit + 1


def test_on_the_loop_one_read_is_searched_and_the_next_try_goes_on(
    path: Path, file: SessionFile
) -> None:
    torn, searched = begun(), []
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            search(torn, file, block=False)
        searched.append(torn.searched)

    assert searched == [2_000, 3_000, 4_000]
    add(path, b"\n")
    assert search(torn, file, block=True) == 5_001


def test_it_is_searched_again_once_it_has_doubled_or_a_thorough_look_finds_it_changed(
    path: Path, file: SessionFile
) -> None:
    torn = begun()
    assert search(torn, file) is NoEnd.AT_END
    stamp = FileStamp.of(file.stat())
    before = [torn.is_stale(stamp, thorough=thorough) for thorough in (True, False)]
    torn.rest(5_000, stamp)
    touched = FileStamp(stamp.size, stamp.mtime_ns + 1, stamp.ctime_ns)
    sizes = [FileStamp(size, stamp.mtime_ns, stamp.ctime_ns) for size in (9_999, 10_000)]

    assert before == [True, False]  # its end was not met yet
    assert [torn.is_stale(stamp, thorough=thorough) for thorough in (True, False)] == [False] * 2
    assert [torn.is_stale(touched, thorough=thorough) for thorough in (True, False)] == [
        True,
        False,
    ]
    assert [torn.is_stale(size, thorough=False) for size in sizes] == [False, True]
