"""A clean copy of a damaged file: openrath's own loader takes it, and so does ours, strictly."""

from __future__ import annotations

import fcntl
import os
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from hostile import CASES
from odd_lines import one_by_one
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    Damage,
    DamagedSession,
    MendAction,
    PersistenceError,
    Repaired,
    SessionBusy,
    SessionNotFound,
    load_session,
)
from sessiontail.session.repairing import repair_file
from writers import real_writer

pytestmark = pytest.mark.anyio
SHARED = [
    header_line(),
    chunk_line(0, "a"),
    chunk_line(1, "b\u2028ä"),
    chunk_line(2, None, "assistant", tool_calls=[{"id": "c", "function": {"name": "x"}}]),
    chunk_line(3, "answer", "tool_result", tool_call_id="c", name="x"),
    trailer_line(4, (1, 2, 3)),
]


def reference(path: Path) -> Any:
    """What openrath's own loader takes of a file."""
    return real_writer()("load", path=path)


async def repaired(source: Path, to: Path, **options: Any) -> Repaired:
    return await repair_file((str(source),), to, **options)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_hostile_file_with_a_header_loads_once_it_is_mended(tmp_path: Path) -> None:
    refused = []
    for name, case in CASES.items():
        source, to = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.clean"
        source.write_bytes(case.data)
        try:
            told = await repaired(source, to)
        except DamagedSession as error:
            refused.append((name, error.reason, to.exists()))
            continue
        loaded, theirs = await load_session(path=to), reference(to)

        assert source.read_bytes() == case.data
        assert len(loaded.chunk_table) == len(theirs["rows"]) == told.chunks
        assert told.chunks >= (case.chunks or 0)
        assert loaded.closed == theirs["closed"] == told.closed
        assert (loaded.damage, loaded.torn_bytes) == ((), 0)
        assert (told.source_bytes, told.size_bytes) == (len(case.data), to.stat().st_size)
        if case.chunks is not None:  # else a header was found that a reader does not find
            assert {line for line, _ in case.damage} <= {mend.line for mend in told.mends}
    whole_header = {name for name, case in CASES.items() if case.chunks is not None}
    assert whole_header.isdisjoint(name for name, _, _ in refused)
    assert {(reason, left) for _, reason, left in refused} == {("no-header", False)}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = b"".join(SHARED)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        what = draw(st.sampled_from(["cut", "flip", "resume", "join"]))
        if what == "cut":
            data = data[: at + 1]
        elif what == "flip":
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif what == "resume":
            data = data[:at] + SHARED[0] + chunk_line(0, "again") + trailer_line(1)
        else:
            end = data.find(b"\n", at)
            data = data[:end] + data[end + 1 :] if end >= 0 else data
    return data


@settings(max_examples=60)
@given(damaged())
def test_a_damaged_copy_loads_once_it_is_mended(tmp_path: Path, data: bytes) -> None:
    source, to = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_bytes(data)
    whole = [record for record, _, _ in one_by_one(data) if not isinstance(record, Damage)]
    try:
        anyio.run(lambda: repaired(source, to, force=True))
    except DamagedSession:
        assert whole == []
        return
    chunks = iter(reference(to)["rows"])

    for record in whole:
        if isinstance(record, Chunk):
            assert any(row == [record.kind, record.payload] for row in chunks)
    assert (anyio.run(lambda: load_session(path=to))).damage == ()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_real_writer_left_that_came_back_after_a_crash_is_made_whole(
    tmp_path: Path,
) -> None:
    writer, wal = real_writer(), tmp_path / f"{ID}.jsonl.__partial__"
    writer("open", home=tmp_path, session_id=ID)
    writer("write", text="before")
    writer("abandon")
    whole = wal.read_bytes()
    torn = chunk_line(1, "torn ä")[:-5]
    with wal.open("ab") as file:
        file.write(torn)
    writer("open", home=tmp_path, session_id=ID)
    writer("write", text="after")
    writer("close")
    source, to = tmp_path / f"{ID}.jsonl", tmp_path / "clean.jsonl"

    told = await repaired(source, to)

    glued, *rest = source.read_bytes()[len(whole) :].splitlines(keepends=True)
    assert to.read_bytes() == whole + b"".join(rest)
    assert [(mend.line, mend.action, mend.dropped_bytes) for mend in told.mends] == [
        (3, "split", len(glued) - 1)
    ]
    rows = [["user", {"content": text}] for text in ("before", "after")]
    assert reference(to) == {"rows": rows, "closed": True}


async def test_what_was_done_is_said_and_handed_over_as_it_is_done(tmp_path: Path) -> None:
    source, to = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_bytes(header_line() + b"x\n" + chunk_line() + b"{")
    told: list[tuple[int, str]] = []

    handed = await repaired(source, to, on_mend=lambda mend: told.append((mend.line, mend.action)))
    kept = await repaired(source, tmp_path / "c.jsonl", close=True)

    assert told == [(2, "dropped"), (4, "cut")]
    assert (handed.mends, handed.mend_counts) == ((), {"dropped": 1, "cut": 1})
    assert [mend.action for mend in kept.mends] == [
        MendAction.DROPPED,
        MendAction.CUT,
        MendAction.CLOSED,
    ]
    assert repr(kept) == "Repaired(4f2c0000, 3 records, 3 mends)"
    assert kept.to_dict() == {
        "schema": 1,
        "id": str(ID),
        "file": str(source),
        "to": str(tmp_path / "c.jsonl"),
        "source_bytes": source.stat().st_size,
        "size_bytes": (tmp_path / "c.jsonl").stat().st_size,
        "records": 3,
        "chunks": 1,
        "closed": True,
        "writer_pid": None,
        "mends": [mend.to_dict() for mend in kept.mends],
        "mend_counts": {"dropped": 1, "cut": 1, "closed": 1},
    }
    closed = await load_session(path=tmp_path / "c.jsonl")
    assert (closed.closed, closed.cumulative_usage) == (True, None)
    assert closed.trailer is not None
    assert closed.trailer.final_chunk_count == 1


async def test_a_file_without_a_header_is_refused_with_what_became_of_it(tmp_path: Path) -> None:
    source, to = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for data, line, message in (
        (b"", None, "no header: not a session file"),
        (b"{", None, "no header: not a session file"),
        (
            header_line(id="x") + chunk_line(),
            1,
            (
                "no header, so nothing to make whole: malformed header: the header: "
                "badly formed hexadecimal UUID string"
            ),
        ),
    ):
        source.write_bytes(data)

        with pytest.raises(DamagedSession) as caught:
            await repaired(source, to)

        error = caught.value
        assert (error.path, error.line, error.message) == (source, line, message)
        assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


async def test_a_running_session_is_copied_and_told_and_not_closed(tmp_path: Path) -> None:
    live, to = tmp_path / "a.jsonl.__partial__", tmp_path / "b.jsonl"
    live.write_bytes(session_bytes(1, closed=False))
    with live.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        told = await repaired(live, to)
        with pytest.raises(SessionBusy, match="without a trailer it can be copied"):
            await repaired(live, tmp_path / "c.jsonl", close=True)

    assert told.writer_pid == os.getpid()
    assert to.read_bytes() == live.read_bytes()
    assert not (tmp_path / "c.jsonl").exists()


async def test_the_first_name_that_is_there_is_taken(tmp_path: Path) -> None:
    wal, final = tmp_path / "a.jsonl.__partial__", tmp_path / "a.jsonl"
    final.write_bytes(session_bytes(1))
    names = (str(wal), str(final))

    told = await repair_file(names, tmp_path / "b")
    with pytest.raises(SessionNotFound):
        await repair_file((str(wal),), tmp_path / "c")

    assert told.path == final


async def test_a_step_that_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    source, to = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_bytes(header_line() + b"x\n" + chunk_line(0, "x" * 1_000_000) * 3)

    with anyio.CancelScope() as scope:
        await repaired(source, to, on_mend=lambda _: scope.cancel())

    assert scope.cancelled_caught
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


async def test_a_file_that_is_cut_while_it_is_read_is_told(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(header_line() + b"x\n" + chunk_line(0, "x" * 1_000_000) * 3)

    with pytest.raises(PersistenceError, match="cut while it was read; try again"):
        await repaired(source, tmp_path / "b", on_mend=lambda _: source.write_bytes(header_line()))

    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_memory_is_that_of_a_line(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    line = chunk_line(0, "x" * 100_000)
    source.write_bytes(header_line() + (line + line[:50_000] + line) * 100)
    tracemalloc.start()

    told = await repaired(source, tmp_path / "b.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (told.chunks, told.mend_counts) == (200, {"split": 100})
    assert peak < 4_000_000 < source.stat().st_size // 5
