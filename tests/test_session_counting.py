"""How many chunks a file has that does not say so itself."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings, strategies as st

from listed import bytes_read, put
from samples import chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    PersistedSessionMeta,
    SessionStore,
)
from sessiontail.format.cursor import START
from sessiontail.session import before_end, counting
from sessiontail.session.before_end import position_before_end
from sessiontail.session.summary import Detail, read_meta
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable

pytestmark = pytest.mark.anyio


BLANK = [b"\n", b"\r\n", b"  \t\n"]


ODD_CHUNKS = [
    b'{"index": 0, "kind": "user", "record_type": "chunk", "payload": {}}\n',
    b'{"record_type":"chunk","index":0,"kind":"user","payload":{"content":"x"}}\r\n',
    b' {"record_type": "chunk", "kind": "system", "payload": {"record_type": "trailer"}}\n',
    chunk_line(0, '{"record_type": "chunk"'),
    chunk_line(0, "\u2028 \u0085 \\n \n"),
    chunk_line(0, '"trailer"'),
]


DAMAGE = [
    b"\xff\xfe\n",
    b"[1]\n",
    b"\0\0\0\n",
    b'{"record_type": "other"}\n',
    header_line(),
    b'xx{"record_type": "chunk", "kind": "user", "payload": {}}\n',
    b'{"kind": "user", "record_type": "chunk"}\n',
]


lines = st.one_of(
    st.just(chunk_line()),
    st.sampled_from(ODD_CHUNKS),
    st.sampled_from(BLANK),
    st.sampled_from(DAMAGE),
    st.builds(trailer_line, st.integers(0, 3)),
    st.integers(1, 9000).map(lambda size: chunk_line(0, "y" * size)),
)


tails = st.one_of(
    st.just(b""),
    st.integers(1, 9000).map(lambda size: chunk_line(0, "z" * size)[:-1]),
    st.just(trailer_line()[:-1]),
    st.just(b" " * 5000),
)


def lines_in(data: bytes) -> int:
    """How many whole lines are not empty."""
    return sum(line != b"" for line in data.split(b"\n")[:-1])


@settings(max_examples=150)
@given(body=st.lists(lines, max_size=12), tail=tails, header_bytes=st.sampled_from([0, 3900, 9999]))
def test_counting_without_decoding_is_counting_with_it(
    body: list[bytes], tail: bytes, header_bytes: int, tmp_path: Path
) -> None:
    # Behind the last trailer there must be something, or its own count is believed.
    data = header_line(note="h" * header_bytes) + b"".join(body) + chunk_line() + tail
    path = put(tmp_path, "a.jsonl", data)
    locks = LockTable(b"")

    counted, _ = read_meta(path, locks)
    verified, _ = read_meta(path, locks, detail=Detail.RECORDS)

    def brief(meta: PersistedSessionMeta) -> tuple[object, ...]:
        return meta.chunk_count, meta.closed, meta.closed_at, meta.torn_bytes, meta.state

    assert brief(counted) == brief(verified)
    assert verified.torn_bytes == len(tail)


@settings(max_examples=150)
@given(
    parts=st.lists(st.lists(lines, max_size=6), min_size=2, max_size=4),
    blank=st.sampled_from([b"", b"\n\r\n"]),
    asked=st.lists(st.integers(0, 30), min_size=4, max_size=4),
)
def test_counting_on_from_what_was_counted_is_counting_it_all(
    parts: list[list[bytes]], blank: bytes, asked: list[int], tmp_path: Path
) -> None:
    path = put(tmp_path, f"{uuid4()}.jsonl.__partial__", blank + header_line())
    locks = LockTable(b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_LONG_BYTES", 300)
        patch.setattr(counting, "COUNTED_BYTES", 500)
        patch.setattr(before_end, "COUNTED_BYTES", 500)
        for part, last in zip(parts, asked, strict=False):
            with path.open("ab") as file:
                file.write(b"".join(part) + chunk_line() + b"{half")
            counted, _ = read_meta(path, locks)
            verified, _ = read_meta(path, locks, detail=Detail.RECORDS)
            opened = SessionFile(path)
            position = position_before_end(opened, last)
            opened.close()
            whole = path.read_bytes()
            with path.open("r+b") as file:
                file.truncate(len(whole) - len(b"{half"))

            assert (counted.chunk_count, counted.closed, counted.closed_at) == (
                verified.chunk_count,
                verified.closed,
                verified.closed_at,
            )
            assert counted.torn_bytes == verified.torn_bytes == len(b"{half")
            if last > lines_in(whole[whole.index(header_line()) :]) - 1:
                assert position == START
            else:
                assert lines_in(whole[position.offset :]) == last
            assert position.lines in (whole.count(b"\n", 0, position.offset), None)
            assert (position.lines is None) <= (position.offset > 500)


async def test_of_a_wal_that_grew_only_what_was_added_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(60_000, closed=False))
    store = SessionStore(tmp_path)
    opened = SessionFile(path)
    before = [(await store.list())[0].chunk_count, position_before_end(opened, 2).lines]
    with path.open("ab") as file:
        file.write(chunk_line() * 3)

    with bytes_read(monkeypatch) as read:
        after = [(await store.list())[0].chunk_count, position_before_end(opened, 2).lines]
    opened.close()

    assert (before, after) == ([60_000, 59_999], [60_003, 60_002])
    assert sum(read) < 500_000 < path.stat().st_size // 4


async def test_a_wal_that_was_cut_and_written_anew_is_counted_anew(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(20_000, closed=False))
    store = SessionStore(tmp_path)
    await store.list()
    path.write_bytes(header_line() + chunk_line(0, "other") * 25_000)

    (meta,) = await store.list()

    assert meta.chunk_count == 25_000


@pytest.mark.parametrize("start", [b"", chunk_line()[:-20], b"[" * 20])
async def test_a_hole_takes_no_memory(tmp_path: Path, start: bytes) -> None:
    path = put(tmp_path, "a.jsonl.__partial__", session_bytes(3, closed=False) + start)
    with path.open("r+b") as file:
        file.truncate(1 << 26)
    tracemalloc.start()
    try:
        (meta,) = await SessionStore(tmp_path).list()
        opened = SessionFile(path)
        position = position_before_end(opened, 1)
        opened.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (meta.chunk_count, position.lines) == (3, 3)
    assert meta.torn_bytes == (1 << 26) - len(session_bytes(3, closed=False))
    assert peak < 8 * 1024 * 1024


async def test_long_lines_are_counted_by_their_beginning_or_decoded_whole(tmp_path: Path) -> None:
    long = "x" * 2_000_000
    odd = b" " + chunk_line(0, long)
    data = session_bytes(1, closed=False) + chunk_line(0, long) + odd + b"[" + odd + chunk_line()
    put(tmp_path, "a.jsonl.__partial__", data)
    store = SessionStore(tmp_path)

    (counted,) = await store.list()
    (verified,) = await store.list(verify=True)

    assert (counted.chunk_count, verified.chunk_count, verified.damaged_lines) == (4, 4, 1)
