from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from chats import FIRST, Chats, name, rows
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    ChunkKind,
    CursorInvalid,
    DamagedSession,
    DamageReason,
    Header,
    InvalidSessionId,
    LineNotFound,
    Outcome,
    PersistenceError,
    Record,
    SessionEnded,
    SessionNotFound,
    SessionState,
    SessionStore,
    TokenUsage,
    Trailer,
    by_id,
    delete_session,
)
from sessiontail.session import loading
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable
from writers import real_writer

pytestmark = pytest.mark.anyio

OTHER = UUID(int=7, version=4)


@pytest.fixture
def sessions(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, poll_interval_s=0.01)


def put(store: SessionStore, name: str, data: bytes) -> Path:
    path = store.directory / name
    path.write_bytes(data)
    return path


def texts(records: list[Record]) -> list[str | None]:
    return [record.text for record in records if isinstance(record, Chunk)]


async def test_a_session_that_openrath_wrote_is_loaded_read_and_tailed_alike(
    sessions: SessionStore,
) -> None:
    words = ["hi", "a\u2028b", "é😀", "x" * 300_000]
    path = real_writer().session(sessions.directory, ID, words)

    loaded = await sessions.load(ID)
    read = [record async for record in sessions.read(ID)]
    tail = sessions.tail(ID)
    tailed = [record async for record in tail]

    assert (loaded.path, loaded.closed, loaded.torn_bytes) == (path, True, 0)
    assert [chunk.text for chunk in loaded.chunk_table] == texts(read) == words
    assert tailed == read
    assert (read[0], read[-1]) == (loaded.header, loaded.trailer)
    assert tail.outcome is Outcome.CLOSED


@pytest.mark.parametrize("form", [str, str.upper, lambda i: i.replace("-", ""), "{{{}}}".format])
async def test_an_id_is_taken_in_every_form_that_a_uuid_has(
    sessions: SessionStore, form: Callable[[str], str]
) -> None:
    path = put(sessions, f"{ID}.jsonl", session_bytes())

    assert (await sessions.load(form(str(ID)))).path == path


async def test_of_two_generations_load_takes_the_closed_and_the_others_the_running_one(
    sessions: SessionStore,
) -> None:
    final = put(sessions, f"{ID}.jsonl", session_bytes(1))
    wal = put(sessions, f"{ID}.jsonl.__partial__", session_bytes(2, closed=False))

    assert (await sessions.load(ID)).path == final
    assert (await sessions.meta(ID)).path == wal
    assert len([record async for record in sessions.read(ID)]) == 3
    async with sessions.tail(ID) as tail:
        await anext(tail)
        assert tail.path == wal


async def test_a_path_wins_over_an_id_and_follows_a_link(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", session_bytes(1))
    other = put(sessions, "export.txt", session_bytes(2, session_id=OTHER))
    link = sessions.directory / "link"
    link.symlink_to(other)

    assert (await sessions.load(ID, path=link)).header.id == OTHER
    assert (await sessions.meta(ID, path=link)).id == OTHER
    assert [type(r) async for r in sessions.read(ID, path=link)] == [Header, Chunk, Chunk, Trailer]


async def test_a_session_under_another_name_is_found_by_its_id(sessions: SessionStore) -> None:
    put(sessions, "unreadable.jsonl", b"\0")
    put(sessions, f"{OTHER}.jsonl", session_bytes(session_id=OTHER))
    path = put(sessions, "foo.jsonl", session_bytes(3))

    assert (await sessions.load(ID)).path == path
    assert len([record async for record in sessions.read(ID)]) == 5
    assert len([record async for record in sessions.tail(ID)]) == 5
    assert (await sessions.meta(ID)).path == path


@pytest.mark.parametrize("session_id", ["../x", "", "x" * 5000, "4f2c", "\0"])
async def test_what_is_no_id_is_refused_by_everything_that_takes_one(
    sessions: SessionStore, session_id: str
) -> None:
    with pytest.raises(InvalidSessionId):
        await sessions.load(session_id)
    with pytest.raises(InvalidSessionId):
        await sessions.meta(session_id)
    with pytest.raises(InvalidSessionId):
        sessions.read(session_id)
    with pytest.raises(InvalidSessionId):
        sessions.tail(session_id)


async def test_neither_id_nor_path_is_a_programmers_error(sessions: SessionStore) -> None:
    for call in (sessions.load, sessions.meta, sessions.delete):
        with pytest.raises(TypeError, match="give a session_id or path="):
            await call()
    for make in (sessions.read, sessions.tail):
        with pytest.raises(TypeError, match="give a session_id or path="):
            make()


async def test_a_session_that_is_not_there_is_one_line_of_error(sessions: SessionStore) -> None:
    async def errors() -> list[str]:
        found = []
        for attempt in (
            lambda: sessions.load(ID),
            lambda: anext(sessions.read(ID)),
            lambda: anext(sessions.tail(ID)),
            lambda: sessions.meta(ID),
        ):
            with pytest.raises(SessionNotFound) as caught:
                await attempt()
            found.append(str(caught.value))
        return found

    name = f"{ID}.jsonl"
    final, wal = name, f"{name}.__partial__"
    assert await errors() == [
        f"{sessions.directory}: no such session: neither {final} nor {wal}",
        *[f"{sessions.directory}: no such session: neither {wal} nor {final}"] * 3,
    ]

    sessions.directory.rmdir()

    gone = f"{sessions.directory}: no such directory; give the one where sessions lie"
    assert await errors() == [gone] * 4


async def test_a_damaged_session_names_the_place_and_can_be_salvaged(
    sessions: SessionStore,
) -> None:
    head = header_line() + chunk_line()
    path = put(sessions, f"{ID}.jsonl", head + b"\xff\n" + trailer_line(1, (1, 2, 3)) + b"{torn")

    with pytest.raises(DamagedSession) as caught:
        await sessions.load(ID)
    salvaged = await sessions.load(ID, salvage=True)

    error = caught.value
    assert (error.path, error.line, error.offset, error.reason) == (
        path,
        3,
        len(head),
        "invalid-utf8",
    )
    assert [(d.line, d.reason) for d in salvaged.damage] == [(3, DamageReason.INVALID_UTF8)]
    assert (salvaged.torn_bytes, salvaged.closed) == (5, True)
    assert salvaged.cumulative_usage == TokenUsage(1, 2, 3)


@pytest.mark.parametrize("data", [b"", b"\n\n", header_line()[:-1]])
async def test_a_file_without_a_header_is_no_session(sessions: SessionStore, data: bytes) -> None:
    put(sessions, f"{ID}.jsonl", data)

    for salvage in (False, True):
        with pytest.raises(DamagedSession) as caught:
            await sessions.load(ID, salvage=salvage)
        assert caught.value.reason == "no-header"


async def test_a_file_that_is_no_regular_one_is_an_error_at_once(sessions: SessionStore) -> None:
    os.mkfifo(sessions.directory / f"{ID}.jsonl")

    with anyio.fail_after(30):
        for attempt in (
            lambda: sessions.load(ID),
            lambda: anext(sessions.read(ID)),
            lambda: anext(sessions.tail(ID)),
            lambda: sessions.meta(ID),
        ):
            with pytest.raises(PersistenceError, match="not a regular file"):
                await attempt()


async def test_a_reader_stops_at_the_end_as_it_was(sessions: SessionStore) -> None:
    path = put(sessions, f"{ID}.jsonl.__partial__", session_bytes(2, closed=False) + b"{torn")
    reader = sessions.read(ID)
    first = await anext(reader)
    with path.open("ab") as file:
        file.write(b"}\n" + chunk_line(2))

    rest = [record async for record in reader]

    assert (type(first), texts(rest)) == (Header, ["hi", "hi"])


async def test_a_cursor_goes_on_where_it_was_taken_also_after_the_close(
    sessions: SessionStore,
) -> None:
    wal = put(sessions, f"{ID}.jsonl.__partial__", session_bytes(3, closed=False))
    reader = sessions.read(ID)
    await anext(reader)
    await anext(reader)
    cursor = reader.cursor
    with wal.open("ab") as file:
        file.write(chunk_line(3, "last") + trailer_line(4))
    wal.rename(sessions.directory / f"{ID}.jsonl")

    read = [record async for record in sessions.read(ID, after=cursor)]
    tailed = [record async for record in sessions.tail(ID, after=cursor)]

    assert texts(read) == ["hi", "hi", "last"]
    assert tailed == read


async def test_a_cursor_that_fits_no_file_is_refused(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", session_bytes(3))
    put(sessions, f"{OTHER}.jsonl", session_bytes(3, session_id=OTHER))
    reader = sessions.read(ID)
    await anext(reader)

    with pytest.raises(CursorInvalid):
        await anext(sessions.read(OTHER, after=reader.cursor))
    with pytest.raises(CursorInvalid):
        sessions.read(ID, after="nonsense")


async def test_meta_is_the_entry_of_the_list(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", header_line() + b"[]\n" + chunk_line() + trailer_line(5))

    assert [await sessions.meta(ID)] == await sessions.list()
    assert [await sessions.meta(ID, verify=True)] == await sessions.list(verify=True)
    assert (await sessions.meta(ID, verify=True)).damaged_lines == 1


async def test_meta_of_a_running_session_is_live(sessions: SessionStore) -> None:
    pid = real_writer()("open", home=sessions.directory, session_id=ID)

    meta = await sessions.meta(ID)
    real_writer()("close")

    assert (meta.state, meta.writer_pid) == (SessionState.LIVE, pid)
    assert (await sessions.meta(ID)).state is SessionState.CLOSED


async def test_meta_finds_a_session_that_is_renamed_while_it_looks(
    sessions: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(sessions, f"{ID}.jsonl.__partial__", session_bytes())
    read_locks = LockTable.read

    def rename_and_read() -> LockTable:
        if wal.exists():
            wal.rename(sessions.directory / f"{ID}.jsonl")
        return read_locks()

    monkeypatch.setattr(LockTable, "read", rename_and_read)

    assert (await sessions.meta(ID)).path == sessions.directory / f"{ID}.jsonl"


async def test_load_finds_a_session_that_is_renamed_while_it_looks(
    sessions: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = put(sessions, f"{ID}.jsonl.__partial__", session_bytes())
    load_file = loading.load_file

    async def rename_and_load(names: tuple[str, ...], **options: Any) -> Any:
        with pytest.raises(SessionNotFound):  # the closed file is not there yet
            await load_file(names[:1], **options)
        wal.rename(sessions.directory / f"{ID}.jsonl")
        return await load_file(names[1:], **options)

    monkeypatch.setattr(by_id, "load_file", rename_and_load)

    assert (await sessions.load(ID)).path == sessions.directory / f"{ID}.jsonl"


async def test_wait_for_returns_the_record_or_says_why_there_is_none(
    sessions: SessionStore,
) -> None:
    put(sessions, f"{ID}.jsonl", session_bytes(2))

    found = await sessions.wait_for(ID, lambda record: isinstance(record, Trailer))
    with pytest.raises(SessionEnded, match=r"the session ended \(closed\) without that record"):
        await sessions.wait_for(ID, lambda _: False)
    with pytest.raises(TimeoutError, match=rf"no such record of session {OTHER} within 0.05 s"):
        await sessions.wait_for(OTHER, lambda _: True, timeout=0.05)

    assert isinstance(found, Trailer)


@pytest.mark.parametrize("end", ["closed", "deleted"])
async def test_a_session_that_ends_while_it_is_waited_for_is_named_as_it_is_called_then(
    sessions: SessionStore, end: str
) -> None:
    final = sessions.directory / f"{ID}.jsonl"
    wal = put(sessions, f"{final.name}.__partial__", session_bytes(closed=False))

    def end_it(record: Record) -> bool:
        if isinstance(record, Header):
            if end == "closed":
                wal.write_bytes(session_bytes())
                wal.rename(final)
            else:
                wal.unlink()
        return False

    with wal.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SessionEnded) as caught:
            await sessions.wait_for(ID, end_it)

    told = f"the session ended ({end}) without that record"
    place = final if end == "closed" else f"session {ID}"
    assert str(caught.value) == f"{place}: {told}"


async def test_a_predicate_that_would_have_to_be_awaited_is_refused(sessions: SessionStore) -> None:
    async def asked(_: Record) -> bool:
        raise AssertionError

    put(sessions, f"{ID}.jsonl", session_bytes())

    def asked_by_another(record: Record) -> Any:
        return asked(record)

    for predicate in (asked, partial(asked), asked_by_another):
        with pytest.raises(TypeError, match="predicate is a plain function") as caught:
            await sessions.wait_for(ID, predicate)  # type: ignore[arg-type] # as meant

    assert str(caught.value).endswith("that returns at once, not an `async def`")


CALLS: dict[str, Callable[..., Any]] = {
    "meta": lambda store, **which: store.meta(**which),
    "load": lambda store, **which: store.load(**which),
    "read": lambda store, **which: anext(store.read(**which)),
    "tail": lambda store, **which: anext(store.tail(**which)),
    "delete": lambda store, **which: store.delete(**which),
}


@pytest.mark.parametrize("name", ["x" * 300 + ".jsonl", "file/x.jsonl"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_path_that_cannot_be_is_one_line_of_error_that_names_it(
    tmp_path: Path, name: str, call: str
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / name

    with pytest.raises(PersistenceError) as caught:
        await CALLS[call](SessionStore(tmp_path), path=path)

    assert str(caught.value).startswith((str(path), f"{path.parent}: no such directory"))


async def test_a_closed_file_whose_name_is_too_long_for_a_wal_is_tailed(
    sessions: SessionStore,
) -> None:
    path = put(sessions, "x" * 249 + ".jsonl", session_bytes(2))

    tail = sessions.tail(path=path)

    assert len([record async for record in tail]) == 4
    assert tail.outcome is Outcome.CLOSED


@pytest.mark.parametrize(
    ("name", "shown"), [("a\0b.jsonl", "a\\x00b.jsonl"), ("a\ud800.jsonl", "a\\ud800.jsonl")]
)
async def test_a_name_that_no_file_can_have_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str, shown: str
) -> None:
    store = SessionStore(tmp_path)
    told = f"{tmp_path / shown}: no file can have this name"

    for call in CALLS.values():
        with pytest.raises(PersistenceError) as caught:
            await call(store, path=tmp_path / name)
        assert str(caught.value) == told
    with pytest.raises(PersistenceError) as caught:
        SessionStore(tmp_path / name)
    assert str(caught.value) == told


async def test_a_file_that_goes_stale_when_it_is_opened_is_told_and_closed(
    sessions: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(sessions, f"{ID}.jsonl", session_bytes())
    before = set(SessionFile.open_now)

    def stale(_: SessionFile) -> os.stat_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(SessionFile, "stat", stale)
    reader = sessions.read(ID)
    with pytest.raises(PersistenceError) as caught:
        await anext(reader)

    assert str(caught.value) == f"{path}: {os.strerror(errno.ESTALE)}"
    assert SessionFile.open_now == before


@pytest.mark.parametrize(
    ("name", "data", "goes"),
    [
        ("letter.txt", b"Dear Sir", False),
        ("letter.txt", b"", False),
        ("export.bak", session_bytes(), True),
        ("export.bak", header_line() + b"\0damaged", True),
        (f"{ID}.jsonl", b"\0damaged", True),
        (f"{ID}.jsonl.__partial__", b"", True),
    ],
)
async def test_a_file_is_deleted_by_path_if_its_name_or_its_first_line_is_a_sessions(
    sessions: SessionStore, name: str, data: bytes, *, goes: bool
) -> None:
    path = put(sessions, name, data)

    if goes:
        assert await sessions.delete(path=path) is True
        assert await sessions.delete(path=path) is False
    else:
        with pytest.raises(PersistenceError) as caught:
            await delete_session(path=path)
        assert str(caught.value) == (
            f"{path}: no session file, neither by its name (.jsonl) nor by its first line; "
            "it is kept"
        )

    assert path.exists() is not goes


async def test_a_deleted_session_is_not_found_and_its_tail_ends(sessions: SessionStore) -> None:
    real_writer()("open", home=sessions.directory, session_id=ID)
    real_writer()("write", text="hi")
    async with sessions.tail(ID, on_abandoned="wait") as tail:
        got = [await anext(tail), await anext(tail)]
        real_writer()("abandon")
        assert await delete_session(ID, directory=sessions.directory)
        with anyio.fail_after(30):
            got += [record async for record in tail]

    assert texts(got) == ["hi"]
    assert tail.outcome is Outcome.DELETED
    with pytest.raises(SessionNotFound):
        await sessions.load(ID)


async def test_an_answer_of_the_turn_before_is_not_waited_for(store: SessionStore) -> None:
    chats = Chats(store.directory)
    chats.write(1, rows(*FIRST[:2]))
    chats.write(2, rows(*FIRST), closed=False)

    def is_answer(record: Record) -> bool:
        return isinstance(record, Chunk) and record.kind is ChunkKind.ASSISTANT

    first = await store.wait_for(name(2), is_answer, timeout=60)
    own = await store.wait_for(name(2), is_answer, timeout=60, inherited="skip")

    assert [record.text for record in (first, own) if isinstance(record, Chunk)] == ["Hi.", "No."]


async def test_reading_begins_at_any_line(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", header_line() + b"".join(chunk_line(i, f"{i}") for i in range(4)))

    cursor = await sessions.cursor_at(ID, 4)
    async with sessions.read(ID, after=cursor) as reader:
        records = [record async for record in reader]
        assert reader.line == 5

    assert texts(records) == ["2", "3"]


async def test_the_line_that_comes_next_has_a_place_too(sessions: SessionStore) -> None:
    path = put(sessions, f"{ID}.jsonl.__partial__", header_line())
    tail = sessions.tail(ID, after=await sessions.cursor_at(ID, 2))

    with path.open("ab") as file:
        file.write(chunk_line(0, "new"))

    assert texts([await anext(tail)]) == ["new"]
    await tail.aclose()


async def test_a_copy_has_lines_too(sessions: SessionStore) -> None:
    put(sessions, "copy.jsonl", session_bytes())

    assert await sessions.cursor_at(str(ID), 1)
    with pytest.raises(LineNotFound, match=r"copy\.jsonl: there is no line 5: the session has 3 "):
        await sessions.cursor_at(ID, 5)


async def test_a_line_that_cannot_be_is_refused(sessions: SessionStore) -> None:
    with pytest.raises(ValueError, match="line is more than 0, not 0"):
        await sessions.cursor_at(ID, 0)
    with pytest.raises(TypeError, match="line is a number"):
        await sessions.cursor_at(ID, "1")  # type: ignore[arg-type] # what is refused
    with pytest.raises(TypeError, match="give line= or last=, one of them"):
        await sessions.cursor_at(ID, 1, last=1)
    with pytest.raises(ValueError, match="last cannot be negative: -1"):
        await sessions.cursor_at(ID, last=-1)
    with pytest.raises(InvalidSessionId):
        await sessions.cursor_at("../x", 1)
    with pytest.raises(SessionNotFound):
        await sessions.cursor_at(ID, 1)
