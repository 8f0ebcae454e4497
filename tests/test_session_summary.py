"""One file in brief: its first line and its last, whatever its length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from listed import IDS, bytes_read, meta_of, put
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    Header,
    LineageKind,
    SessionStore,
    TokenUsage,
    list_persisted_sessions,
)
from sessiontail.session import summary
from sessiontail.session.summary import Depth
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable

pytestmark = pytest.mark.anyio


async def test_a_closed_file_is_taken_from_its_header_and_trailer(tmp_path: Path) -> None:
    parents = [str(i) for i in IDS[:2]]
    data = session_bytes(
        2, closed=False, parent_session_ids=parents, lineage_kind="op_fork", lineage_operator="fork"
    )
    path = put(tmp_path, f"{ID}.jsonl", data + trailer_line(2, (10, 5, 15)))

    metas = await list_persisted_sessions(directory=tmp_path)

    assert metas == [
        meta_of(
            path,
            chunk_count=2,
            parent_texts=tuple(map(str, IDS[:2])),
            lineage_kind=LineageKind.OP_FORK,
            lineage_operator="fork",
            cumulative_usage=TokenUsage(10, 5, 15),
        )
    ]


async def test_verifying_counts_what_is_there_and_not_what_the_trailer_says(
    tmp_path: Path,
) -> None:
    data = header_line() + chunk_line() + b"[]\n" + chunk_line(1) + trailer_line(7)
    path = put(tmp_path, f"{ID}.jsonl", data)
    sessions = SessionStore(tmp_path)

    assert await sessions.list() == [meta_of(path, chunk_count=7)]
    assert await sessions.list(verify=True) == [meta_of(path, chunk_count=2, damaged_lines=1)]


async def test_the_bytes_that_are_read_do_not_grow_with_a_closed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    for chunks in (1_000, 10_000):
        put(tmp_path, f"{ID}.jsonl", session_bytes(chunks))
        with bytes_read(monkeypatch) as sizes:
            await SessionStore(tmp_path).list()
        read.append(sum(sizes))

    assert read == [8192, 8192]


async def test_a_header_written_between_status_and_reading_is_no_crash(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl.__partial__", b"")
    file = SessionFile(path)
    read_cached = file.read_cached

    class Late(SessionFile):
        """Meets the header in the midst of being created."""

        __slots__ = ()

        def read_cached(self, offset: int, size: int) -> bytes | None:
            if not path.stat().st_size:
                path.write_bytes(header_line())
            return read_cached(offset, size)

    meta, _ = summary._meta(Late(path), str(path), LockTable(b""), depth=Depth.LINES)
    file.close()

    assert meta.size_bytes == len(header_line())
    assert meta.chunk_count == 0


async def test_reading_the_whole_file_gives_the_same_count(tmp_path: Path) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes(300))
    sessions = SessionStore(tmp_path)

    async def kinds() -> AsyncIterator[type]:
        async for record in sessions.read(ID):
            yield type(record)

    seen = [kind async for kind in kinds()]

    assert (seen[0], seen.count(Chunk)) == (Header, 300)
    assert (await sessions.list())[0] == meta_of(path, chunk_count=300)
