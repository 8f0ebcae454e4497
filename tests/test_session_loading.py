"""One file, whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from actors import Actor
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import PersistenceError, SessionStore, load_session
from sessiontail.format import LineFramer, RecordDecoder, runs
from sessiontail.format.folding import fold
from sessiontail.format.runs import Run
from sessiontail.session import loading
from sessiontail.system.files import SessionFile, in_thread

pytestmark = pytest.mark.anyio


def after_the_first_read(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, reads: int = 1
) -> None:
    """Act when a load has read its first slice, or its second."""
    decode_run = runs.decode_run
    acts: list[Callable[[], object]] = [act, *[lambda: None] * (reads - 1)]

    def and_then(
        decoder: RecordDecoder, data: bytes | bytearray, start: int, end: int
    ) -> Run | None:
        if acts:
            acts.pop()()
        return decode_run(decoder, data, start, end)

    monkeypatch.setattr(loading, "decode_run", and_then)


@pytest.mark.parametrize("to", [0, 10, 700_000], ids=["nothing", "its head", "the middle"])
async def test_a_file_that_is_cut_while_it_is_loaded_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: int
) -> None:
    with Actor(tmp_path).open().say(*["x" * 100_000] * 19) as actor:
        after_the_first_read(monkeypatch, lambda: actor.cut(to))

        with pytest.raises(PersistenceError, match="cut or rewritten while it was read"):
            await load_session(actor.id, directory=tmp_path)


@pytest.mark.parametrize(("line_bytes", "reads"), [(1_000, 1), (1_000_000, 2)])
async def test_two_generations_are_never_loaded_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line_bytes: int, reads: int
) -> None:
    path = tmp_path / f"{ID}.jsonl"
    count = 2_000_000 // line_bytes
    first, second = (
        header_line() + chunk_line(0, letter * line_bytes) * count + trailer_line(count)
        for letter in "ab"
    )
    path.write_bytes(first)
    after_the_first_read(monkeypatch, lambda: path.write_bytes(second), reads=reads)

    with pytest.raises(PersistenceError, match="cut or rewritten while it was read"):
        await load_session(ID, directory=tmp_path)


async def test_a_file_that_grows_while_it_is_loaded_is_loaded_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Actor(tmp_path).open().say(*["x" * 100_000] * 9) as actor:
        owed = actor.records
        after_the_first_read(monkeypatch, lambda: actor.say("more"))

        session = await load_session(actor.id, directory=tmp_path)

    assert [session.header, *session.chunk_table] == owed


LINES = st.lists(
    st.one_of(
        st.integers(0, 400).map(lambda size: chunk_line(0, "é" * size)),
        st.sampled_from(
            [b"\n", b"x\n", b"[1]\n", header_line(), trailer_line(), b" " + chunk_line()]
        ),
        st.builds(lambda line, times: line * times, st.just(chunk_line()), st.integers(1, 20)),
    ),
    max_size=20,
)


@pytest.mark.parametrize("cached", [True, False], ids=["from the page cache", "from the disk"])
@settings(max_examples=150)
@given(
    lines=LINES,
    tail=st.sampled_from([b"", b"{", chunk_line(0, "y" * 900)[:-1]]),
    max_line_bytes=st.sampled_from([400, 1 << 20]),
)
def test_a_session_in_many_slices_is_what_its_lines_are_one_by_one(
    lines: list[bytes],
    tail: bytes,
    max_line_bytes: int,
    tmp_path: Path,
    *,
    cached: bool,
) -> None:
    data = header_line() + b"".join(lines) + tail
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "SLICE_BYTES", 512)
        patch.setattr(runs, "MAX_RUN_LINES", 3)
        if not cached:
            patch.setattr(loading, "NOWAIT", None)
            patch.setattr(SessionFile, "read_cached", lambda *_: None)
        store = SessionStore(tmp_path, max_line_bytes=max_line_bytes)
        session = anyio.run(lambda: store.load(path=path, salvage=True))

    decoder, framer = RecordDecoder(), LineFramer(max_line_bytes=max_line_bytes)
    records = [record for item in framer.feed(data) for record in decoder.decode(item).records]
    assert session == fold(records, path=path, salvage=True, torn_bytes=framer.pending)
    assert store.stats.records == len(records)


@pytest.mark.parametrize("size", [600_000, 3_000_000])
async def test_a_line_above_a_slice_is_loaded_whole_and_what_follows_too(
    tmp_path: Path, size: int
) -> None:
    with Actor(tmp_path).open().say("one", "x" * size, "é" * size, "two") as actor:
        session = await load_session(actor.id, directory=tmp_path)

        assert [session.header, *session.chunk_table] == actor.records


async def test_a_line_that_becomes_another_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + chunk_line(0, "a" * 2_000_000) + trailer_line(1))

    async def rewritten(function: Any, *args: Any, **options: Any) -> Any:
        path.write_bytes(header_line() + chunk_line(0, "b" * 2_000_000) + trailer_line(1))
        return await in_thread(function, *args, **options)

    monkeypatch.setattr(loading, "in_thread", rewritten)

    with pytest.raises(PersistenceError, match="cut or rewritten while it was read"):
        await load_session(ID, directory=tmp_path)


async def test_a_line_that_never_ends_is_torn_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + chunk_line())
    with path.open("r+b") as file:
        file.truncate(1 << 28)
    tracemalloc.start()
    try:
        session = await load_session(ID, directory=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(session.chunk_table) == 1
    assert session.torn_bytes == (1 << 28) - len(header_line() + chunk_line())
    assert peak < 8 * 1024 * 1024
