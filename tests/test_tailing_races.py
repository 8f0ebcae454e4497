"""What happens between two looks of a tail, forced through its gates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import Actor, drain, take
from sessiontail import Outcome, Record, SessionStore, SessionTail
from sessiontail.session import ending
from sessiontail.system.files import SessionFile
from sessiontail.system.signals import Home

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["events", "polling"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"events": request.param == "events", "poll_interval_s": 0.01}


@pytest.fixture
def store(options: dict[str, Any], tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path, **options)


def at(tail: SessionTail, moment: str, *actions: Callable[[], object]) -> None:
    """Run the first action when the tail first comes to the moment, the second at the next."""
    waiting = list(actions)

    def gate(name: str) -> None:
        if name == moment and waiting:
            waiting.pop(0)()

    tail._gate = gate
    if tail._follower is not None:
        tail._follower.gate = gate


def nothing() -> None:
    pass


@pytest.mark.parametrize("moment", ["before open", "end met", "before waiting"])
async def test_what_is_appended_before_the_close_is_delivered_before_the_end(
    store: SessionStore, moment: str
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        at(tail, moment, lambda: actor.say("two").close())

        got = await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


@pytest.mark.parametrize("moment", ["before open", "end met", "before waiting"])
async def test_a_rename_that_comes_late_is_waited_for(
    store: SessionStore, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "RENAME_GRACE_S", 600.0)  # however long three looks take
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        at(tail, moment, actor.finish, actor.rename)
        if moment == "before open":
            at(tail, "before waiting", actor.finish, nothing, actor.rename)

        got = await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_rename_between_the_two_names_is_no_deletion(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        aside = store.directory / "aside"

        def hide() -> None:
            actor.finish()
            actor.wal.rename(aside)

        at(tail, "end met", hide)
        tail_gate = tail._gate

        def gate(name: str) -> None:
            tail_gate(name)
            if name == "wal name looked at" and aside.exists():
                aside.rename(actor.final)

        tail._gate = gate
        got = await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_file_under_neither_name_for_a_moment_is_not_gone(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        aside = store.directory / "aside"
        at(tail, "end met", lambda: actor.wal.rename(aside))
        hidden = tail._gate

        def gate(name: str) -> None:
            hidden(name)
            if name == "before waiting" and aside.exists():
                aside.rename(actor.wal)
                actor.say("two")

        tail._gate = gate
        got = await take(tail, 3)
        actor.close()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_new_generation_beside_a_closed_file_changes_nothing(store: SessionStore) -> None:
    with (
        Actor(store.directory).open().say("one") as actor,
        Actor(store.directory) as second,
    ):
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.close()
        at(tail, "wal name looked at", lambda: second.open().say("two"))
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


@pytest.mark.parametrize("cut", [True, False])
async def test_a_writer_that_is_back_before_the_last_look_goes_on(
    store: SessionStore, *, cut: bool
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        actor.write(actor.chunk("torn")[:40])
        actor.kill()
        at(tail, "verdict formed", lambda: actor.resume(cut=cut).say("two"))
        got = await take(tail, len(actor.records) + 2 if cut else 4)
        actor.close()
        got += await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_verdict_does_not_outlive_the_step_that_formed_it(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every read goes to a thread, so that the look behind the verdict can be cancelled.
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    with Actor(store.directory).open().say("one") as actor:
        tail = store.tail(actor.id)
        got = await take(tail, 2)
        actor.kill()
        home, left = Home(), threading.Event()
        with anyio.CancelScope() as scope:

            def leave() -> None:
                home.soon(scope.cancel)
                left.wait(10)

            at(tail, "verdict formed", leave)
            with anyio.fail_after(10):
                await anext(tail)
        actor.open(header=False)
        left.set()
        at(tail, "before waiting", lambda: actor.say("two"))
        got += await take(tail, 1)

        assert got == actor.records


async def test_a_session_made_and_closed_before_the_first_look_is_whole(
    store: SessionStore,
) -> None:
    with Actor(store.directory) as actor:
        tail = store.tail(actor.id, wait=True)
        at(tail, "before open", lambda: actor.open().say("one").close())

        got = await drain(tail)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


@pytest.mark.parametrize("directory", ["there", "made later"])
async def test_a_session_made_and_closed_while_it_is_waited_for_is_whole(
    tmp_path: Path, directory: str, options: dict[str, Any]
) -> None:
    place = tmp_path if directory == "there" else tmp_path / "sessions"
    store = SessionStore(place, **options)
    got: list[Record] = []
    with Actor(store.directory) as actor:
        async with store.tail(actor.id, wait=True) as tail, anyio.create_task_group() as tasks:

            async def collect() -> None:
                got.extend(await drain(tail))

            tasks.start_soon(collect)
            await wait_all_tasks_blocked()
            store.directory.mkdir(exist_ok=True)
            actor.open().say("one", "two").close()

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_torn_line_cut_between_the_reads_of_it_leaves_no_stale_byte(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Actor(store.directory).open() as actor:
        tail = store.tail(actor.id)
        actor.write(actor.chunk("a" * 600_000)[:-100])
        reads = 0
        plain = SessionFile.read_cached

        def read_cached(self: SessionFile, offset: int, size: int) -> bytes | None:
            nonlocal reads
            data = plain(self, offset, size)
            reads += offset > 0
            if reads == 1:
                actor.cut(len(actor.whole))
                actor.say("b" * 700_000)
                reads += 1
            return data

        got = await take(tail, 1)
        monkeypatch.setattr(SessionFile, "read_cached", read_cached)
        got += await take(tail, 1)

        assert got == actor.records
