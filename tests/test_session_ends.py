"""A file's first bytes and its last: its header and its trailer."""

from __future__ import annotations

from pathlib import Path

import pytest

from listed import meta_of, put
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import (
    SessionStore,
)

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
