"""One file in brief: its first line and its last, whatever its length."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from listed import IDS, bytes_read, meta_of, put
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    DamagedSession,
    Header,
    LineageKind,
    PersistenceError,
    SessionNotFound,
    SessionStore,
    TokenUsage,
    list_persisted_sessions,
)
from sessiontail.session import summary
from sessiontail.session.summary import Detail, first_meta, read_and_keep, read_meta
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

    meta, _ = summary._meta(Late(path), str(path), LockTable(b""), detail=Detail.LINES)
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


# --- by themselves


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("closed", [True, False])
async def test_of_a_file_without_fault_every_depth_says_the_same(
    tmp_path: Path, detail: Detail, *, closed: bool
) -> None:
    path = put(tmp_path, f"{ID}.jsonl", session_bytes(50, closed=closed))
    meta, cached = read_meta(path, LockTable(b""), detail=detail)

    assert (meta.chunk_count, meta.closed, cached) == (50, closed, True)
    assert meta.damaged_lines == (0 if detail is Detail.RECORDS else None)


async def test_of_a_large_file_without_a_trailer_its_last_chunk_is_believed_where_ends_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = header_line() + chunk_line(0, "x" * 5_000_000) + chunk_line(41) + b"{torn"
    path = put(tmp_path, f"{ID}.jsonl.__partial__", data)
    with bytes_read(monkeypatch) as read:
        ends, _ = read_meta(path, LockTable(b""), detail=Detail.ENDS)
    lines, _ = read_meta(path, LockTable(b""), detail=Detail.LINES)

    assert (ends.chunk_count, lines.chunk_count) == (42, 2)
    assert ends.torn_bytes == lines.torn_bytes == 5
    assert sum(read) < 200_000


async def test_the_first_of_the_names_that_is_there_is_taken(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a", "b", "c")]
    for name in ("b", "c"):
        put(tmp_path, name, session_bytes())

    assert first_meta(names, Detail.LINES).file == names[1]


async def test_what_is_there_and_no_session_is_an_error_and_not_passed_over(
    tmp_path: Path,
) -> None:
    put(tmp_path, "b", b"[]\n")
    put(tmp_path, "c", session_bytes())
    names = [str(tmp_path / name) for name in ("a", "b", "c")]

    with pytest.raises(DamagedSession) as damaged:
        first_meta(names, Detail.LINES)
    with pytest.raises(SessionNotFound) as absent:
        first_meta(names[:1], Detail.LINES)

    assert (damaged.value.path, damaged.value.line) == (tmp_path / "b", 1)
    assert absent.value.path == tmp_path / "a"


async def test_what_cannot_be_read_is_told_with_its_path_and_leaves_no_descriptor(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    path.mkdir()
    before = set(SessionFile.open_now)
    reads: list[Callable[[], object]] = [
        lambda: read_meta(path, LockTable(b"")),
        lambda: read_and_keep(str(path), LockTable(b""), detail=Detail.LINES),
    ]
    for read in reads:
        with pytest.raises(PersistenceError) as caught:
            read()
        assert caught.value.path == path

    assert SessionFile.open_now == before
