"""What running sessions do, moment by moment: all is counted once, and a wait that is cut loses nothing."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from actors import LONG_AGO_S, Actor, cancelled_at, held_of
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import PersistenceError, SessionState, SessionStore, monitor_sessions
from sessiontail.directory.activity_sums import DirectoryActivity
from sessiontail.directory.monitor import SessionMonitor

pytestmark = pytest.mark.anyio
TWO = UUID("4f2d0000-0000-4000-8000-000000000002")


def monitor_of(store: SessionStore, *, linger_s: float = 60.0) -> SessionMonitor:
    """Moments as fast as they come."""
    watch = store._place.watch
    return SessionMonitor(store.directory, watch=watch, interval_s=0.001, linger_s=linger_s)


async def until(
    monitor: SessionMonitor, fits: Callable[[DirectoryActivity], bool]
) -> DirectoryActivity:
    """The first moment that fits; more than 30 s is a failure."""
    with anyio.fail_after(30):
        while True:
            moment = await anext(monitor)
            if fits(moment):
                return moment


def states(moment: DirectoryActivity) -> list[tuple[str, int]]:
    return [(one.state.value, one.rows) for one in moment.sessions]


async def test_what_runs_already_is_counted_whole_and_is_no_rate(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one", "two") as actor:
        async with monitor_of(store) as monitor:
            moment = await monitor.caught_up()

            assert states(moment) == [("live", 2)]
            assert (moment.rows, moment.rows_per_s, moment.unread) == (2, 0.0, 0)
            actor.say("three")
            moment = await until(monitor, lambda m: m.rows == 3)
            assert moment.rows_per_s > 0
            assert moment.sessions[0].rows_per_s > 0


async def test_a_session_is_shown_from_its_begin_to_its_end_however_short_that_lingers(
    store: SessionStore,
) -> None:
    async with monitor_of(store, linger_s=0.0) as monitor:
        assert (await monitor.caught_up()).sessions == ()
        actor = Actor(store.directory).open().say("one")
        await until(monitor, lambda m: states(m) == [("live", 1)])
        actor.say("two").close()
        moment = await until(monitor, lambda m: states(m) == [("closed", 2)])
        assert moment.by_state == {SessionState.CLOSED: 1}
        moment = await until(monitor, lambda m: not m.sessions)

        assert (moment.rows, moment.by_state, moment.usage.unknown) == (2, {}, 1)


async def test_a_crash_shows_and_so_does_who_comes_back(store: SessionStore) -> None:
    async with monitor_of(store) as monitor:
        await monitor.caught_up()
        actor = Actor(store.directory).open().say("one")
        await until(monitor, lambda m: states(m) == [("live", 1)])
        actor.write(b"torn")
        actor.kill()
        moment = await until(monitor, lambda m: states(m) == [("abandoned", 1)])
        assert (moment.sessions[0].torn_bytes, moment.damaged_lines) == (4, 0)
        with actor.resume(cut=False).say("two"):
            moment = await until(monitor, lambda m: states(m) == [("live", 2)])

        (one,) = moment.sessions
        assert (one.is_whole, one.torn_bytes) == (True, 0)
        assert moment.damaged_lines == 1  # the second header, glued to what was torn


async def test_what_was_closed_or_given_up_before_is_not_read(store: SessionStore) -> None:
    Actor(store.directory, TWO).open().say("closed").close()
    old = Actor(store.directory).open().say("one", "two")
    old.kill()
    async with monitor_of(store) as monitor:
        moment = await monitor.caught_up()
        assert (moment.sessions, moment.size_bytes) == ((), 0)
        with old.resume(cut=False).say("three"):
            moment = await until(monitor, lambda m: m.rows == 1)

        # Of what it had before nothing is known.
        (one,) = moment.sessions
        assert (one.is_whole, one.title, one.findings_by_reason) == (
            False,
            "three",
            {"duplicate-header": 1},
        )


async def test_rows_of_an_earlier_session_are_left_out_and_are_no_gap(store: SessionStore) -> None:
    rows = [chunk_line(i, f"row {i}") for i in range(4)]
    first = store.directory / f"{ID}.jsonl"
    first.write_bytes(header_line() + b"".join(rows) + trailer_line(4))
    os.utime(first, (LONG_AGO_S, LONG_AGO_S))  # what is new may have been closed since the start
    child = Actor(store.directory, TWO).open(header=False)
    child.write(
        header_line(TWO, parent_session_ids=[str(ID)], lineage_kind="op_session_loop",
                    lineage_operator="session_loop")
    )  # fmt: skip
    child.write(b"".join(rows))
    child.write(chunk_line(4, "its own"))
    with child:
        async with monitor_of(store) as monitor:
            moment = await monitor.caught_up()

    (one,) = moment.sessions
    assert (one.rows, one.inherited_rows, one.title, one.findings_by_reason) == (
        1,
        4,
        "its own",
        {},
    )
    assert (moment.rows, moment.inherited_rows) == (1, 4)


async def test_a_long_file_is_counted_in_parts_and_all_of_it(store: SessionStore) -> None:
    with Actor(store.directory).open() as actor:
        actor.say(*["text"] * 5000)
        async with monitor_of(store) as monitor:
            moment = await monitor.caught_up()

    assert (moment.rows, moment.size_bytes) == (5000, len(actor.data))
    assert moment.sessions[0].findings_by_reason == {}


@pytest.mark.parametrize("moment", range(1, 7))
async def test_a_wait_that_is_cut_short_anywhere_loses_nothing(
    store: SessionStore, moment: int
) -> None:
    with Actor(store.directory).open().say(*["text"] * 700):
        async with monitor_of(store) as monitor:
            with anyio.CancelScope() as scope:
                await cancelled_at(monitor.caught_up(), moment, scope.cancel)
            found = await monitor.caught_up()

    assert states(found) == [("live", 700)]
    assert found.sessions[0].findings_by_reason == {}


async def test_an_absent_directory_is_waited_for_and_one_that_goes_too(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    store = SessionStore(directory, poll_interval_s=0.01, sweep_interval_s=0.01)
    async with monitor_of(store) as monitor:
        assert not (await monitor.caught_up()).present
        directory.mkdir()
        with Actor(directory).open().say("one"):
            await until(monitor, lambda m: m.present and states(m) == [("live", 1)])
            shutil.rmtree(directory)
            moment = await until(monitor, lambda m: not m.present and not m.sessions)
        assert moment.rows == 1
        directory.mkdir()
        with Actor(directory, TWO).open().say("two"):
            moment = await until(monitor, lambda m: states(m) == [("live", 1)])
        assert moment.rows == 2


async def test_an_empty_directory_that_comes_is_told_of_without_a_session(tmp_path: Path) -> None:
    directory = tmp_path / "later"
    store = SessionStore(directory, sweep_interval_s=0.05, poll_interval_s=0.05)
    async with monitor_of(store) as monitor:
        assert not (await anext(monitor)).present
        directory.mkdir()
        with anyio.fail_after(30):
            assert (await anext(monitor)).present


async def test_a_file_that_cannot_be_read_is_named_and_stops_no_other(store: SessionStore) -> None:
    (store.directory / f"{TWO}.jsonl.__partial__").mkdir()
    with Actor(store.directory).open().say("one"):
        async with monitor_of(store) as monitor:
            moment = await monitor.caught_up()

    assert states(moment) == [("live", 1)]
    assert [*moment.unreadable] in ([], [str(TWO)])


async def test_nothing_comes_while_nothing_happens(store: SessionStore) -> None:
    async with monitor_of(store) as monitor:
        await monitor.caught_up()
        found: list[DirectoryActivity] = []

        async def wait() -> None:
            found.append(await anext(monitor))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await wait_all_tasks_blocked()
            assert found == []
            with pytest.raises(
                PersistenceError, match="another task waits for this SessionMonitor"
            ):
                await anext(monitor)
            group.cancel_scope.cancel()


async def test_moments_come_while_rates_fall_and_not_when_they_have(store: SessionStore) -> None:
    async with monitor_of(store) as monitor:
        await monitor.caught_up()
        monitor._changed = False
        for falling, due_s in ((True, 1.0), (False, float("inf"))):
            monitor._falling = falling

            assert monitor._due_s() == monitor._shown_s + due_s


async def test_with_many_sessions_moments_come_more_seldom(store: SessionStore) -> None:
    async with monitor_of(store) as monitor:
        await monitor.caught_up()
        monitor._cost_s, monitor._changed = 0.1, True

        assert monitor._due_s() == monitor._shown_s + 2.0


async def test_who_is_left_holds_nothing_and_ends(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one") as actor:
        monitor = monitor_of(store)
        async with monitor:
            await monitor.caught_up()
            assert repr(monitor).endswith("/sessions, 1 session>")
            assert str(actor.wal) in held_of(store.directory)

        assert [*filter(None, held_of(store.directory))] == [str(actor.wal)]  # the writer's own
        with pytest.raises(StopAsyncIteration):
            await anext(monitor)


async def test_one_that_is_dropped_is_gone_at_once(store: SessionStore) -> None:
    with Actor(store.directory).open().say("one"):
        monitor = monitor_of(store)
        await monitor.caught_up()
        gone = weakref.ref(monitor)
        del monitor
        if gone() is not None:
            gc.collect()

        assert gone() is None


def test_an_interval_is_a_positive_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="interval_s"):
        monitor_sessions(directory=tmp_path, interval_s=0)


async def test_it_is_made_of_a_directory(tmp_path: Path) -> None:
    with Actor(tmp_path).open().say("one"):
        async with monitor_sessions(directory=tmp_path) as monitor:
            assert (await monitor.caught_up()).rows == 1
