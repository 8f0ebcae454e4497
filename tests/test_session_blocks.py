"""Blocks of whole lines from an open file: each line once, or word that the file is another."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from sessiontail.format import Block, LongLine
from sessiontail.format.marks import WINDOW_BYTES, Mark
from sessiontail.session.blocks import READ_BYTES, BlockReader, FileReplaced
from sessiontail.system.files import SessionFile
from sessiontail.system.stats import StoreStats


class Reading:
    """Reads a file and keeps the bytes before the place, as who decodes does."""

    def __init__(self, path: Path, *, max_line_bytes: int = 1 << 26, limit: int | None = None):
        self.file = SessionFile(path)
        self.blocks = BlockReader(
            self.file, max_line_bytes=max_line_bytes, limit=limit, stats=StoreStats()
        )
        self.guard = b""
        self.taken: list[Block | LongLine] = []

    def take(self, *, block: bool = True) -> list[Block | LongLine]:
        items = self.blocks.read(self.guard, block=block, thorough=False)
        for item in items:
            last = item.last if isinstance(item, LongLine) else item.data
            self.guard = (self.guard + last)[-WINDOW_BYTES:]
        self.taken += items
        return items

    def take_rest(self) -> None:
        while self.take():
            pass
        self.file.close()


def bytes_of(items: list[Block | LongLine]) -> bytes:
    return b"".join(item.data for item in items if isinstance(item, Block))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


lengths = st.one_of(st.integers(0, 300), st.sampled_from([4095, 4096, 16_384, READ_BYTES, 600_000]))


@given(lines=st.lists(lengths, max_size=8), torn=lengths)
def test_all_blocks_together_are_the_whole_lines_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[int], torn: int
) -> None:
    path = tmp_path_factory.mktemp("file") / "a"
    whole = b"".join(b"x" * length + b"\n" for length in lines)
    path.write_bytes(whole + b"y" * torn)
    reading = Reading(path)
    reading.take_rest()

    assert bytes_of(reading.taken) == whole
    assert (reading.blocks.end_met, reading.blocks.torn_bytes) == (True, torn)


def test_a_line_that_a_live_writer_added_is_the_one_that_a_read_gives(path: Path) -> None:
    path.write_bytes(b"one\n")
    reading = Reading(path)
    reading.take()
    reading.take()
    with path.open("ab") as file:
        file.write(b"two\n")
    line = reading.blocks.live_line(reading.guard)

    assert line == b"two\n"
    assert bytes_of(reading.take()) == line  # looked at, not taken

    with path.open("ab") as file:
        file.write(b"three\n")
    line = reading.blocks.live_line(reading.guard)
    assert line == b"three\n"
    reading.blocks.took(len(line))
    reading.guard += line
    assert reading.blocks.end_met
    assert reading.take() == []
    reading.file.close()


@pytest.mark.parametrize(
    "added",
    [b"torn", b"two\nthree\n", b"two\ntorn", b"x" * 20_000 + b"\n"],
    ids=["torn", "two lines", "a line and a torn one", "a long line"],
)
def test_what_is_not_one_short_line_is_left_to_a_read(path: Path, added: bytes) -> None:
    path.write_bytes(b"one\n")
    reading = Reading(path)
    reading.take()
    reading.take()
    with path.open("ab") as file:
        file.write(added)

    assert reading.blocks.live_line(reading.guard) is None
    reading.take_rest()
    assert bytes_of(reading.taken) == b"one\n" + added[: added.rfind(b"\n") + 1]


@pytest.mark.parametrize(("lines", "met"), [(b"one\n", True), (b"x" * 4095 + b"\n", False)])
def test_an_end_is_met_at_hand_but_where_the_page_cache_may_end(
    path: Path, lines: bytes, *, met: bool
) -> None:
    path.write_bytes(lines)
    reading = Reading(path)
    reading.take()
    reading.take()
    reading.blocks.end_met = False

    assert reading.blocks.live_line(reading.guard) == (b"" if met else None)
    assert (reading.blocks.end_met, reading.blocks.torn_bytes) == (met, 0)
    assert reading.take() == []
    assert reading.blocks.end_met
    reading.file.close()


def test_a_line_that_ends_where_the_page_cache_may_is_left_to_a_read(path: Path) -> None:
    path.write_bytes(b"one\n")
    reading = Reading(path)
    reading.take()
    reading.take()
    with path.open("ab") as file:
        file.write(b"x" * 4091 + b"\n")

    assert reading.blocks.live_line(reading.guard) is None
    reading.file.close()


def test_short_reads_of_a_file_that_goes_on_are_read_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some FUSE file systems read."""
    path.write_bytes(b"one\n" + b"x" * 100 + b"\ntorn")
    reading, plain = Reading(path), SessionFile.read_now
    monkeypatch.setattr(
        SessionFile, "read_now", lambda file, offset, size: plain(file, offset, min(size, 7))
    )
    reading.take_rest()

    assert bytes_of(reading.taken) == b"one\n" + b"x" * 100 + b"\n"
    assert (reading.blocks.end_met, reading.blocks.torn_bytes) == (True, 4)


def test_a_bad_sector_behind_the_begin_of_a_line_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives what lies before it, and says so only to who reads on there."""
    path.write_bytes(b"one\n" + b"x" * 100 + b"\n")
    reading, plain = Reading(path), SessionFile.read_now

    def read_now(file: SessionFile, offset: int, size: int) -> bytes:
        if offset >= 50:
            raise OSError(errno.EIO, "no such sector")
        return plain(file, offset, min(size, 50 - offset))

    monkeypatch.setattr(SessionFile, "read_now", read_now)

    assert bytes_of(reading.take()) == b"one\n"
    with pytest.raises(OSError, match="no such sector"):
        reading.take()
    reading.file.close()


@pytest.mark.parametrize("length", [10, 300_000, 2_000_000])
def test_bytes_that_change_before_the_place_are_noticed_whatever_follows(
    path: Path, length: int
) -> None:
    path.write_bytes(b"one\n")
    reading = Reading(path, max_line_bytes=1_000_000)
    reading.take()
    path.write_bytes(b"two\n" + b"x" * length + b"\n")

    with pytest.raises(FileReplaced):
        reading.take()
    reading.file.close()


@pytest.mark.parametrize("size", [1, 3999, 300_000])
def test_a_line_over_the_maximum_is_passed_over_with_its_ends(path: Path, size: int) -> None:
    line = bytes(33 + n % 90 for n in range(4000 + size)) + b"\n"
    path.write_bytes(b"one\n" + line + b"two\n")
    reading = Reading(path, max_line_bytes=4000)
    reading.take_rest()
    (long,) = (item for item in reading.taken if isinstance(item, LongLine))

    assert bytes_of(reading.taken) == b"one\ntwo\n"
    assert (long.offset, long.line, long.length) == (4, 2, len(line))
    assert line.startswith(long.head)
    assert (long.first, long.last) == (line[:WINDOW_BYTES], line[-WINDOW_BYTES:])


def test_behind_a_limit_nothing_is_read(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    reading = Reading(path, limit=10)
    reading.take_rest()

    assert bytes_of(reading.taken) == b"one\ntwo\n"
    assert reading.blocks.torn_bytes == 2


def test_a_file_that_is_shorter_than_the_limit_is_another(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    reading = Reading(path, limit=8)
    path.write_bytes(b"one\n")
    reading.take()

    with pytest.raises(FileReplaced):
        reading.take()
    reading.file.close()


def test_it_goes_on_from_a_place(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    reading = Reading(path)
    reading.blocks.go_to(Mark(8, 2, None, b"one\ntwo\n", b"one\ntwo\n"))
    reading.guard = b"one\ntwo\n"
    (block,) = reading.take()
    reading.file.close()

    assert isinstance(block, Block)
    assert (block.data, block.offset, block.line) == (b"three\n", 8, 3)


def test_what_the_page_cache_does_not_have_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    reading = Reading(path)
    with monkeypatch.context() as patch:
        patch.setattr(SessionFile, "read_cached", lambda *_: None)
        with pytest.raises(BlockingIOError):
            reading.take(block=False)

    assert bytes_of(reading.take(block=False)) == b"one\n"
    reading.file.close()
