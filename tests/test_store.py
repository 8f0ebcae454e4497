from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import Actor, Counts, drain, heard, held_of, owed, take
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    ChunkKind,
    CursorInvalid,
    DamagedSession,
    DamageReason,
    Header,
    InvalidSessionId,
    Outcome,
    PersistenceError,
    Record,
    SessionEnded,
    SessionNotFound,
    SessionState,
    SessionStore,
    SessionTail,
    TokenUsage,
    Trailer,
    delete_session,
    list_persisted_sessions,
    load_session,
    read_session,
    store,
    tail_session,
)
from sessiontail.directory.plan import PrunePlan
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


async def test_the_functions_do_what_the_store_does(sessions: SessionStore) -> None:
    put(sessions, f"{ID}.jsonl", session_bytes(2))
    directory = sessions.directory

    assert await load_session(ID, directory=directory) == await sessions.load(ID)
    assert await list_persisted_sessions(directory=directory) == await sessions.list()
    records = [record async for record in sessions.read(ID)]
    assert [record async for record in read_session(ID, directory=directory)] == records
    assert [record async for record in tail_session(str(ID), directory=directory)] == records


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

    monkeypatch.setattr(store, "load_file", rename_and_load)

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
            await sessions.wait_for(ID, predicate)  # type: ignore[arg-type]

    assert str(caught.value).endswith("that returns at once, not an `async def`")


async def test_a_cursor_that_is_no_text_is_refused(sessions: SessionStore) -> None:
    calls: list[Callable[..., object]] = [
        partial(sessions.tail, ID),
        partial(sessions.read, ID),
        sessions.tail_all,
    ]

    for call in calls:
        for after in (3, b"st2.x"):
            with pytest.raises(CursorInvalid) as caught:
                call(after=after)
            assert str(caught.value) == f"a cursor is text, not {type(after).__name__}"


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        ({"on_missing": "raise"}, ValueError, "on_missing is 'wait' or 'error', not 'raise'"),
        ({"last": -1}, ValueError, "last cannot be negative: -1"),
        ({"last": "3"}, TypeError, "last is an int, not str '3'"),
        ({"kinds": "user"}, TypeError, "kinds: give a collection, such as ['user']"),
        ({"kinds": ChunkKind.USER}, TypeError, "kinds: give a collection, such as ['user']"),
    ],
)
async def test_an_option_of_tail_all_that_cannot_be_meant_is_refused_by_name(
    sessions: SessionStore, option: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        sessions.tail_all(**option)

    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        ({"max_line_bytes": -1}, ValueError, "max_line_bytes is more than 0, not -1"),
        ({"max_line_bytes": "1k"}, TypeError, "max_line_bytes is a number, not str '1k'"),
        ({"sweep_interval_s": 0}, ValueError, "sweep_interval_s is more than 0, not 0"),
        ({"poll_interval_s": -0.5}, ValueError, "poll_interval_s is more than 0, not -0.5"),
        ({"poll_interval_s": None}, TypeError, "poll_interval_s is a number, not NoneType None"),
        ({"poll_interval_s": float("nan")}, ValueError, "poll_interval_s is more than 0, not nan"),
    ],
)
async def test_a_store_with_a_number_that_cannot_be_meant_is_not_made(
    tmp_path: Path, option: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        SessionStore(tmp_path, **option)

    assert str(caught.value) == told


CALLS: dict[str, Callable[..., Any]] = {
    "meta": lambda store, **which: store.meta(**which),
    "load": lambda store, **which: store.load(**which),
    "read": lambda store, **which: anext(store.read(**which)),
    "tail": lambda store, **which: anext(store.tail(**which)),
    "delete": lambda store, **which: store.delete(**which),
}


@pytest.mark.parametrize("call", [*CALLS, "list", "plan_prune", "prune"])
@pytest.mark.parametrize("directory", ["file", "x" * 300])
async def test_a_directory_that_is_none_is_one_line_of_error(
    tmp_path: Path, directory: str, call: str
) -> None:
    (tmp_path / "file").touch()
    store = SessionStore(tmp_path / directory)
    calls: dict[str, Callable[[], Any]] = {
        "list": store.list,
        "plan_prune": partial(store.plan_prune, keep_last=0),
        "prune": partial(store.prune, PrunePlan((), ())),
        **{name: partial(CALLS[name], store, session_id=ID) for name in CALLS},
    }

    with pytest.raises(PersistenceError) as caught:
        await calls[call]()

    assert str(caught.value).startswith(str(tmp_path / directory))
    assert caught.value.message in ("Not a directory", "File name too long") or (
        caught.value.message.startswith("no such")
    )


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


@pytest.mark.parametrize("name", ["x" * 300, "a" * 300 + "/b"])
async def test_an_openrath_home_with_a_name_too_long_is_an_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path / name))

    with pytest.raises(PersistenceError, match="File name too long"):
        await list_persisted_sessions()


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


async def test_an_entered_store_shares_one_watcher_and_gives_everything_back(
    tmp_path: Path,
) -> None:
    for n in range(20):
        (tmp_path / f"{UUID(int=n)}.jsonl").write_bytes(session_bytes(session_id=UUID(int=n)))
    await SessionStore(tmp_path).list()
    before = held_of(tmp_path)
    async with SessionStore(tmp_path) as sessions:
        entered = held_of(tmp_path)
        tails = [sessions.tail(UUID(int=n)) for n in range(20)]
        for tail in tails:
            await anext(tail)
        opened = held_of(tmp_path)
        for tail in tails:
            tail.close()

        assert (len(entered) - len(before), len(opened) - len(entered)) == (1, 20)
        assert sessions.polled_because is None
    assert held_of(tmp_path) == before


async def test_an_error_leaves_an_entered_store_as_it_was_raised(sessions: SessionStore) -> None:
    with pytest.raises(SessionNotFound):
        async with sessions:
            await sessions.load(ID)


async def test_an_openrath_home_that_is_a_file_is_one_line_of_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path / "file"))

    with pytest.raises(PersistenceError, match="is not a directory; set it to one, or unset it"):
        SessionStore()


async def test_openrath_home_is_where_sessions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    (tmp_path / "sessions").mkdir()
    path = tmp_path / "sessions" / f"{ID}.jsonl"
    path.write_bytes(session_bytes())

    assert (await load_session(ID)).path == path
    assert [meta.id for meta in await list_persisted_sessions()] == [ID]


@pytest.mark.parametrize("events", [True, False])
async def test_tails_go_on_when_their_store_is_left(tmp_path: Path, *, events: bool) -> None:
    store = SessionStore(tmp_path, events=events, sweep_interval_s=60, poll_interval_s=0.01)
    actors = [Actor(tmp_path, UUID(int=n + 1)).open() for n in range(30)]
    tails = [store.tail(actor.id) for actor in actors]
    every = store.tail_all()
    waiting = store.tail(UUID(int=99), wait=True)
    later = Actor(tmp_path, UUID(int=99))
    got: list[list[Record]] = []
    async with anyio.create_task_group() as tasks:

        async def listen(tail: SessionTail, count: int) -> None:
            got.append(await take(tail, count))

        async with store:
            assert await heard(every, len(actors)) == owed(*actors)
            for tail in tails:
                await take(tail, 1)
                tasks.start_soon(listen, tail, 1)
            tasks.start_soon(listen, waiting, 2)
            await wait_all_tasks_blocked()
        for actor in (*actors, later.open()):
            actor.say("after it was left")
        assert len(await heard(every, len(actors) + 2)) == len(actors) + 1
    for actor, tail in zip(actors, tails, strict=True):
        actor.close()
        assert await drain(tail) == actor.records[-1:]
        assert tail.outcome is Outcome.CLOSED
    await heard(every, len(actors))
    every.close()
    waiting.close()

    assert sorted(map(len, got)) == [1] * len(actors) + [2]
    if events:  # nothing had to be looked for
        assert store.stats.missed == 0


async def test_a_store_that_is_left_leaves_no_watch_behind_its_last_tail(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open()
    before = Counts.now()
    store = SessionStore(tmp_path)
    async with store:
        tail = store.tail(actor.id)
        await take(tail, 1)
    during = Counts.now()
    tail.close()

    assert during[1] == before[1] + 1
    assert Counts.at_rest(before) == before


async def test_a_store_may_be_entered_by_several_tasks_and_again(tmp_path: Path) -> None:
    actor = Actor(tmp_path).open().say("one")
    store = SessionStore(tmp_path)
    before = Counts.now()
    left = 0

    async def work(first: anyio.Event, second: anyio.Event) -> None:
        nonlocal left
        async with store:
            first.set()
            await second.wait()
            async with store:  # again, inside
                await store.wait_for(actor.id, lambda record: isinstance(record, Chunk))
            assert store.polled_because is None
        left += 1

    a, b, c = (anyio.Event() for _ in range(3))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, a, b)
        tasks.start_soon(work, b, c)
        await a.wait()
        c.set()

    assert left == 2
    assert store._place._held == []
    assert Counts.at_rest(before) == before


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_a_store_may_be_entered_on_two_event_loops_at_once(
    tmp_path: Path, other: str
) -> None:
    actor = Actor(tmp_path).open()
    before = Counts.now()
    store = SessionStore(tmp_path, sweep_interval_s=60)
    heard_there: list[Record] = []
    ready = threading.Event()

    async def there() -> None:
        async with store, store.tail(actor.id) as tail:
            heard_there.extend(await take(tail, 1))
            ready.set()
            heard_there.extend(await take(tail, 1))

    thread = threading.Thread(target=anyio.run, args=(there,), kwargs={"backend": other})
    async with store, store.tail(actor.id) as tail:
        got = await take(tail, 1)
        thread.start()
        await anyio.to_thread.run_sync(ready.wait, 30)
        actor.say("one")
        got += await take(tail, 1)
        await anyio.to_thread.run_sync(thread.join, 30)

    assert got == heard_there == actor.records
    assert store._place._held == []
    assert Counts.at_rest(before) == before
