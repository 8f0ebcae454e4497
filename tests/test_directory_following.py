"""Every record of every session of a directory once, in order, whatever happens to the files."""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import math
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import (
    LONG_AGO_S,
    Actor,
    Counts,
    cancelled_at,
    heard,
    held_of,
    lanes,
    nothing_more,
    owed,
    records_of,
    resting,
)
from bursts import Burst
from cold import Blocked, cold_disk
from samples import ID, chunk_line, header_line, session_bytes
from sessiontail import (
    DirectoryTail,
    EventKind,
    Header,
    Record,
    SessionNotFound,
    SessionState,
    SessionStore,
    Trailer,
)
from sessiontail.directory import following, holding, lane as lane_module, opening
from sessiontail.directory.schedule import Turn
from sessiontail.directory.turns import Turns
from sessiontail.format.cursor import Position
from sessiontail.session import ending, generations, long_line
from sessiontail.session.reader import FileReader
from sessiontail.system import survey, surveying
from sessiontail.system.files import SessionFile
from sessiontail.system.threads import MOST_AT_A_PLACE

pytestmark = pytest.mark.anyio


@pytest.fixture
def trusting(tmp_path: Path) -> SessionStore:
    """A store that hardly looks by itself: what its tails get was told."""
    return SessionStore(tmp_path, sweep_interval_s=60)


def at(tail: DirectoryTail, moment: str, *actions: Callable[[], object]) -> None:
    """Run the first action when the tail first comes to the moment, the second at the next."""
    waiting = list(actions)
    before = tail._gate

    def gate(name: str) -> None:
        before(name)
        if name == moment and waiting:
            waiting.pop(0)()

    tail._gate = gate


def ids(count: int) -> list[UUID]:
    return [UUID(int=number + 1) for number in range(count)]


async def settled(tail: DirectoryTail, condition: Callable[[], bool]) -> None:
    """Pull, and expect no record, until the condition holds: at one moment, for a late event of
    what has ended is looked into once more.
    """
    held = False
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        before = tail._gate

        def gate(name: str) -> None:
            nonlocal held
            before(name)
            if condition():
                held = True
                scope.cancel()

        tail._gate = gate
        try:
            raise AssertionError(await anext(tail))
        finally:
            tail._gate = before
    assert held


async def test_sessions_that_run_and_that_appear_later_are_all_heard(store: SessionStore) -> None:
    first = Actor(store.directory, ids(2)[0]).open().say("one")
    async with store, store.tail_all() as tail:
        got = await heard(tail, 2)
        second = Actor(store.directory, ids(2)[1]).open().say("two")
        first.say("three").close()
        second.close()
        for session_id, records in (await heard(tail, 5)).items():
            got.setdefault(session_id, []).extend(records)

        assert got == owed(first, second)
        assert await nothing_more(tail)


@pytest.mark.parametrize("moment", ["before scan", "after scan", "before waiting"])
async def test_a_session_made_and_closed_at_a_stroke_is_whole(
    trusting: SessionStore, moment: str
) -> None:
    actor = Actor(trusting.directory)
    async with trusting, trusting.tail_all() as tail:
        at(tail, moment, lambda: actor.open().say("one", "two").close())

        assert await heard(tail, 4) == owed(actor)
        assert await nothing_more(tail)


@pytest.mark.parametrize("moment", ["after scan", "before waiting"])
async def test_a_session_made_and_closed_at_a_stroke_is_whole_without_events(
    store: SessionStore, moment: str
) -> None:
    actor = Actor(store.directory)
    async with store.tail_all() as tail:
        at(tail, moment, lambda: actor.open().say("one", "two").close())

        assert await heard(tail, 4) == owed(actor)


@pytest.mark.parametrize(
    "moment", ["before open", "end met", "wal name looked at", "verdict formed"]
)
async def test_a_close_at_any_moment_of_a_look_loses_nothing(
    store: SessionStore, moment: str
) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        if moment in ("wal name looked at", "verdict formed"):
            assert await heard(tail, 2) == owed(actor)
            actor.finish()
            await heard(tail, 1)
            if moment == "verdict formed":
                actor.rename()
                actor.wal.touch()  # another generation, empty
                os.utime(actor.wal, (LONG_AGO_S, LONG_AGO_S))
                at(tail, moment, actor.wal.unlink)
            else:
                aside = store.directory / "aside"
                actor.wal.rename(aside)
                at(tail, moment, lambda: aside.rename(actor.final))
            await settled(tail, lambda: not tail.session_ids)
            return
        at(tail, moment, lambda: actor.say("two").close())

        assert await heard(tail, 4) == owed(actor)
        assert await nothing_more(tail)


async def test_sessions_closed_before_are_left_out_unless_asked_for(store: SessionStore) -> None:
    closed = Actor(store.directory, ids(2)[0]).open().say("old")
    closed.close()
    live = Actor(store.directory, ids(2)[1]).open()
    async with store, store.tail_all() as tail, store.tail_all(include_closed=True) as every:
        assert await heard(tail, 1) == owed(live)
        assert await heard(every, 4) == owed(closed, live)
        assert await nothing_more(tail)
        assert await nothing_more(every)


async def test_an_abandoned_session_goes_on_when_a_writer_comes_back(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        got = (await heard(tail, 2))[ID]
        actor.write(actor.chunk("torn")[:30])
        actor.kill()
        await settled(tail, lambda: tail.open_files == 0)
        actor.resume(cut=True).say("two").close()
        got += (await heard(tail, 3))[ID]

        assert got == actor.records


async def test_a_session_renamed_without_a_trailer_and_reopened_is_heard_while_it_runs(
    store: SessionStore,
) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    first.open().say("one")
    async with store, store.tail_all() as tail:
        got = (await heard(tail, 2))[ID]
        first.kill()
        first.rename()
        await settled(tail, lambda: tail.open_files == 0)
        second.open().say("two")
        got += (await heard(tail, 2))[ID]

        assert got == first.records + second.records
        assert await nothing_more(tail)


async def test_a_session_renamed_without_a_trailer_hides_no_wal_that_is_there_already(
    store: SessionStore,
) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    first.open().say("one")
    first.kill()
    first.rename()
    second.open().say("two")
    async with store, store.tail_all(include_closed=True) as tail:
        assert (await heard(tail, 4))[ID] == first.records + second.records


async def test_a_session_copied_into_the_directory_bit_by_bit_starts_and_is_closed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "TRAILER_GRACE_S", 600.0)
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        assert await nothing_more(tail)
        with (store.directory / f"{ID}.jsonl").open("wb", buffering=0) as copy:
            for line in session_bytes(3).splitlines(keepends=True):
                copy.write(line)
                assert (await heard(tail, 1))[ID]
                await settled(tail, lambda: resting(tail))
        await settled(tail, lambda: not tail.session_ids)

    assert told == ["started", "closed"]


async def test_a_session_under_its_final_name_is_not_abandoned_while_somebody_holds_it(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "TRAILER_GRACE_S", 0.0)
    monkeypatch.setattr(ending, "FAILED_RECHECK_S", 0.01)
    actor = Actor(store.directory).open().say("one")
    actor.rename()  # and it writes on, with its lock
    told: list[str] = []
    events = store.tail_all(include_closed=True, on_event=lambda _, news: told.append(news))
    async with store, events as tail:
        await heard(tail, 2)
        assert await nothing_more(tail)
        actor.say("two")
        await heard(tail, 1)
        assert await nothing_more(tail)
        assert told == ["started"]
        actor.kill()
        await settled(tail, lambda: "abandoned" in told)

    assert told == ["started", "abandoned"]


async def test_a_stream_that_is_closed_by_what_it_tells_ends(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store:
        tail = store.tail_all(on_event=lambda *_: tail.close())
        with anyio.fail_after(30), pytest.raises(StopAsyncIteration):
            await anext(tail)
    actor.kill()


async def test_a_directory_that_was_absent_when_a_step_was_cut_short_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SessionStore(tmp_path / "sessions", poll_interval_s=600)
    plain, looked, released = survey.survey, threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> Any:
        found = plain(*args, **options)
        looked.set()
        released.wait(30)
        return found

    monkeypatch.setattr(surveying, "survey", slow)
    async with store, store.tail_all(on_missing="error", include_closed=True) as tail:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anext, tail)
                while not looked.is_set():
                    await checkpoint()
                tasks.cancel_scope.cancel()
            actor = Actor(store.directory)
            store.directory.mkdir()
            actor.open()
            released.set()

            assert await heard(tail, 1) == owed(actor)


@pytest.mark.parametrize("tells", ["an event", "its time"])
async def test_a_verdict_that_is_due_while_a_thread_looks_is_given_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: str
) -> None:
    store = SessionStore(tmp_path, sweep_interval_s=600)
    actor = Actor(tmp_path).open()
    cold, entered, released = False, threading.Event(), threading.Event()
    plain = FileReader.next_batch

    def slow(self: FileReader, *, block: bool, thorough: bool = False) -> Any:
        if cold and not block:
            raise BlockingIOError
        if cold:
            entered.set()
            released.wait(30)
        return plain(self, block=block, thorough=thorough)

    monkeypatch.setattr(FileReader, "next_batch", slow)
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        await heard(tail, 1)
        await settled(tail, lambda: resting(tail, judged=True))
        (lane,) = lanes(tail)
        cold = True
        actor.write(b'{"half')
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anext, tail)
                while not entered.is_set():
                    await checkpoint()
                engine = tail._following
                assert engine._subscription is not None
                if tells == "an event":
                    actor.kill()
                else:
                    engine._schedule.look_at(lane, time.monotonic())
                    engine._subscription.signal.set()
                while not lane.judge:
                    await checkpoint()
                if tells != "an event":
                    engine._subscription.close()  # nothing is told from here on
                    actor.kill()
                cold = False
                released.set()
                while told != ["started", "abandoned"]:
                    await checkpoint()
                tasks.cancel_scope.cancel()


async def test_verdicts_that_come_due_together_put_off_nobody_who_has_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "TRAILER_GRACE_S", 600.0)
    store = SessionStore(tmp_path, sweep_interval_s=600)
    copies = [Actor(tmp_path, UUID(int=n + 1)).open() for n in range(300)]
    for actor in copies:
        actor.rename()
    live = Actor(tmp_path).open()
    turns: list[str] = []
    async with store, store.tail_all(include_closed=True) as tail:
        await heard(tail, 301)
        await settled(tail, lambda: resting(tail))
        due = [lane for lane in lanes(tail) if lane.due_s < math.inf]
        assert len(due) >= 300
        for one in due:
            tail._following._schedule.look_at(one, time.monotonic())
        plain = Turns.take

        def take(self: Turns, turn: Turn[Any], now_s: float) -> None:
            turns.append(turn.slot.stem)
            plain(self, turn, now_s)

        monkeypatch.setattr(Turns, "take", take)
        monkeypatch.setattr(following, "MAX_HOLD_S", 0.0)
        live.say("word")
        assert await heard(tail, 1) == {live.id: live.records[-1:]}

        assert len(turns) < 100
    for actor in (*copies, live):
        actor.kill()


async def test_a_rename_that_no_event_tells_ends_a_session(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, events=False, poll_interval_s=0.01)
    actor = Actor(tmp_path).open().say("one")
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        await heard(tail, 2)
        actor.kill()
        actor.rename()
        await settled(tail, lambda: tail.open_files == 0)

    assert told == ["started", "abandoned"]


async def test_a_wal_that_took_the_name_of_one_still_written_is_heard(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, events=False, poll_interval_s=0.01)
    first, second = Actor(tmp_path), Actor(tmp_path)
    first.open().say("one")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(first)
        first.wal.unlink()
        second.open().say("two")
        at(tail, "end met", lambda: first.say("late"))
        got: list[Record] = []
        while second.records[-1] not in got:
            got += (await heard(tail, 1))[ID]

        assert [record for record in got if record in second.records] == second.records


async def test_a_held_session_moved_aside_behind_its_trailer_has_not_ended(
    tmp_path: Path,
) -> None:
    store = SessionStore(tmp_path, poll_interval_s=0.01)
    actor = Actor(tmp_path).open().say("one")
    actor.finish()
    actor.resume(cut=False).say("again")
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        got = (await heard(tail, len(actor.records)))[ID]
        actor.wal.rename(tmp_path / "aside")
        assert await nothing_more(tail, 0.5)
        (tmp_path / "aside").rename(actor.wal)
        actor.say("more")
        got += (await heard(tail, 1))[ID]

        assert (got, told) == (actor.records, ["started"])
        assert await nothing_more(tail)


async def test_a_function_that_raises_at_an_event_loses_no_record(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "two")

    def refuse(_: UUID, news: str) -> None:
        raise LookupError(news)

    async with store, store.tail_all(on_event=refuse) as tail:
        with pytest.raises(LookupError, match="started"):
            await anext(tail)

        assert await heard(tail, 3) == owed(actor)


async def test_the_end_of_a_session_is_told_while_others_come_and_go(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, events=False, poll_interval_s=0.01)
    victim, *others = (Actor(tmp_path, session_id) for session_id in ids(400))
    victim.open().say("one")
    told: dict[UUID, list[str]] = {}
    async with (
        store,
        store.tail_all(on_event=lambda who, news: told.setdefault(who, []).append(news)) as tail,
    ):
        await heard(tail, 2)
        victim.kill()
        for other in others:
            other.open()
            await heard(tail, 1)
            other.kill()
            other.wal.unlink()
            if told[victim.id] == ["started", "abandoned"]:
                break

    assert told[victim.id] == ["started", "abandoned"]


async def test_a_deleted_session_made_again_begins_anew(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(actor)
        actor.kill()
        actor.wal.unlink()
        await settled(tail, lambda: not tail.session_ids)
        again = Actor(store.directory).open().say("other", "words")

        assert await heard(tail, 3) == owed(again)


async def test_a_rewritten_session_begins_anew_with_its_header(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(actor)
        actor.cut(0)
        actor.write(header_line(created_at="2026-02-02T00:00:00+00:00"))
        actor.say("another story", "longer than the first")

        assert await heard(tail, 3) == owed(actor)


async def test_a_session_reopened_before_its_close_was_judged_is_heard(
    trusting: SessionStore,
) -> None:
    first, second = Actor(trusting.directory), Actor(trusting.directory)
    first.open().say("one")
    async with trusting, trusting.tail_all() as tail:
        got = (await heard(tail, 2))[ID]

        def reopen() -> None:
            first.say("two").close()
            second.open().say("three")

        at(tail, "before waiting", reopen)
        got += (await heard(tail, 4))[ID]

        assert got == first.records + second.records


async def test_a_closed_session_and_its_new_life_are_both_heard(store: SessionStore) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    async with store, store.tail_all() as tail:

        def reopen() -> None:
            first.open().say("one").close()
            second.open().say("two")

        at(tail, "after scan", reopen)
        got = (await heard(tail, 5))[ID]

        assert got == first.records + second.records


async def test_only_the_new_life_of_a_session_closed_before_is_heard(store: SessionStore) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    first.open().say("one").close()
    second.open().say("two")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(second)
        second.close()
        assert (await heard(tail, 1))[ID] == second.records[2:]
        assert await nothing_more(tail)


def make_with_inode(path: Path, inode: int) -> None:
    """Make a file with an inode that was set free, unless another program was quicker.

    The others stay: those that are free before it, perhaps thousands, are used up in some rounds.
    """
    for n in range(100):
        made = path.with_name(f"{path.name} candidate {n}")
        made.touch()
        if made.stat().st_ino == inode:
            made.rename(path)
            break


@pytest.mark.parametrize("open_files", [1, 9])
async def test_another_session_with_the_inode_of_a_deleted_one_starts_at_0(
    store: SessionStore, open_files: int
) -> None:
    names = iter(ids(1000))
    async with store, store.tail_all(max_open=open_files) as tail:
        for _ in range(200):
            gone, parker = Actor(store.directory, next(names)), Actor(store.directory, next(names))
            gone.open().say("gone")
            assert await heard(tail, 2) == owed(gone)
            parker.open()  # behind it, and so the one that is left open where one may be
            assert await heard(tail, 1) == owed(parker)
            inode = gone.wal.stat().st_ino
            gone.kill()
            gone.wal.unlink()
            parker.kill()
            parker.wal.unlink()
            if open_files > 1:  # an open file keeps its inode
                await settled(tail, lambda: not tail.session_ids)
            new = Actor(store.directory, next(names))
            make_with_inode(new.wal, inode)
            new.open().say("new")
            same = new.wal.stat().st_ino == inode

            assert await heard(tail, 2) == owed(new)
            new.kill()
            new.wal.unlink()
            if same:
                break
        else:
            pytest.fail("no inode was used again")


@pytest.mark.parametrize("names", ["both", "neither"])
async def test_both_names_or_neither_in_one_scan_settle_by_the_open_file(
    store: SessionStore, names: str
) -> None:
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(actor)
        aside = store.directory / "aside"
        if names == "both":
            actor.finish()
            os.link(actor.wal, actor.final)
            at(tail, "before waiting", actor.wal.unlink)
        else:
            actor.say("two")
            actor.wal.rename(aside)
            at(tail, "before waiting", lambda: aside.rename(actor.wal))
        got = (await heard(tail, 1))[ID]

        assert got == actor.records[2:]
        assert await nothing_more(tail)


async def test_a_session_between_two_names_at_the_first_scan_keeps_its_place(
    store: SessionStore,
) -> None:
    actor = Actor(store.directory).open().say("one", "two")
    async with store.tail_all() as tail:
        await heard(tail, 2)
        cursor = tail.cursor
    aside = store.directory / "aside"
    actor.wal.rename(aside)
    async with store.tail_all(after=cursor) as tail:
        at(tail, "after scan", lambda: aside.rename(actor.wal))

        assert (await heard(tail, 1))[ID] == actor.records[2:]


async def test_a_file_under_another_name_goes_by_its_headers_id(store: SessionStore) -> None:
    (store.directory / "foo.jsonl.__partial__").write_bytes(session_bytes(2, closed=False))
    async with store, store.tail_all() as tail:
        got = await heard(tail, 3)

        assert list(got) == [ID]
        assert isinstance(got[ID][0], Header)


async def test_odd_files_are_ignored_or_warned_of_once(
    store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    d = store.directory
    os.mkfifo(d / f"{uuid4()}.jsonl")
    (d / f"{uuid4()}.jsonl.__partial__").symlink_to(d / "nowhere")
    (d / f"{uuid4()}.jsonl").mkdir()
    (d / "README").write_text("no session")
    (d / "notes.jsonl.__partial__").write_text('{"no": "header"}\n')
    odd = Path(os.fsdecode(os.fsencode(d) + b"/\xff.jsonl.__partial__"))
    odd.write_bytes(session_bytes(closed=False))
    async with store, store.tail_all() as tail:
        actor = Actor(d).open()
        assert await heard(tail, 1) == owed(actor)
        for _ in range(3):
            os.mkfifo(d / f"{uuid4()}.jsonl.__partial__")
            with (d / "notes.jsonl.__partial__").open("a") as notes:
                notes.write('{"more": 1}\n')
            with odd.open("ab") as file:
                file.write(chunk_line())
            actor.say("go on")
            await heard(tail, 1)
            assert await nothing_more(tail, 0.02)
        warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]

        assert warnings == ["skipped notes: it does not start with a header"]
        assert (store.stats.missed, store.stats.distrusted) == (0, 0)
        assert tail.cursor


async def test_a_foreign_file_that_grows_is_no_reason_to_distrust_events(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, sweep_interval_s=0.01)
    notes = tmp_path / "notes.jsonl.__partial__"
    notes.write_text('{"no": "header"}\n')
    async with store, store.tail_all() as tail:
        for _ in range(4):
            with notes.open("a") as file:
                file.write('{"more": 1}\n')
            assert await nothing_more(tail, 0.06)

        assert (store.stats.missed, store.polled_because) == (0, None)


_AS_NOBODY = """
import anyio, os, sys
from sessiontail import SessionStore
async def main():
    store = SessionStore(sys.argv[1], sweep_interval_s=0.1)
    async with store, store.tail_all() as tail:
        await tail._following.begin()  # all modules are loaded now
        os.setgid(65534); os.setuid(65534)
        got = {(await anext(tail))[0] for _ in range(3)}
        async def last():
            print(str((await anext(tail))[0]), tail.errors, flush=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(last)
            while not tail.errors:
                await anyio.sleep(0.01)
            print(len(got), [str(e) for e in tail.errors.values()], flush=True)
            sys.stdin.readline()
anyio.run(main)
"""


async def test_a_file_that_may_not_be_read_holds_up_no_other(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root may become somebody else")
    directory = Path("/tmp") / f"sessiontail-{uuid4()}"  # pytest's own is not for others
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    try:
        shut, *others = (Actor(directory, i).open() for i in ids(4))
        for other in others:
            other.wal.chmod(0o644)
        source = str(Path(__file__).parent.parent / "src")
        with subprocess.Popen(
            [sys.executable, "-c", _AS_NOBODY, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": source},
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            first = child.stdout.readline()
            shut.wal.chmod(0o644)
            child.stdin.write("\n")
            child.stdin.flush()
            second = child.stdout.readline()

        reason = "permission denied: look at its owner and mode"
        assert first == f"3 ['{shut.wal}: {reason}']\n"
        assert second == f"{shut.id} {{}}\n"
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


async def test_a_device_error_in_one_file_is_that_sessions_error(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (Actor(store.directory, i).open().say("one") for i in ids(2))
    plain = SessionFile.read_cached

    def failing(self: SessionFile, offset: int, size: int) -> bytes | None:
        if self.path == bad.wal:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return plain(self, offset, size)

    monkeypatch.setattr(SessionFile, "read_cached", failing)
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(good)
        await settled(tail, lambda: bool(tail.errors))
        assert [error.reason for error in tail.errors.values()] == [None]
        monkeypatch.undo()
        bad.say("two")

        assert await heard(tail, 3) == owed(bad)
        assert tail.errors == {}


def failing(*_: object) -> bytes | None:
    """As ``SessionFile.read_cached`` of a disk that fails."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_the_error_of_a_file_goes_with_it(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(store.directory).open()

    monkeypatch.setattr(SessionFile, "read_cached", failing)
    async with store, store.tail_all() as tail:
        await settled(tail, lambda: bool(tail.errors))
        actor.kill()
        actor.wal.unlink()
        await settled(tail, lambda: (tail.errors, tail.session_ids) == ({}, []))


async def test_a_read_that_fails_once_loses_nothing_of_a_file_that_has_no_name_any_more(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is closed, reopened and closed again before the next try."""
    first = Actor(store.directory).open().say("one")
    plain = SessionFile.read_cached
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(first)
        first.say("two")
        monkeypatch.setattr(SessionFile, "read_cached", failing)
        await settled(tail, lambda: bool(tail.errors))
        first.close()
        second = Actor(store.directory).open().say("another")
        second.close()
        monkeypatch.setattr(SessionFile, "read_cached", plain)

        assert (await heard(tail, 2 + 3))[ID] == [*first.records[2:], *second.records]


async def test_a_session_that_is_gone_before_anything_of_it_was_told_is_not_told_of(
    store: SessionStore,
) -> None:
    """The kernel goes on naming a file that has no name while its writer writes."""
    told: list[tuple[UUID, str]] = []
    actor = Actor(store.directory).open()
    async with (
        store,
        store.tail_all(on_event=lambda session_id, news: told.append((session_id, news))) as tail,
    ):
        assert await heard(tail, 1) == owed(actor)
        actor.wal.unlink()
        await settled(tail, lambda: len(told) == 2)
        for _ in range(5):
            actor.say("unheard")
            assert await nothing_more(tail, 0.02)

    assert told == [(ID, "started"), (ID, "deleted")]


async def test_a_cursor_taken_before_all_was_opened_leaves_out_what_was_to_be_left_out(
    store: SessionStore,
) -> None:
    actors = [Actor(store.directory, i).open().say("one", "two") for i in ids(20)]
    async with store, store.tail_all(last=1) as tail:
        session_id, _ = await anext(tail)
        cursor = tail.cursor
    for actor in actors:
        actor.say("three")
    async with store.tail_all(after=cursor) as tail:
        got = await heard(tail, 2 * len(actors) - 1)

        assert await nothing_more(tail)
    assert {i: records for i, records in got.items() if i != session_id} == {
        actor.id: actor.records[2:] for actor in actors if actor.id != session_id
    }


async def test_what_is_closed_and_reopened_before_it_is_opened_is_told_from_its_begin(
    store: SessionStore,
) -> None:
    first = Actor(store.directory).open().say("one")
    second = Actor(store.directory)

    def act(moment: str) -> None:
        if moment == "after scan":
            first.close()
            second.open().say("two")

    async with store, store.tail_all() as tail:
        tail._gate = act
        got = (await heard(tail, 3 + 2))[ID]

    assert got == first.records + second.records


async def test_a_session_closed_before_is_not_heard_when_its_new_life_is_rewritten(
    store: SessionStore,
) -> None:
    first, second = Actor(store.directory), Actor(store.directory)
    first.open().say("old").close()
    second.open().say("two")
    async with store, store.tail_all() as tail:
        assert await heard(tail, 2) == owed(second)
        second.cut(0)
        second.write(header_line(created_at="2026-02-02T00:00:00+00:00"))
        second.say("another story", "longer than the first")

        assert await heard(tail, 3) == owed(second)
        assert await nothing_more(tail)


async def test_a_lane_waits_for_one_batch_of_each_other_lane_at_most(tmp_path: Path) -> None:
    big, *quiet = (Actor(tmp_path, i).open() for i in ids(51))
    store = SessionStore(tmp_path)
    block = b"".join(chunk_line(n, "x" * 1000) for n in range(300))
    async with store, store.tail_all() as tail:
        await heard(tail, 51)
        for _ in range(20):
            big.write(block)
        for actor in quiet:
            actor.say("here")
        order = [(await anext(tail))[0] for _ in range(20 * 300 + 50)]
    turns = [order[i] for i in range(len(order)) if i == 0 or order[i] != order[i - 1]]
    places = [turns.index(actor.id) for actor in quiet]

    # Before the last of the quiet ones: at most one batch of the big one and each other quiet one.
    assert max(places) <= 51
    assert order.index(turns[max(places)]) <= 50 + 300


async def test_the_end_of_a_session_is_not_put_off_by_one_that_never_pauses(
    trusting: SessionStore,
) -> None:
    busy, quiet = (Actor(trusting.directory, i).open() for i in ids(2))
    async with trusting, trusting.tail_all() as tail:
        await heard(tail, 2)
        quiet.close()
        for _ in range(1000):
            busy.say("x" * 1000)
            await heard(tail, 1 + (_ == 0))
            busy_again = [busy.say("y") for _ in range(1)]
            await heard(tail, len(busy_again))
            if quiet.id not in tail.session_ids:
                break

        assert tail.session_ids == [busy.id]


async def test_a_stuck_consumer_holds_up_no_other_and_no_memory(trusting: SessionStore) -> None:
    actors = [Actor(trusting.directory, i).open() for i in ids(10)]
    async with trusting, trusting.tail_all() as stuck, trusting.tail_all() as other:
        await heard(stuck, 1)
        await heard(other, 10)
        for _ in range(50):
            for actor in actors:
                actor.say("x" * 1000)
            await heard(other, 10)
        assert stuck._following._subscription is not None
        held = len(stuck._following._subscription.dirty)
        batches = sum(lane.stream.waiting for lane in lanes(stuck))
        got = await heard(stuck, 10 * 51 - 1)

        assert held <= 10
        assert batches == 0
        assert sum(map(len, got.values())) == 509


async def test_a_consumer_that_blocks_the_loop_misses_nothing(store: SessionStore) -> None:
    actor = Actor(store.directory).open()
    async with store, store.tail_all() as tail:
        got = (await heard(tail, 1))[ID]
        for _ in range(3):
            actor.say("one", "two")
            time.sleep(0.2)  # the loop stands still
            got += (await heard(tail, 2))[ID]

        assert got == actor.records


async def test_few_descriptors_serve_many_sessions(store: SessionStore) -> None:
    actors = [Actor(store.directory, i).open() for i in ids(50)]
    async with store, store.tail_all(max_open=4) as tail:
        got = await heard(tail, 50)
        for word in ("one", "two"):
            for actor in actors:
                actor.say(word)
            for session_id, records in (await heard(tail, 50)).items():
                got[session_id] += records
            # Two more at most, while threads work for them.
            assert store.stats.open_files == tail.open_files <= 4 + 2
            await settled(tail, lambda: tail.open_files <= 4)
        for actor in actors:
            actor.close()
        for session_id, records in (await heard(tail, 50)).items():
            got[session_id] += records

        assert got == owed(*actors)


async def test_a_session_rewritten_while_it_held_no_descriptor_begins_anew(
    store: SessionStore,
) -> None:
    first, second = (Actor(store.directory, i).open().say("one") for i in ids(2))
    async with store, store.tail_all(max_open=1) as tail:
        await heard(tail, 4)
        second.say("takes the descriptor")
        await heard(tail, 1)
        first.cut(0)
        first.write(header_line(first.id))
        first.say("other words, and more of them")

        assert await heard(tail, 2) == owed(first)


async def test_files_whose_reads_hang_hold_up_no_other(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One thread of the directory is left, for the looks at it.
    *slow, quick, later = (Actor(store.directory, i) for i in ids(MOST_AT_A_PLACE + 1))
    for actor in (*slow, quick):
        actor.open().say("one")
    blocked = Blocked(monkeypatch, *slow)
    async with store, store.tail_all() as tail:
        got = await heard(tail, 2)
        quick.say("two")
        got[quick.id] += (await heard(tail, 1))[quick.id]
        got |= await heard_of(tail, later.open().say("new"), 2)
        quick.close()
        got[quick.id] += (await heard(tail, 1))[quick.id]
        later.kill()
        later.wal.unlink()
        await settled(tail, lambda: later.id not in tail.session_ids)
        assert got == owed(quick, later)
        await blocked.one_waits(tail)
        blocked.released.set()

        assert await heard(tail, 2 * len(slow)) == owed(*slow)


@pytest.mark.parametrize("batches", range(1, 6))
async def test_what_is_written_behind_any_batch_of_a_burst_is_handed_over(
    store: SessionStore, batches: int
) -> None:
    actor = Actor(store.directory).open()
    got = owed(actor)[ID]
    async with store, store.tail_all() as tail:
        await heard(tail, 1)
        assert await nothing_more(tail)
        actor.write(actor.lines(Burst(2000, 100)))
        for _ in range(batches):
            if len(got) < len(actor.records):
                got += (await heard(tail, 1))[ID]
                (lane,) = lanes(tail)
                got += (await heard(tail, lane.stream.waiting)).get(ID, [])
        actor.say("behind it")

        got += (await heard(tail, len(actor.records) - len(got)))[ID]
        assert got == actor.records


async def test_files_that_threads_open_while_a_stream_is_left_are_closed(
    store: SessionStore,
) -> None:
    for session_id in ids(50):
        Actor(store.directory, session_id).open().kill()
    gc.collect()
    gc.disable()  # it would close them, some time
    try:
        with cold_disk(1.0, 0):
            async with store.tail_all() as tail:
                await anext(tail)
            with anyio.fail_after(30):
                while held_of(store.directory):
                    await anyio.sleep(0.001)
    finally:
        gc.enable()


async def test_a_directory_that_is_made_anew_is_found_though_a_file_of_the_old_one_is_held(
    store: SessionStore,
) -> None:
    held, new = (Actor(store.directory, i) for i in ids(2))
    held.open()
    async with store, store.tail_all() as tail:
        await heard(tail, 1)
        shutil.rmtree(store.directory)
        await settled(
            tail, lambda: tail._following._watch is not None and not tail._following._watch.present
        )
        store.directory.mkdir()

        assert await heard_of(tail, new.open().say("one"), 2) == owed(new)


@pytest.mark.parametrize("dies", [False, True])
async def test_a_session_goes_on_in_the_file_that_has_its_name_when_the_one_before_was_moved_away(
    store: SessionStore, tmp_path: Path, *, dies: bool
) -> None:
    moved, new = Actor(store.directory), Actor(store.directory)
    moved.open().say("one")
    async with store, store.tail_all() as tail:
        await heard(tail, 2)
        moved.wal.rename(tmp_path / "elsewhere")
        await heard_of(tail, moved.say("in the file that was moved"), 1)
        await settled(tail, lambda: any(lane.due_s < math.inf for lane in lanes(tail)))
        if dies:
            moved.kill()

        assert (await heard_of(tail, new.open().say("anew"), 2))[ID] == new.records


async def held_by(tail: DirectoryTail, actor: Actor) -> None:
    """Let one session have the only descriptor, and none want it."""
    while not any(lane.is_open for lane in lanes(tail) if lane.session_id == actor.id):
        actor.say("takes the descriptor")
        await heard(tail, 1)
        await settled(
            tail,
            lambda: (
                resting(tail, judged=True) and all(lane.due_s == math.inf for lane in lanes(tail))
            ),
        )


async def test_a_file_that_a_thread_reads_keeps_its_descriptor(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread searches a long line in more than one go.
    monkeypatch.setattr(long_line, "SEARCH_BYTES", 256 * 1024)
    quick, slow = (Actor(store.directory, i).open() for i in ids(2))
    async with store, store.tail_all(max_open=1) as tail:
        await heard(tail, 2)
        await held_by(tail, slow)
        read = len(slow.records)
        blocked = Blocked(monkeypatch, slow)
        slow.say("x" * 3_000_000)
        await blocked.one_waits(tail)
        quick.say("one")
        assert await heard(tail, 1) == {quick.id: quick.records[1:]}
        slow.kill()
        slow.wal.unlink()
        blocked.released.set()

        assert await heard(tail, 1) == {slow.id: slow.records[read:]}
        assert not tail.errors


async def test_a_session_that_is_told_of_keeps_its_descriptor_until_it_is_read(
    tmp_path: Path,
) -> None:
    store = SessionStore(tmp_path)  # looks may find one of two that change together
    first, second = (Actor(store.directory, i).open() for i in ids(2))
    async with store, store.tail_all(max_open=1) as tail:
        await heard(tail, 2)
        await held_by(tail, second)
        read = len(second.records)
        first.say("wants it")
        second.say("has it, and goes")
        second.kill()
        second.wal.unlink()

        assert await heard(tail, 2) == {
            first.id: first.records[1:],
            second.id: second.records[read:],
        }


async def test_where_no_descriptor_is_left_what_is_begun_is_read_to_its_end(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "BRIEF_S", 60.0)
    actors = [Actor(store.directory, i).open() for i in ids(2)]
    for actor in actors:
        actor.say(*(f"{n}" for n in range(3_000)))
    async with store, store.tail_all(max_open=1) as tail:
        got: dict[UUID, list[Record]] = {actor.id: [] for actor in actors}
        with anyio.fail_after(30):
            while not all(got.values()):
                session_id, record = await anext(tail)
                got[session_id].append(record)
        for actor in actors:
            actor.kill()
            actor.wal.unlink()
        left = await heard(tail, sum(len(a.records) - len(got[a.id]) for a in actors))

        assert {i: got[i] + left.get(i, []) for i in got} == {a.id: a.records for a in actors}


async def test_a_session_that_is_made_anew_while_a_thread_looks_for_the_last_one_is_found(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(store.directory)
    look = generations.open_all

    def look_and_make(*args: Any, **options: Any) -> list[SessionFile]:
        if actor.records:
            return look(*args, **options)
        actor.wal.unlink()
        found = look(*args, **options)
        actor.open().say("one")
        while not any(lane.dirty for lane in lanes(tail)):
            time.sleep(0.001)
        return found

    monkeypatch.setattr(opening, "open_all", look_and_make)
    async with store, store.tail_all() as tail:
        await tail._following.begin()
        with cold_disk(1.0, 0):
            actor.wal.touch()
            assert await heard(tail, 2) == owed(actor)


async def test_a_file_that_is_rewritten_while_it_is_opened_ends_nobodys_stream(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, other = (Actor(store.directory, i).open().say("one") for i in ids(2))
    async with store.tail_all() as tail:
        await heard(tail, 4)
        cursor = tail.cursor
    resume = FileReader.resume

    def resume_and_rewrite(reader: FileReader, position: Position, *, block: bool) -> None:
        resume(reader, position, block=block)
        if reader.file.path == actor.wal and position.offset:
            monkeypatch.undo()
            actor.cut(0)
            actor.write(header_line(actor.id))
            actor.say("anew")

    monkeypatch.setattr(FileReader, "resume", resume_and_rewrite)
    async with store, store.tail_all(after=cursor) as tail:
        assert await heard(tail, 2) == owed(actor)
        other.say("two")
        assert await heard(tail, 1) == {other.id: other.records[2:]}


async def heard_of(tail: DirectoryTail, actor: Actor, count: int) -> dict[UUID, list[Record]]:
    """The next records, which must be of this one."""
    got = await heard(tail, count)
    assert list(got) == [actor.id]
    return got


async def test_a_stream_is_left_though_a_thread_hangs_in_one_of_its_files(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = (Actor(store.directory, i).open() for i in ids(2))
    before = Counts.now()
    blocked = Blocked(monkeypatch, slow)
    async with store:
        async with store.tail_all() as tail:
            assert await heard(tail, 1) == owed(quick)
            await blocked.one_waits(tail)
        with pytest.raises(StopAsyncIteration):
            await anext(tail)
    blocked.released.set()

    assert Counts.at_rest(before) == before


async def test_a_session_in_a_thread_is_looked_at_again_for_what_came_meanwhile(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(store.directory).open().say("one")
    blocked = Blocked(monkeypatch, actor)
    async with store, store.tail_all() as tail:
        await blocked.one_waits(tail)
        actor.say("two")
        assert await nothing_more(tail, 0.05)  # it is told of that
        blocked.released.set()
        got = await heard(tail, 3)
        actor.close()
        got[ID] += (await heard(tail, 1))[ID]

        assert got == owed(actor)


def count_bytes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How much was read, under ``"bytes"``."""
    counter: Counter[str] = Counter()
    pread, preadv = os.pread, os.preadv

    def counted_pread(*args: Any) -> bytes:
        data = pread(*args)
        counter["bytes"] += len(data)
        return data

    def counted_preadv(*args: Any) -> int:
        count = preadv(*args)
        counter["bytes"] += count
        return count

    monkeypatch.setattr(os, "pread", counted_pread)
    monkeypatch.setattr(os, "preadv", counted_preadv)
    return counter


async def test_a_huge_session_is_read_once_for_its_last_records(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(store.directory).open()
    actor.write(b"".join(chunk_line(n, "x" * 1000) for n in range(1000)) * 20)
    counter = count_bytes(monkeypatch)
    async with store, store.tail_all(last=1) as tail:
        got = (await heard(tail, 1))[ID]
        actor.say("more")
        got += (await heard(tail, 1))[ID]

    assert got == actor.records[-2:]
    assert counter["bytes"] <= len(actor.data) * 1.1  # its lines are counted


async def test_live_sessions_are_heard_before_all_that_crashed_are_opened(
    trusting: SessionStore,
) -> None:
    for session_id in ids(2000):
        wal = trusting.directory / f"{session_id}.jsonl.__partial__"
        wal.write_bytes(header_line(session_id))
        os.utime(wal, (LONG_AGO_S, LONG_AGO_S))
    live = [Actor(trusting.directory, UUID(int=n + 10_000)).open() for n in range(5)]
    async with trusting, trusting.tail_all() as tail:
        assert await heard(tail, len(live)) == owed(*live)
        await heard(tail, 10)
        for actor in live:
            actor.say("here")
        made = Actor(trusting.directory, UUID(int=20_000)).open()
        waiting = {*(actor.id for actor in live), made.id}
        before = 0
        with anyio.fail_after(30):
            while waiting:
                session_id, _ = await anext(tail)
                waiting.discard(session_id)
                before += session_id.int <= 2000

        assert before < 1800
        await heard(tail, 1990 - before)


def unlock(actor: Actor) -> Actor:
    """Write on without a lock, as a writer whose lock does not show."""
    fcntl.flock(actor._fd, fcntl.LOCK_UN)
    return actor


def dated(actor: Actor, age_s: float) -> None:
    """Give the file the time of a clock that is behind."""
    then_s = time.time() - age_s
    os.utime(actor.wal, (then_s, then_s))


async def test_a_writer_without_a_lock_whose_clock_is_behind_is_not_abandoned_while_it_writes(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = unlock(Actor(store.directory).open())
    dated(actor, 90)
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        await heard(tail, 1)
        for word in ("one", "two", "three"):
            assert await nothing_more(tail, 0.02)
            actor.say(word)
            dated(actor, 90)
            assert (await heard(tail, 1))[ID] == actor.records[-1:]
        await settled(tail, lambda: resting(tail, judged=True))
        assert [meta.state for meta in await store.list()] == [SessionState.UNKNOWN]
        assert told == ["started"]

        monkeypatch.setattr(ending, "QUIET_S", 0.05)  # and we saw it
        actor.say("four")
        await heard(tail, 1)
        with actor.wal.open("ab"):
            pass  # it is closed by somebody
        await settled(tail, lambda: "abandoned" in told)
        assert tail.open_files == 0
        actor.say("five")
        assert (await heard(tail, 1))[ID] == actor.records[-1:]

    assert told == ["started", "abandoned", "resumed"]


@pytest.mark.parametrize("started", ["before", "after"])
async def test_a_lock_that_was_seen_and_is_gone_needs_no_quiet(
    store: SessionStore, started: str
) -> None:
    actor = Actor(store.directory)
    if started == "before":
        actor.open()
    told: list[str] = []
    async with store, store.tail_all(on_event=lambda _, news: told.append(news)) as tail:
        if started == "after":
            assert await nothing_more(tail)
            actor.open()
        await heard(tail, 1)
        await settled(tail, lambda: resting(tail, judged=True))
        os.close(actor._fd)
        actor._fd = -1
        await settled(tail, lambda: "abandoned" in told)

    assert told == ["started", "abandoned"]


def copied(directory: Path, way: str) -> Path:
    """The directory, restored from a backup: other files of the same content."""
    copy = directory.with_name(f"{directory.name}-copy")
    if way == "cp -r":
        shutil.copytree(directory, copy, copy_function=shutil.copy)
        for path in copy.iterdir():
            os.utime(path)
    else:
        shutil.copytree(directory, copy)
    return copy


@pytest.mark.parametrize("way", ["cp -r", "cp -a"])
@pytest.mark.parametrize("include_closed", [True, False])
async def test_a_cursor_goes_on_in_a_copy_of_the_directory(
    trusting: SessionStore, way: str, *, include_closed: bool
) -> None:
    old, new, live = (Actor(trusting.directory, i) for i in ids(3))
    named = trusting.directory / "named.jsonl"
    named.write_bytes(session_bytes(2, session_id=UUID(int=99)))
    old.open().say("one").close()
    async with trusting, trusting.tail_all(include_closed=include_closed) as tail:
        await tail._following.begin()
        await heard(tail, (4 + 3) * include_closed)
        new.open().say("one").close()
        live.open().say("one")
        await heard(tail, 5)
        await settled(tail, lambda: tail.session_ids == [live.id])
        cursor = tail.cursor
    copy = SessionStore(copied(trusting.directory, way), poll_interval_s=0.01)
    again = Actor(copy.directory, live.id)
    async with copy, copy.tail_all(after=cursor) as tail:
        assert await nothing_more(tail, 0.1)
        again.open(header=False).write(live.chunk("two"))
        got = await heard(tail, 1)

        assert [getattr(record, "text", None) for record in got[live.id]] == ["two"]
        assert await nothing_more(tail)


async def test_a_closed_session_that_is_touched_is_not_told_again(trusting: SessionStore) -> None:
    before, since = (Actor(trusting.directory, i) for i in ids(2))
    before.open().say("one").close()
    told: list[tuple[UUID, str]] = []
    async with trusting, trusting.tail_all(on_event=lambda *news: told.append(news)) as tail:
        assert await nothing_more(tail)
        since.open().say("one").close()
        await heard(tail, 3)
        await settled(tail, lambda: len(told) == 2)
        for age_s in (1000, 0):
            for actor in (before, since):
                then_s = time.time() - age_s
                os.utime(actor.final, (then_s, then_s))
                with actor.final.open("ab"):
                    pass  # opened to be written, and closed
            assert await nothing_more(tail, 0.1)

    assert told == [(since.id, "started"), (since.id, "closed")]


@pytest.mark.parametrize("when", ["while it runs", "while it is away"])
@pytest.mark.parametrize("size", ["the same", "another"])
async def test_another_file_under_the_name_of_a_closed_session_is_told(
    store: SessionStore, when: str, size: str
) -> None:
    actor = Actor(store.directory).open().say("one")
    other = session_bytes(1) if size == "another" else bytes(actor.data).replace(b"one", b"two")
    async with store:
        async with store.tail_all() as tail:
            await heard(tail, 2)
            actor.close()
            await heard(tail, 1)
            await settled(tail, lambda: not tail.session_ids)
            if size == "the same":
                other = bytes(actor.data).replace(b"one", b"two")
            aside = store.directory / "aside"
            aside.write_bytes(other)
            cursor = tail.cursor
            if when == "while it runs":
                aside.replace(actor.final)
                got = (await heard(tail, 3))[ID]
        if when == "while it is away":
            aside.replace(actor.final)
            async with store.tail_all(after=cursor) as tail:
                got = (await heard(tail, 3))[ID]

    assert got == records_of(other)


def count_opens(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened, by its name."""
    counter: Counter[str] = Counter()
    plain = SessionFile.__init__

    def counted(self: SessionFile, path: Path | str, **options: Any) -> None:
        plain(self, path, **options)
        counter[Path(path).name] += 1

    monkeypatch.setattr(SessionFile, "__init__", counted)
    return counter


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.__partial__"])
@pytest.mark.parametrize("closes", [True, False])
async def test_a_busy_file_that_is_no_session_is_looked_at_once(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, name: str, *, closes: bool
) -> None:
    monkeypatch.setattr(lane_module, "FIRST_PAUSE_S", 3600.0)
    opens = count_opens(monkeypatch)
    foreign = store.directory / name
    async with store, store.tail_all(include_closed=True) as tail:
        assert await nothing_more(tail)
        with foreign.open("ab", buffering=0) as kept:
            kept.write(b'{"event": "no header"}\n')
            await settled(
                tail, lambda: bool(opens[name]) and "events" not in tail._following.sessions.lanes
            )
            looked, reads = opens[name], store.stats.reads
            for _ in range(20):
                kept.write(b'{"event": "more"}\n' * 100)
                if closes:
                    with foreign.open("ab", buffering=0) as another:
                        another.write(b'{"event": "more"}\n')
                assert await nothing_more(tail, 0.015)

        assert opens[name] == looked
        assert store.stats.reads == reads
        assert (store.stats.missed, store.stats.distrusted) == (0, 0)


@pytest.mark.parametrize("way", ["exchanged", "cut", "written anew"])
async def test_a_session_that_takes_the_name_of_a_file_that_was_none_is_heard(
    store: SessionStore, way: str
) -> None:
    foreign = store.directory / "events.jsonl.__partial__"
    foreign.write_bytes(b'{"event": "no header"}\n' * 100)
    async with store, store.tail_all() as tail:
        await settled(tail, lambda: "events" in tail._following.sessions._foreign)
        if way == "exchanged":
            aside = store.directory / "aside"
            aside.write_bytes(header_line())
            aside.replace(foreign)
        elif way == "written anew":
            foreign.write_bytes(header_line() + chunk_line(0, "longer than before" * 1000))
        else:
            with foreign.open("r+b", buffering=0) as file:
                file.truncate(0)
            assert await nothing_more(tail, 0.05)
            foreign.unlink()
            foreign.write_bytes(header_line())

        assert [type(record) for record in (await heard(tail, 1))[ID]] == [Header]


_MANY = """
import anyio, os, resource, sys
from sessiontail import SessionStore
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
async def main():
    most = 0
    async with SessionStore(sys.argv[1]) as store, store.tail_all() as tail:
        count = {}
        with anyio.fail_after(50):
            for n in range(2000):
                session_id, record = await anext(tail)
                count[session_id] = count.get(session_id, 0) + 1
                if n % 10 == 0:
                    most = max(most, len(os.listdir("/proc/self/fd")))
                if n in (499, 999, 1499):
                    print("next", flush=True)
                    sys.stdin.readline()
        with anyio.move_on_after(0.1):
            print(await anext(tail))
        assert most < 64
        print(len(count), set(count.values()), tail.errors, flush=True)
anyio.run(main, backend=sys.argv[2])
"""


async def test_500_sessions_under_a_limit_of_64_descriptors_take_turns(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    actors = [Actor(tmp_path, i).open() for i in ids(500)]
    try:
        with subprocess.Popen(
            [sys.executable, "-c", _MANY, str(tmp_path), anyio_backend_name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            for word in ("one", "two", None):
                assert child.stdout.readline() == "next\n"
                for actor in actors:
                    actor.say(word) if word else actor.close()
                child.stdin.write("\n")
                child.stdin.flush()
            said = child.stdout.readline()

        assert said == "500 {4} {}\n"
    finally:
        for actor in actors:
            actor.kill()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


_TAKEN = """
import anyio, os, resource, sys
from sessiontail import SessionStore
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
async def main():
    got = 0
    async with SessionStore(sys.argv[1], sweep_interval_s=0.05) as store:
        async with store.tail_all() as tail:
            with anyio.fail_after(30):
                for n in range(60):
                    await anext(tail); got += 1
                    if n == 10:
                        taken = []
                        try:
                            while True: taken.append(os.open("/dev/null", os.O_RDONLY))
                        except OSError: pass
            print(got, tail.errors, flush=True)
            with anyio.move_on_after(0.3):
                await anext(tail)
            print("goes on", flush=True)
anyio.run(main, backend=sys.argv[2])
"""


async def test_descriptors_that_somebody_else_took_are_done_without(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    actors = [Actor(tmp_path, i).open() for i in ids(60)]
    done = subprocess.run(
        [sys.executable, "-c", _TAKEN, str(tmp_path), anyio_backend_name],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("60 {}\ngoes on\n", 0), done.stderr
    assert all(actor.writing for actor in actors)


async def test_a_directory_made_later_is_waited_for(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "a" / "sessions", poll_interval_s=0.01)
    got: dict[UUID, list[Record]] = {}
    async with store, store.tail_all() as tail, anyio.create_task_group() as tasks:
        waits = anyio.Event()
        tail._gate = lambda moment: waits.set() if moment == "before waiting" else None

        async def listen() -> None:
            got.update(await heard(tail, 3))

        tasks.start_soon(listen)
        await waits.wait()  # it has looked, and nothing was there
        store.directory.mkdir(parents=True)
        actor = Actor(store.directory).open().say("one")
        actor.close()

    assert got == owed(actor)


async def test_a_directory_removed_and_made_again_is_watched_again(store: SessionStore) -> None:
    actor = Actor(store.directory).open()
    async with store, store.tail_all() as tail:
        await heard(tail, 1)
        actor.kill()
        actor.wal.unlink()
        store.directory.rmdir()
        await settled(tail, lambda: not tail.session_ids)
        store.directory.mkdir()
        again = Actor(store.directory).open().say("one")
        assert await heard(tail, 2) == owed(again)
        sweeps = store.stats.sweeps
        again.say("two")
        await heard(tail, 1)
        if store.polled_because is None:
            assert store.stats.events
            assert store.stats.sweeps - sweeps <= 2


async def test_a_copy_under_way_beside_a_wal_is_read_once(store: SessionStore) -> None:
    whole = session_bytes(chunks=9)
    half = len(whole) // 2
    told: list[str] = []
    with Actor(store.directory).open().say("wal") as actor, actor.final.open("wb", 0) as copy:
        copy.write(whole[:half])
        async with (
            store,
            store.tail_all(include_closed=True, on_event=lambda _, kind: told.append(kind)) as tail,
        ):
            got = (await heard(tail, whole[:half].count(b"\n")))[ID]
            assert await nothing_more(tail, 0.1)
            copy.write(whole[half:])
            got += (await heard(tail, whole.count(b"\n") - len(got)))[ID]
            assert isinstance(got[-1], Trailer)
            assert await heard(tail, 2) == owed(actor)

            assert await nothing_more(tail)
    assert told[:2] == ["started", "closed"]


async def test_a_session_that_is_gone_takes_no_descriptor_from_one_that_is_there(
    store: SessionStore,
) -> None:
    actors = [Actor(store.directory, i).open().say("one") for i in ids(2)]
    async with store, store.tail_all(max_open=1) as tail:
        await heard(tail, 4)
        await settled(tail, lambda: resting(tail))
        held = next(lane.session_id for lane in lanes(tail) if lane.is_open)
        there, gone = sorted(actors, key=lambda actor: actor.id != held)
        before = tail._gate

        def gate(moment: str) -> None:
            before(moment)
            if moment == "before open" and there.wal.exists():
                there.say("two").wal.unlink()

        tail._gate = gate
        gone.wal.unlink()

        assert (await heard(tail, 1))[there.id] == there.records[2:]
    there.kill()
    gone.kill()


async def test_what_a_handler_of_events_raises_is_its_own_and_costs_no_record(
    store: SessionStore,
) -> None:
    told: list[str] = []

    def handle(_: UUID, kind: EventKind) -> None:
        told.append(kind)
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all(on_event=handle) as tail:
        with pytest.raises(BrokenPipeError), anyio.fail_after(30):
            await anext(tail)
        assert await heard(tail, 2) == owed(actor)
        actor.close()
        assert (await heard(tail, 1))[actor.id] == actor.records[2:]
        with pytest.raises(BrokenPipeError), anyio.fail_after(30):
            await anext(tail)
        await settled(tail, lambda: tail.session_ids == [])

        assert (told, tail.errors) == (["started", "closed"], {})


async def test_a_file_that_somebody_s_lease_keeps_from_being_opened_is_tried_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: SessionFile, *_: Any, **__: Any) -> None:
        self.fd = -1
        raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")

    with Actor(store.directory).open() as actor:
        async with store, store.tail_all() as tail:
            with monkeypatch.context() as patch:
                patch.setattr(SessionFile, "__init__", refuse)
                with anyio.fail_after(30):
                    while not tail.errors:
                        assert await nothing_more(tail)

            assert await heard(tail, 1) == owed(actor)
            assert tail.errors == {}


@pytest.mark.parametrize("max_open", [1, 9])
async def test_a_directory_renamed_away_and_back_repeats_nothing(
    store: SessionStore, max_open: int
) -> None:
    closed, live, dead = (Actor(store.directory, i).open().say("one") for i in ids(3))
    async with store, store.tail_all(max_open=max_open) as tail:
        await heard(tail, 6)
        closed.close()
        await heard(tail, 1)
        dead.kill()
        await settled(tail, lambda: len(tail.session_ids) == 2)
        elsewhere = store.directory.with_name("elsewhere")
        store.directory.rename(elsewhere)
        live.say("two")
        # Whoever has the one descriptor is heard all the same.
        held = any(lane.is_open for lane in lanes(tail) if lane.session_id == live.id)
        got = (await heard(tail, 1))[live.id] if held else []
        assert held or max_open == 1
        assert await nothing_more(tail, 0.6)
        elsewhere.rename(store.directory)
        live.say("three")
        got += (await heard(tail, 2 - len(got)))[live.id]

        assert got == live.records[2:]
        assert await nothing_more(tail, 0.3)


@pytest.mark.parametrize("when", ["at the start", "later"])
async def test_an_absent_directory_is_an_error_where_that_is_asked_for(
    store: SessionStore, when: str
) -> None:
    async with store, store.tail_all(on_missing="error") as tail:
        if when == "later":
            assert await nothing_more(tail)
        store.directory.rmdir()
        with pytest.raises(SessionNotFound), anyio.fail_after(30):
            await anext(tail)
        store.directory.mkdir()
        actor = Actor(store.directory).open()

        assert await heard(tail, 1) == owed(actor)


async def test_it_is_told_when_the_directory_goes_and_comes_each_once(
    store: SessionStore,
) -> None:
    elsewhere = store.directory.with_name("elsewhere")
    told: list[bool] = []

    async def hear_of(count: int) -> None:
        with anyio.fail_after(30):
            while len(told) < count:
                assert await nothing_more(tail)

    with Actor(store.directory).open().say("one"):
        async with store, store.tail_all(last=0, on_directory=told.append) as tail:
            await hear_of(1)
            for count in (2, 4):
                store.directory.rename(elsewhere)
                await hear_of(count)
                elsewhere.rename(store.directory)
                await hear_of(count + 1)
            assert await nothing_more(tail, 0.3)

    assert told == [True, False, True, False, True]


async def test_that_there_is_no_directory_is_told_at_the_first_look(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions")
    told: list[bool] = []
    async with store, store.tail_all(on_directory=told.append) as tail:
        assert await nothing_more(tail, 0.3)
        first = told.copy()
        store.directory.mkdir()
        actor = Actor(store.directory).open()
        assert await heard(tail, 1) == owed(actor)

    assert first == [False]
    assert told == [False, True]


async def test_an_absent_directory_is_not_looked_for_all_the_time(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions", poll_interval_s=0.1)
    async with store, store.tail_all() as tail:
        began_s = anyio.current_time()
        with anyio.fail_after(30):
            while store.stats.sweeps < 3:
                assert await nothing_more(tail, 0.5)
        took_s = anyio.current_time() - began_s

    assert store.stats.sweeps <= took_s / 0.1 + 1


async def test_a_directory_that_cannot_be_watched_is_polled_and_not_looked_at_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessiontail.system.inotify import Inotify

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Inotify, "add", full)
    store = SessionStore(tmp_path, poll_interval_s=0.1)
    actor = Actor(tmp_path).open()
    async with store, store.tail_all() as tail:
        assert await heard(tail, 1) == owed(actor)
        before = store.stats.sweeps
        assert await nothing_more(tail, 0.5)
        actor.say("one")
        await heard(tail, 1)

        assert store.stats.sweeps - before <= 8
        reason = "the directory cannot be watched: No space left on device"
        assert store.polled_because == reason


async def test_an_idle_directory_is_only_swept(tmp_path: Path) -> None:
    actors = [Actor(tmp_path, i).open() for i in ids(50)]
    store = SessionStore(tmp_path, sweep_interval_s=0.2)
    async with store, store.tail_all() as tail:
        await heard(tail, 50)
        await settled(tail, lambda: resting(tail, judged=True))
        turns, sweeps, reads = (
            tail._following._schedule._turns,
            store.stats.sweeps,
            store.stats.reads,
        )
        assert await nothing_more(tail, 1)

        assert tail._following._schedule._turns == turns
        assert store.stats.reads == reads
        assert store.stats.sweeps - sweeps <= 6
        assert all(actor.writing for actor in actors)


async def test_several_consumers_of_one_directory_are_independent(store: SessionStore) -> None:
    actor = Actor(store.directory).open().say("one", "two")
    async with store, store.tail_all() as one, store.tail_all() as two, store.tail(ID) as lone:
        assert (await heard(one, 1))[ID] == actor.records[:1]
        assert await heard(two, 3) == owed(actor)
        assert [await anext(lone) for _ in range(3)] == actor.records
        assert (await heard(one, 2))[ID] == actor.records[1:]


async def test_a_step_cancelled_at_any_await_can_be_tried_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every read goes to a thread, so that there are more awaits.
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    actors = [Actor(store.directory, i).open().say("one") for i in ids(3)]
    got: dict[UUID, list[Record]] = {}
    async with store, store.tail_all(max_open=2) as tail:
        written = 2
        moment = 1
        while sum(map(len, got.values())) < 3 * written or written < 12:
            if sum(map(len, got.values())) >= 3 * written:
                written += 1
                for actor in actors:
                    actor.say("more")
            with anyio.CancelScope() as scope, anyio.fail_after(30):
                step = cancelled_at(tail.__anext__(), moment, scope.cancel)
                session_id, record = await step
                got.setdefault(session_id, []).append(record)
                moment = 0
            moment += 1

        assert got == owed(*actors)
        assert await nothing_more(tail)
        assert store.stats.open_files == tail.open_files <= 2


@pytest.mark.parametrize("way", ["break", "raise", "dropped", "closed", "cancelled"])
async def test_whoever_leaves_leaves_nothing_behind(store: SessionStore, way: str) -> None:
    actors = [Actor(store.directory, i).open() for i in ids(5)]
    async with store:
        with anyio.move_on_after(0.05):
            await anyio.to_thread.run_sync(time.sleep, 0)
        before = Counts.now()
        tail = store.tail_all()
        if way == "break":
            async with tail:
                async for _ in tail:
                    break
        elif way == "raise":
            with suppress(KeyError):
                async with tail:
                    await anext(tail)
                    raise KeyError
        elif way == "dropped":
            await heard(tail, 5)
        elif way == "cancelled":
            await heard(tail, 5)
            async with tail:
                assert await nothing_more(tail)
        else:
            await heard(tail, 5)
            await tail.aclose()
        del tail
        gc.collect()
        [watch] = store._place._held

        assert Counts.at_rest(before) == before
        assert store.stats.open_files == 0
        assert not watch._followers.want_all
    assert all(actor.writing for actor in actors)


async def test_a_store_that_is_left_takes_its_watch_and_task_along(tmp_path: Path) -> None:
    with anyio.move_on_after(0.05):
        await anyio.to_thread.run_sync(time.sleep, 0)
    before = Counts.now()
    for _ in range(3):
        with suppress(KeyError):
            async with SessionStore(tmp_path) as store:
                tail = store.tail_all()
                assert await nothing_more(tail, 0.01)
                raise KeyError
        await tail.aclose()
        del tail, store
        gc.collect()

    assert Counts.at_rest(before) == before


async def test_the_counters_say_what_was_done(trusting: SessionStore) -> None:
    actor = Actor(trusting.directory).open().say("one", "two")
    async with trusting, trusting.tail_all() as tail:
        await heard(tail, 3)
        # A look that is under way would see what is said without an event.
        await settled(tail, lambda: resting(tail))
        actor.say("three")
        await heard(tail, 1)
        stats = trusting.stats

        assert (stats.records, stats.bytes) == (4, len(actor.data))
        assert stats.events >= 1
        assert (stats.missed, stats.overflows, stats.distrusted, stats.open_files) == (0, 0, 0, 1)
        assert 0 < stats.lag_s < 5


_PRODUCER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3].split(":")
from actors import LONG_AGO_S, Actor
from samples import chunk_line
from uuid import UUID
big = Actor(Path(sys.argv[1]), UUID(int=1)).open()
block = b"".join(chunk_line(n, "x" * 1000) for n in range(1000))
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    began = time.monotonic()
    big.data.clear()
    big.write(block)
    time.sleep(max(0, len(block) / 100e6 - (time.monotonic() - began)))
"""


@pytest.mark.slow
async def test_quiet_sessions_are_heard_in_time_beside_one_of_100_mb_a_second(
    tmp_path: Path,
) -> None:
    quiet = [Actor(tmp_path, UUID(int=i + 2)).open() for i in range(500)]
    store = SessionStore(tmp_path)
    late: list[float] = []
    said: dict[UUID, float] = {}
    async with store, store.tail_all() as tail, anyio.create_task_group() as tasks:
        await heard(tail, 500)
        command = [sys.executable, "-c", _PRODUCER, str(tmp_path), "6", ":".join(sys.path)]
        producer = subprocess.Popen(command)

        async def speak() -> None:
            for n in range(50):
                for actor in quiet[n % 10 :: 50]:
                    said[actor.id] = time.monotonic()
                    actor.say("here")
                await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()

        tasks.start_soon(speak)
        async for session_id, _ in tail:
            if session_id in said:
                late.append(time.monotonic() - said.pop(session_id))
        producer.wait()
    assert producer.wait() == 0
    late.sort()

    assert len(late) >= 490
    assert late[int(len(late) * 0.99)] < 0.05, [late[len(late) * n // 100] for n in (50, 90, 99)]


_IDLE = """
import anyio, sys
from sessiontail import SessionStore
async def main():
    async with SessionStore(sys.argv[1], sweep_interval_s=60) as store, store.tail_all() as tail:
        for _ in range(200):
            await anext(tail)
        with anyio.move_on_after(0.5):
            await anext(tail)
        print("idle", flush=True)
        with anyio.move_on_after(30):
            await anext(tail)
anyio.run(main, backend=sys.argv[2])
"""


@pytest.mark.slow
async def test_200_idle_sessions_make_under_5_system_calls_a_second(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    import shutil

    if shutil.which("strace") is None:
        pytest.skip("no strace")
    directory = tmp_path / "sessions"  # the log lies beside it
    directory.mkdir()
    actors = [Actor(directory, i).open() for i in ids(200)]
    with subprocess.Popen(
        [sys.executable, "-c", _IDLE, str(directory), anyio_backend_name],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "idle\n"
        log = tmp_path / "strace"
        trace = ["timeout", "-s", "INT", "6", "strace", "-f", "-o", str(log), "-p", str(child.pid)]
        subprocess.run(trace, capture_output=True, check=False)
        child.kill()
    calls = [line for line in log.read_text().splitlines() if "(" in line]

    assert len(calls) < 5 * 6
    assert all(actor.writing for actor in actors)
