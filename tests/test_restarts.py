"""A consumer that goes and comes back reads on exactly where its stored cursor stands."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from actors import Actor, WriterServer, heard, nothing_more, owed, records_of
from samples import header_line
from sessiontail import CursorInvalid, Record, SessionStore

pytestmark = pytest.mark.anyio


async def test_a_cursor_taken_behind_any_record_goes_on_with_the_next(store: SessionStore) -> None:
    actors = [Actor(store.directory, UUID(int=n + 1)).open().say("é", "\u2028") for n in range(3)]
    actors[0].write(b"damage\n")
    total = sum(len(actor.records) for actor in actors)
    for before in range(total + 1):
        async with store.tail_all() as tail:
            got = await heard(tail, before)
            await tail._following.begin()
            cursor = tail.cursor
        async with store.tail_all(after=cursor) as tail:
            rest = await heard(tail, total - before)
            assert await nothing_more(tail, 0.01)
            for session_id, records in rest.items():
                got.setdefault(session_id, []).extend(records)

        assert got == owed(*actors)


async def test_what_happened_while_the_consumer_was_away_is_made_up_for(
    store: SessionStore,
) -> None:
    closes, dies, goes, stays, again = (
        Actor(store.directory, UUID(int=n + 1)).open().say("one") for n in range(5)
    )
    async with store.tail_all() as tail:
        await heard(tail, 10)
        cursor = tail.cursor
    closes.say("two").close()
    dies.say("two").kill()
    goes.kill()
    goes.wal.unlink()
    stays.say("two")
    again.say("two").close()
    life = Actor(store.directory, again.id).open().say("three")
    new = Actor(store.directory, UUID(int=6)).open().say("one")
    brief = Actor(store.directory, UUID(int=7)).open().say("one")
    brief.close()
    async with store.tail_all(after=cursor) as tail:
        got = await heard(tail, 2 + 1 + 1 + 2 + 2 + 2 + 3)
        assert await nothing_more(tail)
        cursor = tail.cursor

    assert got == {
        closes.id: closes.records[2:],
        dies.id: dies.records[2:],
        stays.id: stays.records[2:],
        again.id: again.records[2:] + life.records,
        **owed(new, brief),
    }
    async with store.tail_all(after=cursor) as tail:
        assert await nothing_more(tail)


async def test_a_session_rewritten_while_the_consumer_was_away_begins_anew(
    store: SessionStore,
) -> None:
    actor = Actor(store.directory).open().say("one", "two")
    async with store.tail_all() as tail:
        await heard(tail, 3)
        cursor = tail.cursor
    actor.cut(0)
    actor.write(header_line(note="another"))
    actor.say("words", "words", "words")
    async with store.tail_all(after=cursor) as tail:
        assert await heard(tail, 4) == owed(actor)


async def test_sessions_that_were_closed_before_stay_left_out(store: SessionStore) -> None:
    Actor(store.directory, UUID(int=1)).open().say("old").close()
    async with store.tail_all() as tail:
        assert await nothing_more(tail)
        cursor = tail.cursor
    actor = Actor(store.directory, UUID(int=2)).open()
    async with store.tail_all(after=cursor) as tail:
        assert await heard(tail, 1) == owed(actor)
        assert await nothing_more(tail)


async def test_a_cursor_is_compact(tmp_path: Path) -> None:
    for n in range(200):
        actor = Actor(tmp_path, UUID(int=random.Random(n).getrandbits(128))).open().say("one")
        if n % 2:
            actor.close()
        else:
            actor.kill()
    async with SessionStore(tmp_path).tail_all(include_closed=True) as tail:
        await heard(tail, 200 * 2 + 100)
        await nothing_more(tail, 0.2)
        size = len(tail.cursor) / 200

    assert size < 120, size


@pytest.mark.parametrize("token", ["", "st1d.", "st3d.abcd", "st1d.abcd", "st1.AAAA"])
def test_a_token_that_is_no_directory_cursor_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(CursorInvalid):
        SessionStore(tmp_path).tail_all(after=token)


async def test_a_damaged_cursor_is_refused(tmp_path: Path) -> None:
    Actor(tmp_path).open().say("one").kill()
    async with SessionStore(tmp_path).tail_all() as tail:
        await heard(tail, 2)
        cursor = tail.cursor
    for cut in range(len(cursor)):
        with pytest.raises(CursorInvalid):
            SessionStore(tmp_path).tail_all(after=cursor[:cut])


@settings(max_examples=20)
@given(data=st.data())
async def test_any_number_of_restarts_gives_each_record_once(
    tmp_path: Path, data: st.DataObject
) -> None:
    directory = tmp_path / str(time.monotonic_ns())
    directory.mkdir()
    store = SessionStore(directory, poll_interval_s=0.01)
    actors = [Actor(directory, UUID(int=n + 1)).open() for n in range(4)]
    got: dict[UUID, list[Record]] = {}
    cursor: str | None = None
    for turn in range(4):
        for actor in actors:
            if actor.writing:
                actor.say(*("é" * n for n in range(data.draw(st.integers(0, 3)))))
                if data.draw(st.booleans()) and turn:
                    actor.close()
        left = sum(len(a.records) for a in actors) - sum(map(len, got.values()))
        count = left if turn == 3 else data.draw(st.integers(0, left))
        async with store.tail_all(after=cursor, include_closed=True) as tail:
            for session_id, records in (await heard(tail, count)).items():
                got.setdefault(session_id, []).extend(records)
            cursor = tail.cursor
    for actor in actors:
        actor.kill()

    assert got == owed(*actors)


_CONSUMER = """
import anyio, json, os, sys
from pathlib import Path
from sessiontail import Damage, SessionStore
home, log, state, backend, events = sys.argv[1:]
async def main():
    # Both at once, atomically: how long the log is, and the cursor behind its last line.
    length, cursor = json.loads(Path(state).read_text()) if Path(state).exists() else (0, None)
    out = open(log, "ab")
    out.truncate(length)
    out.seek(length)
    store = SessionStore(home, events=events == "events", poll_interval_s=0.01)
    async with store, store.tail_all(after=cursor, include_closed=True) as tail:
        count = 0
        async for session_id, record in tail:
            out.write(f"{session_id} {type(record).__name__} {getattr(record, 'text', '')!r}\\n".encode())
            count += 1
            if count % 7 == 0:
                out.flush()
                os.fsync(out.fileno())
                Path(state + ".new").write_text(json.dumps([out.tell(), tail.cursor]))
                os.replace(state + ".new", state)
            if count % 100 == 0:
                out.flush()
anyio.run(main, backend=backend)
"""


@pytest.mark.parametrize(
    ("wake", "count"),
    [
        ("events", 10),
        pytest.param("events", 100, marks=pytest.mark.slow),
        pytest.param("polling", 100, marks=pytest.mark.slow),
    ],
)
async def test_a_consumer_killed_at_any_moment_goes_on_from_its_stored_cursor(
    tmp_path: Path, anyio_backend_name: str, wake: str, count: int
) -> None:
    rng = random.Random(f"{anyio_backend_name} {wake}")
    log, state = tmp_path / "log", tmp_path / "state"
    sessions = tmp_path / "sessions"
    names = [UUID(int=rng.getrandbits(128)) for _ in range(count)]
    command = [sys.executable, "-c", _CONSUMER, str(sessions), str(log), str(state)]
    command += [anyio_backend_name, wake]
    with WriterServer(tmp_path) as server:
        for n, name in enumerate(names):
            job = {"kill_at_byte": rng.randrange(400, 4000)} if n % 4 == 0 else {}
            server.start(id=str(name), seed=n, chunks=20, **job)
            if n % max(5, count // 4) == 4:
                with subprocess.Popen(command) as consumer:
                    time.sleep(rng.uniform(0.3, 0.6))
                    consumer.kill()
    expected = {
        UUID(path.name.split(".")[0]): [
            f"{type(record).__name__} {getattr(record, 'text', '')!r}"
            for record in records_of(path.read_bytes())
        ]
        for path in sessions.iterdir()
    }
    total = sum(map(len, expected.values()))
    with subprocess.Popen(command) as consumer:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if log.exists() and log.read_bytes().count(b"\n") >= total - total % 100:
                break
            time.sleep(0.05)
        time.sleep(0.2)
        consumer.kill()
    # What a last, finite pass still finds behind the stored cursor.
    length, cursor = json.loads(state.read_text())
    got: dict[UUID, list[str]] = {}
    for line in log.read_bytes()[:length].decode().splitlines():
        whose, _, rest = line.partition(" ")
        got.setdefault(UUID(whose), []).append(rest)
    async with SessionStore(sessions).tail_all(after=cursor, include_closed=True) as tail:
        left = total - sum(map(len, got.values()))
        for session_id, records in (await heard(tail, left)).items():
            for record in records:
                text = f"{type(record).__name__} {getattr(record, 'text', '')!r}"
                got.setdefault(session_id, []).append(text)
        assert await nothing_more(tail)

    assert len(expected) == count
    assert got == expected
    assert log.stat().st_size >= length > 0
