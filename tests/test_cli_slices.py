"""Each record comes with its bytes of the file; all of them together are its whole lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samples import chunk_line, header_line, session_bytes, trailer_line
from sessiontail import SessionNotFound, SessionStore
from sessiontail.cli.slices import FileSlices, entries
from sessiontail.format.records import Record
from sessiontail.session.feed import RecordFeed

pytestmark = pytest.mark.anyio

TORN = b'{"record_type": "chu'

FILES = [
    ("a closed session", session_bytes(3)),
    ("blank lines before, between and after", b"\n\n" + session_bytes(2) + b"\r\n\n"),
    ("damage", header_line() + b"\xff\xfe\n{\n" + chunk_line() + b"[]\n"),
    ("no header", chunk_line() + b"\n"),
    ("no newline at the end of a line", b"\r\n" + header_line() + chunk_line(0, "\u2028\x85")),
    ("a line of a megabyte", header_line() + chunk_line(0, "x" * 1_000_000) + trailer_line()),
    ("nothing", b""),
]


async def pieces(feed: RecordFeed, *, raw: bool) -> list[tuple[Record | None, bytes]]:
    with FileSlices(feed) as file:
        return [entry async for batch in entries(feed, file, raw=raw) for entry in batch]


@pytest.mark.parametrize("torn", [b"", TORN], ids=["whole", "torn"])
@pytest.mark.parametrize("data", [case[1] for case in FILES], ids=[case[0] for case in FILES])
async def test_all_pieces_together_are_the_file_s_whole_lines(
    tmp_path: Path, data: bytes, torn: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data + torn)
    records = [record async for record in SessionStore(tmp_path).read(path=path)]

    found = await pieces(SessionStore(tmp_path).read(path=path), raw=True)

    assert b"".join(raw for _, raw in found) == data
    assert [record for record, _ in found if record is not None] == records


async def test_blank_lines_belong_to_the_record_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n" + header_line() + b"\n\n" + chunk_line() + trailer_line())

    found = await pieces(SessionStore(tmp_path).read(path=path), raw=True)

    assert [raw for _, raw in found] == [
        b"\n" + header_line(),
        b"\n\n" + chunk_line(),
        trailer_line(),
    ]


async def test_behind_a_cursor_come_the_lines_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(session_bytes(3))
    store = SessionStore(tmp_path)
    async with store.read(path=path) as feed:
        for _ in range(3):
            await anext(feed)

    found = await pieces(store.read(path=path, after=feed.cursor), raw=True)

    assert [raw for _, raw in found] == [chunk_line(2), trailer_line(3)]


async def test_where_no_bytes_are_asked_for_the_records_come_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n" + session_bytes(3) + b"\n")

    found = await pieces(SessionStore(tmp_path).read(path=path), raw=False)

    assert len(found) == 5
    assert {raw for _, raw in found} == {b""}
    assert None not in [record for record, _ in found]


async def test_bytes_are_there_when_the_reader_is_done_and_the_file_has_no_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(session_bytes(1) + TORN)
    feed = SessionStore(tmp_path).read(path=path)
    with FileSlices(feed) as file:
        async for _ in entries(feed, file, raw=False):
            pass
        path.unlink()
        path.write_bytes(b"another")
        torn = file.read(feed.offset, 1000)

    assert feed.fd is None
    assert torn == TORN


async def test_of_a_file_that_was_never_open_there_are_no_bytes(tmp_path: Path) -> None:
    feed = SessionStore(tmp_path).read(path=tmp_path / "absent.jsonl")
    with FileSlices(feed) as file:
        with pytest.raises(SessionNotFound):
            await anext(feed)

        assert file.read(0, 10) == b""


async def test_the_descriptor_is_another_than_the_readers_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(session_bytes(3))
    async with SessionStore(tmp_path).read(path=path) as feed:
        with FileSlices(feed) as file:
            await anext(feed)
            held = file._fd
            assert feed.fd not in (held, None)
            assert file.read(0, 1) == b"{"
        assert file.read(0, 10) == b""

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)
