"""A file's first bytes and its last: its header and its trailer."""

from __future__ import annotations

from pathlib import Path

import pytest

from listed import meta_of, put
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    DamagedSession,
    Header,
    SessionStore,
)
from sessiontail.format import RecordDecoder
from sessiontail.session.counting import Brief
from sessiontail.session.ends import END_BYTES, header_of, trailer_of
from sessiontail.system.files import SessionFile

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("after", [b"", b"\n\r\n", b"{torn", b"x" * 5000])
@pytest.mark.parametrize("content_bytes", [0, 4000, 3_000_000])
async def test_a_trailer_is_believed_behind_lines_of_any_length_and_before_any_tail(
    tmp_path: Path, after: bytes, content_bytes: int
) -> None:
    chunks = chunk_line(0, "x" * content_bytes) + chunk_line(1)
    torn_bytes = 0 if after.endswith(b"\n") else len(after)
    path = put(tmp_path, f"{ID}.jsonl", header_line() + chunks + trailer_line(2) + after)

    assert await SessionStore(tmp_path).list() == [
        meta_of(path, chunk_count=2, torn_bytes=torn_bytes)
    ]


async def test_the_end_of_a_damaged_line_is_no_trailer_wherever_the_read_begins(
    tmp_path: Path,
) -> None:
    end = trailer_line(7).ljust(4096, b"\n")
    path = put(tmp_path, f"{ID}.jsonl", header_line() + chunk_line()[:-1] + end)

    (meta,) = await SessionStore(tmp_path).list()
    (verified,) = await SessionStore(tmp_path).list(verify=True)

    assert (meta.closed, verified.closed, verified.damaged_lines) == (False, False, 1)
    assert path.stat().st_size > 4096


# --- by themselves


def head_of(tmp_path: Path, data: bytes, given: int = END_BYTES) -> tuple[Header, int]:
    file = SessionFile(put(tmp_path, "a.jsonl", data))
    try:
        return header_of(file, RecordDecoder(), data[:given])
    finally:
        file.close()


@pytest.mark.parametrize("given", [0, 1, 100, END_BYTES])
@pytest.mark.parametrize("blank", [b"", b"\n", b"\r\n \t\n", b"\n" * 100_000])
def test_a_header_is_found_behind_blank_lines_however_little_of_it_is_at_hand(
    tmp_path: Path, blank: bytes, given: int
) -> None:
    header, end = head_of(tmp_path, blank + session_bytes(2), given)

    assert (header.id, end) == (ID, len(blank + header_line()))


@pytest.mark.parametrize("size", [END_BYTES - 1, END_BYTES, END_BYTES + 1, 100_000])
def test_a_header_of_any_length_is_read_whole(tmp_path: Path, size: int) -> None:
    line = header_line(note="x" * (size - len(header_line(note=""))))
    header, end = head_of(tmp_path, line + chunk_line())

    assert (header.id, end, len(line)) == (ID, size, size)


@pytest.mark.parametrize(
    ("data", "line", "offset", "reason"),
    [
        (b"", None, None, "no-header"),
        (b"\n\n", None, None, "no-header"),
        (header_line()[:-1], None, None, "no-header"),
        (b"\n\n" + chunk_line(), 3, 2, "record-before-header"),
        (b"[]\n", 1, 0, "not-an-object"),
        (b"\nbad\n" + header_line(), 2, 1, "invalid-json"),
    ],
)
def test_what_begins_otherwise_is_no_session_and_the_error_says_where(
    tmp_path: Path, data: bytes, line: int | None, offset: int | None, reason: str
) -> None:
    with pytest.raises(DamagedSession) as caught:
        head_of(tmp_path, data)

    error = caught.value
    assert (error.path, error.line, error.offset) == (tmp_path / "a.jsonl", line, offset)
    assert error.reason == reason


@pytest.mark.parametrize(
    ("last", "chunks", "torn_bytes"),
    [
        (trailer_line(3), 3, 0),
        (chunk_line() + trailer_line(3), 3, 0),
        (trailer_line(3) + b"\n \n", 3, 0),
        (trailer_line(3) + b"{torn", 3, 5),
        (trailer_line(1) + trailer_line(0), 0, 0),
    ],
)
def test_the_last_line_that_is_not_blank_is_believed_if_it_is_a_trailer(
    last: bytes, chunks: int, torn_bytes: int
) -> None:
    brief = Brief()
    trailer_of(last, brief)

    assert brief.trailer is not None
    assert (brief.chunks, brief.torn_bytes) == (chunks, torn_bytes)


@pytest.mark.parametrize(
    "last",
    [
        b"",
        b"torn",
        b"\n\n",
        trailer_line(3)[:-1],
        trailer_line(3) + chunk_line(),
        trailer_line(-1),
        chunk_line(0, '"trailer"'),
        b"x" + trailer_line(3),
    ],
)
def test_no_other_line_is_taken_for_a_trailer(last: bytes) -> None:
    brief = Brief()
    trailer_of(last, brief)

    assert (brief.trailer, brief.chunks, brief.torn_bytes) == (None, 0, 0)
