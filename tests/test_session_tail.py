"""One growing file, from the first look to the outcome: every fault that one session can have."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from actors import LONG_AGO_S, Actor, drain, records_of, take
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import (
    CursorInvalid,
    Damage,
    DamageReason,
    Outcome,
    PersistenceError,
    Record,
    SessionNotFound,
    SessionStore,
    SessionTail,
    tail_session,
)
from sessiontail.format.cursor import Position
from sessiontail.session import ending
from sessiontail.session.reader import FileReader
from sessiontail.system.files import SessionFile

pytestmark = pytest.mark.anyio

ODD = "é€😀\u2028\u2029\x85\r tail"


@pytest.fixture(params=["events", "polling"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, events=request.param == "events", poll_interval_s=0.01)


async def pull(tail: SessionTail, got: list[Record], count: int) -> None:
    """Append up to ``count`` records, until the tail would wait."""
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        tail._gate = lambda moment: scope.cancel() if moment == "before waiting" else None
        for _ in range(count):
            got.append(await anext(tail))
    tail._gate = lambda _: None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_record_that_grows_byte_by_byte_appears_with_its_newline(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open() as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 1)
        line = actor.chunk(ODD)
        seen_early: list[Record] = []

        def gate(moment: str) -> None:
            # At each wait, one more byte; a record before the last one would be too early.
            if moment == "before waiting" and line[len(written) :]:
                actor.write(line[len(written) : len(written) + 1])
                written.append(1)

        written: list[int] = []
        tail._gate = gate
        got += await take(tail, 1)

        assert (len(written), seen_early, got) == (len(line), [], actor.records)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_line_cut_at_any_byte_is_withheld_then_whole(store: SessionStore) -> None:
    line = chunk_line(0, ODD)
    for cut in range(len(line)):
        directory = store.directory / str(cut)
        directory.mkdir()
        part = SessionStore(directory, events=store._place.events, poll_interval_s=0.01)
        with Actor(directory).open() as actor:
            actor.write(line[:cut])
            tail = part.tail(actor.id)
            got = await take(tail, 1)
            tail._gate = (
                lambda moment, a=actor, c=cut: (  # type: ignore[misc] # bound now
                    a.write(line[c:]) if moment == "before waiting" and a.torn == c else None
                )
            )
            got += await take(tail, 1)
            tail.close()

            assert got == records_of(header_line() + line)


async def test_a_killed_writers_torn_line_is_withheld_and_counted(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        actor.write(actor.chunk(ODD)[:60])
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.kill()
        got += await drain(tail)

        assert (got, tail.outcome, tail.torn_bytes) == (actor.records, Outcome.ABANDONED, 60)


@pytest.mark.parametrize("size", [1, 40, 400, 100_000])
@pytest.mark.parametrize("torn", [40, 100_000])
async def test_a_torn_tail_that_was_cut_off_leaves_no_stale_byte(
    store: SessionStore, size: int, torn: int
) -> None:
    with Actor(store.directory).open() as actor:
        actor.write(actor.chunk("x" * 2 * torn)[:torn])
        tail = store.tail(actor.id, on_abandoned="wait")
        got: list[Record] = []
        await pull(tail, got, 2)
        actor.kill()
        await pull(tail, got, 1)
        actor.resume(cut=True).say("y" * size, "z").close()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_records_glued_to_a_torn_line_are_one_damage(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        actor.write(b'{"record_type": "chunk", "ind')
        offset = len(actor.whole)
        tail = store.tail(actor.id, on_abandoned="wait")
        got: list[Record] = []
        await pull(tail, got, 3)
        actor.kill()
        actor.resume(cut=False).say("two").close()
        got += await drain(tail)

        glued = b'{"record_type": "chunk", "ind' + header_line().rstrip(b"\n")
        assert got == actor.records
        assert got[2] == Damage(
            line=3,
            offset=offset,
            length=len(glued) + 1,
            reason=DamageReason.INVALID_JSON,
            message=got[2].message,  # type: ignore[union-attr] # compared as a Damage
            raw=glued,
        )


async def test_a_file_renamed_with_a_torn_line_ends_and_says_how_much(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.write(trailer_line() + b'{"rec')
        actor.kill()
        actor.rename()
        got += await drain(tail)

        assert (got, tail.outcome, tail.torn_bytes) == (actor.records, Outcome.CLOSED, 5)


async def test_a_file_truncated_below_the_position_is_replaced(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one", "two") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 3)
        owed = actor.records
        actor.cut(len(header_line()))
        got += await drain(tail)

        assert (got, tail.outcome) == (owed, Outcome.REPLACED)


async def test_a_file_rewritten_at_the_same_size_is_replaced(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.wal.write_bytes(actor.data.replace(b"one", b"two"))
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.REPLACED)


async def test_another_file_under_the_name_is_replaced(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        other = store.directory / "other"
        other.write_bytes(session_bytes(5, closed=False))
        other.replace(actor.wal)
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.REPLACED)


async def test_what_was_written_before_the_deletion_is_read(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 1)
        actor.say("two")
        actor.wal.unlink()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.DELETED)


async def test_a_closed_file_is_read_to_its_end(store: SessionStore) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))

    tail = store.tail(ID)

    assert await drain(tail) == records_of(session_bytes(3))
    assert tail.outcome is Outcome.CLOSED


@pytest.mark.parametrize("seconds", [-1e9, 0.0, 1e10])
async def test_the_clock_of_the_file_has_no_effect_on_delivery(
    store: SessionStore, seconds: float
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        os.utime(actor.wal, (seconds, seconds))
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.say("two")
        os.utime(actor.wal, (seconds, seconds))
        got += await take(tail, 1)
        actor.close()
        os.utime(actor.final, (seconds, seconds))
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_odd_lines_arrive_as_the_format_says(store: SessionStore) -> None:
    odd = [
        b"\xff\xfe\n",
        b"{not json}\n",
        b"\0" * 512 + b"\n",
        b"\n",
        b"\r\n",
        chunk_line(1).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + chunk_line(2),
        chunk_line(3, "\u2028\u2029\x85"),
        chunk_line(4, float("nan")),
        b'{"record_type": "chunk", "index": 5, "kind": "user", "payload": {"content": "\\ud800"}}\n',
    ]
    with Actor(store.directory).open() as actor:
        tail = store.tail(actor.id)
        got: list[Record] = await take(tail, 1)
        for line in odd:
            actor.write(line)
            got += await take(tail, len(actor.records) - len(got))
        actor.close()
        got += await drain(tail)

        names = [r.reason.value if isinstance(r, Damage) else type(r).__name__ for r in got]
        assert names == [
            "Header",
            "invalid-utf8",
            "invalid-json",
            "invalid-json",
            "Chunk",
            "invalid-json",
            "Chunk",
            "Chunk",
            "Chunk",
            "Trailer",
        ]
        assert str(got) == str(actor.records)  # a NaN is not equal to itself


async def test_a_line_over_the_maximum_is_one_damage(tmp_path: Path, store: SessionStore) -> None:
    store._max_line_bytes = 100_000
    long = chunk_line(0, "x" * 700_000)
    with Actor(tmp_path).open() as actor:
        tail = store.tail(actor.id)
        got: list[Record] = []
        for start in range(0, len(long), 90_000):
            actor.write(long[start : start + 90_000])
            await pull(tail, got, 3)
        actor.say("after").close()
        got += await drain(tail)

        expected = records_of(header_line() + actor.data[len(header_line()) + len(long) :])
        assert [type(r).__name__ for r in got] == ["Header", "Damage", "Chunk", "Trailer"]
        assert [got[0], *got[2:]] == expected
        assert got[1] == Damage(
            line=2,
            offset=len(header_line()),
            length=len(long),
            reason=DamageReason.LINE_TOO_LONG,
            message=f"line of {len(long)} bytes, longer than max_line_bytes",
            raw=long[:4096],
        )
        assert tail.outcome is Outcome.CLOSED


@pytest.mark.parametrize("cut", [True, False])
async def test_a_writer_back_on_a_line_over_the_maximum_loses_nothing(
    tmp_path: Path, store: SessionStore, *, cut: bool
) -> None:
    store._max_line_bytes = 100_000
    with Actor(tmp_path).open() as actor:
        actor.write(b"x" * 300_000)
        tail = store.tail(actor.id, on_abandoned="wait")
        got: list[Record] = []
        await pull(tail, got, 2)
        torn = tail.torn_bytes
        actor.kill()
        actor.resume(cut=cut).say("one", "two").close()
        got += await drain(tail)

        kinds = [type(r).__name__ for r in got]
        assert (torn, kinds) == (
            300_000,
            ["Header", "Damage", "Chunk", "Chunk", "Trailer"],
        )


async def test_a_read_that_the_page_cache_cuts_short_is_no_end(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SessionFile.read_cached

    def half(self: SessionFile, offset: int, size: int) -> bytes | None:
        data = plain(self, offset, size)
        return data and data[: max(1, len(data) // 2)]

    monkeypatch.setattr(SessionFile, "read_cached", half)
    with Actor(store.directory).open().say("one", "x" * 300_000, "two") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 3)
        tail = store.tail(actor.id, after=tail.cursor)
        actor.close()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


@pytest.mark.parametrize("reads", ["cached", "in a thread"])
async def test_a_read_that_fails_is_an_error_and_the_next_try_loses_nothing(
    store: SessionStore, reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.say("two", "x" * 300_000)
        name = "preadv" if reads == "cached" else "pread"
        plain = getattr(os, name)

        def failing(fd: int, *arguments: object) -> object:
            if fd == tail.fd:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return plain(fd, *arguments)

        with monkeypatch.context() as failure:
            failure.setattr(os, name, failing)
            if reads == "in a thread":
                failure.setattr(SessionFile, "read_cached", lambda *_: None)
            said = []
            for _ in range(2):
                with pytest.raises(PersistenceError) as caught:
                    await anext(tail)
                said.append(str(caught.value))
        actor.close()
        got += await drain(tail)

        assert said == [f"{actor.wal}: Input/output error"] * 2
        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_without_a_watch_left_the_file_is_polled_and_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessiontail.system.inotify import Inotify

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Inotify, "add", full)
    with Actor(tmp_path).open().say("one") as actor:
        tail = SessionStore(tmp_path, poll_interval_s=0.01, sweep_interval_s=60).tail(actor.id)
        got = await take(tail, 2)
        late: list[Callable[[], object]] = [actor.close, lambda: actor.say("two")]

        def gate(moment: str) -> None:
            if moment == "before waiting" and late:
                late.pop()()

        tail._gate = gate
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)
        assert tail._watch is not None
        assert tail._watch.polled_because == (
            "the directory cannot be watched: No space left on device"
        )


async def test_a_slow_consumer_of_a_fast_writer_holds_no_memory(store: SessionStore) -> None:
    # 50 MB, of which the consumer takes one record for each MB.
    block = b"".join(chunk_line(i, "x" * 930) for i in range(1000))
    with Actor(store.directory).open() as actor, actor.wal.open("ab", buffering=0) as file:
        tail = store.tail(actor.id)
        await take(tail, 1)
        tracemalloc.start()
        try:
            for _ in range(50):
                file.write(block)
                await take(tail, 1)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        file.write(trailer_line(50_000))
        actor.kill()
        actor.rename()
        left = [len(batch) async for batch in tail.batches()]

        assert (sum(left), tail.outcome) == (50_000 - 50 + 1, Outcome.CLOSED)
        assert actor.final.stat().st_size > 50_000_000
        assert peak < 4_000_000


async def test_a_file_renamed_without_a_trailer_ends_though_a_writer_is_waited_for(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id, on_abandoned="wait")
        got = await take(tail, 2)
        actor.say("two")
        actor.write(b'{"record_type": "trai')
        actor.kill()
        actor.rename()
        got += await drain(tail)

        assert (got, tail.outcome, tail.torn_bytes) == (actor.records, Outcome.ABANDONED, 21)


async def test_a_session_that_is_not_there_is_an_error_that_can_be_tried_again(
    store: SessionStore,
) -> None:
    with Actor(store.directory) as actor:
        tail = store.tail(actor.id, wait=0.02)
        with pytest.raises(SessionNotFound):
            await take(tail, 1)
        actor.open()

        assert await take(tail, 1) == actor.records


async def test_a_session_written_straight_under_its_final_name_is_read_to_its_trailer(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "TRAILER_GRACE_S", 600.0)
    lines = session_bytes(3).splitlines(keepends=True)
    copy = store.directory / f"{ID}.jsonl"
    copy.write_bytes(lines.pop(0))
    tail = store.tail(ID)

    def gate(moment: str) -> None:
        if moment == "before waiting" and lines:
            with copy.open("ab") as file:
                file.write(lines.pop(0))

    tail._gate = gate
    got = await drain(tail)

    assert (got, tail.outcome) == (records_of(session_bytes(3)), Outcome.CLOSED)


@pytest.mark.parametrize("why", ["old", "quiet"])
async def test_a_final_name_without_a_trailer_ends_once_it_is_quiet_or_old(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(ending, "TRAILER_GRACE_S", 600.0 if why == "old" else 0.05)
    copy = store.directory / f"{ID}.jsonl"
    copy.write_bytes(session_bytes(3, closed=False))
    if why == "old":
        os.utime(copy, (LONG_AGO_S, LONG_AGO_S))
    tail = store.tail(ID)
    waits: list[str] = []
    tail._gate = lambda moment: waits.append(moment) if moment == "before waiting" else None
    with anyio.fail_after(30):
        got = await drain(tail)

    assert (got, tail.outcome) == (records_of(copy.read_bytes()), Outcome.ABANDONED)
    assert bool(waits) is (why == "quiet")


async def test_nothing_is_handed_over_after_close_and_the_cursor_stays(
    store: SessionStore,
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    tail = store.tail(ID)
    got = await take(tail, 2)
    tail.close()
    rest = await drain(tail)
    resumed = await drain(store.tail(ID, after=tail.cursor))

    assert (rest, got + resumed) == ([], records_of(session_bytes(3)))


async def test_closing_from_another_task_ends_the_wait(store: SessionStore) -> None:
    with Actor(store.directory).open() as actor:
        tail = store.tail(actor.id)
        got: list[Record] = []
        waits = anyio.Event()
        tail._gate = lambda moment: waits.set() if moment == "before waiting" else None
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:

                async def collect() -> None:
                    got.extend([record async for record in tail])

                tasks.start_soon(collect)
                await waits.wait()
                await anyio.wait_all_tasks_blocked()
                tail.close()

        assert (got, tail.outcome) == (actor.records, None)


@pytest.mark.parametrize("odd", ["fifo", "symlink", "socket", "directory"])
async def test_an_odd_file_under_the_name_is_an_error_not_a_hang(
    store: SessionStore, odd: str
) -> None:
    path = store.directory / f"{ID}.jsonl.__partial__"
    if odd == "fifo":
        os.mkfifo(path)
    elif odd == "symlink":
        path.symlink_to(store.directory / "elsewhere")
    elif odd == "directory":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(store.directory)
            server.bind(path.name)
    with anyio.fail_after(30), pytest.raises(PersistenceError) as caught:
        await anext(store.tail(ID))

    assert caught.value.path == path


async def test_a_name_that_is_not_utf8_is_tailed(store: SessionStore) -> None:
    path = Path(os.fsdecode(os.fsencode(store.directory) + b"/\xff\xfe.jsonl"))
    path.write_bytes(session_bytes(1))

    assert await drain(store.tail(path=path)) == records_of(session_bytes(1))


async def test_an_id_finds_the_file_that_has_another_name(store: SessionStore) -> None:
    path = store.directory / "export.jsonl.__partial__"
    path.write_bytes(session_bytes(1, closed=False))
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    tail = store.tail(ID)
    got = await drain(tail)

    assert (got, tail.outcome) == (records_of(session_bytes(1, closed=False)), Outcome.ABANDONED)


async def test_two_generations_are_told_apart_by_the_cursor(store: SessionStore) -> None:
    final = store.directory / f"{ID}.jsonl"
    final.write_bytes(session_bytes(2, created_at="2025-01-01T00:00:00+00:00"))
    old = store.tail(ID)
    got = await take(old, 2)
    with Actor(store.directory).open().say("new") as actor:
        rest = await drain(store.tail(ID, after=old.cursor))
        new = await take(store.tail(ID), 2)

        assert got + rest == records_of(final.read_bytes())
        assert new == actor.records


async def test_the_cursor_survives_every_record_the_rename_and_a_copy(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one", ODD, "x" * 300_000) as actor:
        actor.write(b"\nbad\n\n")
        tail = store.tail(actor.id)
        cursors = [tail.cursor]
        for _ in actor.records:
            await take(tail, 1)
            cursors.append(tail.cursor)
        actor.say("late").close()
        owed = actor.records
        copy = store.directory / "copy.jsonl"
        shutil.copy(actor.final, copy)
        rests = [await drain(store.tail(actor.id, after=cursor)) for cursor in cursors]
        copied = [await drain(store.tail(path=copy, after=cursor)) for cursor in cursors]

        assert rests == copied == [owed[count:] for count in range(len(cursors))]


async def test_a_cursor_that_does_not_fit_is_refused(store: SessionStore) -> None:
    from sessiontail.format.marks import fingerprint

    data = session_bytes(3)
    (store.directory / f"{ID}.jsonl").write_bytes(data)
    other = store.directory / "other.jsonl"
    other.write_bytes(session_bytes(3, session_id="4f2c0000-0000-4000-8000-00000000000f"))
    short = store.directory / "short.jsonl"
    short.write_bytes(header_line())
    tail = store.tail(ID)
    await take(tail, 3)
    middle = Position(
        500, 1, 1, False, fingerprint(data[:256]), fingerprint(data[244:500]), None
    ).encode()
    refused = []
    for path, cursor in [(other, tail.cursor), (short, tail.cursor), (tail.path, middle)]:
        with pytest.raises(CursorInvalid) as caught:
            await anext(store.tail(path=path, after=cursor))
        refused.append(caught.value.path)
    with pytest.raises(CursorInvalid):
        store.tail(ID, after=tail.cursor.replace("st1.", "st9."))

    assert refused == [other, short, tail.path]


@pytest.mark.parametrize("limit", ["descriptors", "instances", "rights"])
def test_a_tail_lives_without_inotify_and_says_what_it_lacks(tmp_path: Path, limit: str) -> None:
    program = f"""
        import os, resource, sys
        import anyio
        from sessiontail import SessionStore, PersistenceError
        from sessiontail.system import notifying
        from sessiontail.system.files import in_thread

        directory = sys.argv[2]

        def full(**_):
            raise OSError(24, os.strerror(24))

        async def main():
            other = SessionStore(directory)
            tail = SessionStore(directory).tail({str(ID)!r})
            keep = []
            if {limit!r} == "descriptors":
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
                try:
                    while True:
                        keep.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    pass
            elif {limit!r} == "instances":
                # Not used up in earnest: all processes of this user would go without.
                notifying.Inotify = full
            else:
                # Read once, so that everything is imported before the rights are gone.
                await anext(other.tail({str(ID)!r}))
                await in_thread(len, "")  # which only reads that the kernel puts off need
                os.chmod(directory + "/{ID}.jsonl", 0)
                os.setresuid(65534, 65534, 65534) if os.getuid() == 0 else None
            said = []
            for _ in range(2):
                try:
                    said.append(len([record async for record in tail]))
                except PersistenceError as error:
                    said.append(error.message)
                while keep:
                    os.close(keep.pop())
            print(said, (tail._watch.polled_because or "").partition(":")[0])

        anyio.run(main, backend=sys.argv[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    children = []
    for backend in ("asyncio", "trio"):
        (tmp_path / backend).mkdir()
        (tmp_path / backend / f"{ID}.jsonl").write_bytes(session_bytes(2))
        children.append(
            subprocess.Popen(
                [*command, backend, str(tmp_path / backend)], stdout=subprocess.PIPE, text=True
            )
        )
    said = {child.communicate(timeout=30)[0] for child in children}

    too_many = "no inotify instance"
    assert (
        said
        == {
            # What was not to be had at the first try, is at the second.
            "descriptors": {"['too many open files: raise `ulimit -n`', 4] \n"},
            "instances": {f"[4, 0] {too_many}\n"},
            "rights": {
                (
                    "['permission denied: look at its owner and mode', "
                    "'permission denied: look at its owner and mode'] the directory cannot be watched\n"
                )
            },
        }[limit]
    )


# --- so many lines before the end


@pytest.mark.parametrize("last", [0, 1, 3, 4, 1_000_000])
async def test_a_tail_begins_so_many_lines_before_the_end_and_misses_nothing_behind_it(
    store: SessionStore, last: int
) -> None:
    with Actor(store.directory).open().say("one", "two", "three") as actor:
        first = max(0, 4 - last)
        tail = store.tail(actor.id, last=last)
        got: list[Record] = []
        await pull(tail, got, 100)
        early = got.copy()
        for text in ("four", "x" * 300_000, "six"):
            actor.say(text)
            await pull(tail, got, 100)
        actor.close()
        got += await drain(tail)

        assert early == actor.records[first:4]
        assert (got, tail.outcome) == (actor.records[first:], Outcome.CLOSED)
        assert (tail.offset, tail.line) == (len(actor.data), len(actor.records))


@pytest.mark.parametrize("last", [0, 1, 2, 5, 100])
async def test_a_closed_file_is_tailed_from_so_many_lines_before_its_end(
    store: SessionStore, last: int
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    owed = records_of(session_bytes(3))
    for tail in (
        store.tail(ID, last=last),
        tail_session(ID, directory=store.directory, last=last),
    ):
        assert await drain(tail) == owed[max(0, len(owed) - last) :]
        assert tail.outcome is Outcome.CLOSED


async def test_the_end_is_the_one_that_the_file_has_when_it_is_opened(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id, last=1)
        late = ["two", "three"]

        def gate(moment: str) -> None:
            if moment == "before open":
                actor.say(*late)
                late.clear()

        tail._gate = gate
        got = await take(tail, 1)
        actor.say("four").close()
        got += await drain(tail)

        assert got == actor.records[3:]


async def test_a_session_that_is_waited_for_is_opened_so_many_lines_before_the_end_it_has_then(
    store: SessionStore,
) -> None:
    with Actor(store.directory) as actor:
        tail = store.tail(actor.id, last=2, wait=True)
        got: list[Record] = []
        await pull(tail, got, 1)
        aside = store.directory / "aside"
        aside.write_bytes(session_bytes(5))
        aside.rename(actor.final)
        got += await drain(tail)

        assert (got, tail.outcome) == (records_of(session_bytes(5))[-2:], Outcome.CLOSED)


@pytest.mark.parametrize("last", [0, 1])
async def test_a_wal_without_a_whole_header_yet_is_tailed_from_its_start(
    store: SessionStore, last: int
) -> None:
    with Actor(store.directory).open(header=False) as actor:
        line = header_line()
        actor.write(line[:50])
        tail = store.tail(actor.id, last=last)
        got: list[Record] = []
        await pull(tail, got, 1)
        actor.write(line[50:])
        actor.say("one").close()
        got += await drain(tail)

        assert (got, tail.outcome, tail.header) == (actor.records, Outcome.CLOSED, got[0])


async def test_a_torn_line_at_the_end_comes_once_it_is_whole_and_is_none_of_the_last(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one", "two") as actor:
        line = actor.chunk(ODD)
        actor.write(line[:-20])
        tail = store.tail(actor.id, last=1)
        got: list[Record] = []
        await pull(tail, got, 2)
        early = got.copy()
        actor.write(line[-20:])
        actor.close()
        got += await drain(tail)

        assert early == actor.records[2:3]
        assert got == actor.records[2:]


async def test_a_torn_tail_that_is_cut_off_behind_the_last_leaves_no_stale_byte(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one", "two") as actor:
        actor.write(actor.chunk("x" * 1_000)[:700])
        tail = store.tail(actor.id, last=0, on_abandoned="wait")
        got: list[Record] = []
        await pull(tail, got, 1)
        actor.kill()
        await pull(tail, got, 1)
        early = len(actor.records)
        actor.resume(cut=True).say("three").close()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records[early:], Outcome.CLOSED)


@pytest.mark.parametrize("last", [0, 2])
async def test_a_cursor_taken_when_the_file_was_opened_stands_before_what_was_to_come(
    store: SessionStore, last: int
) -> None:
    with Actor(store.directory).open().say("one", "two", "three") as actor:
        tail = store.tail(actor.id, last=last)
        # What was read and not handed over does not move it.
        opened: list[str] = []
        begin = tail._begin

        def begun(reader: FileReader, position: Position) -> None:
            begin(reader, position)
            opened.append(tail.cursor)

        tail._begin = begun  # type: ignore[method-assign] # the moment has no gate
        await pull(tail, [], 1)
        tail.close()
        actor.say("four").close()
        resumed = store.tail(actor.id, after=opened[0])
        got = await drain(resumed)

        assert (got, resumed.outcome) == (actor.records[4 - last :], Outcome.CLOSED)
        assert len(opened) == 1


async def test_a_cursor_taken_while_nothing_of_the_last_was_asked_for_yet_goes_on_behind_them(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id, last=0)
        got: list[Record] = []
        await pull(tail, got, 1)
        cursor = tail.cursor
        actor.say("two")
        resumed = store.tail(actor.id, after=cursor)
        actor.close()

        assert got == []
        assert await drain(resumed) == await drain(tail) == actor.records[2:]


async def test_a_file_cut_below_where_its_last_lines_began_is_replaced(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open().say("one", "two") as actor:
        tail = store.tail(actor.id, last=1)
        got = await take(tail, 1)
        owed = actor.records[-1:]
        actor.cut(len(header_line()))
        got += await drain(tail)

        assert (got, tail.outcome) == (owed, Outcome.REPLACED)


async def test_the_header_is_none_where_it_was_left_out(store: SessionStore) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    tail = store.tail(ID, last=2)
    await drain(tail)

    assert tail.header is None
