"""Blocking calls have threads of our own: bounded, a place apart, and gone when idle."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from actors import Actor, drain, heard, nothing_more, owed, take
from samples import ID
from sessiontail import SessionStore
from sessiontail.session import ending
from sessiontail.system import threads
from sessiontail.system.files import MAX_THREADS, SessionFile, change
from sessiontail.system.signals import on_asyncio
from sessiontail.system.threads import MOST_LONG, NoThread, Threads, cores, long_place


@contextmanager
def others_blocked() -> Iterator[None]:
    """The program has every thread that it shares with others."""
    released = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.available_tokens))]
    for borrower in borrowers:
        limiter.acquire_on_behalf_of_nowait(borrower)
    if on_asyncio():
        import asyncio

        pool = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(released.wait, 60)
    try:
        yield
    finally:
        released.set()
        for borrower in borrowers:
            limiter.release_on_behalf_of(borrower)


@pytest.mark.anyio
async def test_reading_goes_on_while_the_program_has_all_shared_threads(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is in the page cache: every read takes a thread.
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    actor = Actor(store.directory).open().say("one")
    with others_blocked(), anyio.fail_after(30):
        async with store, store.tail_all() as every, store.tail(ID) as lone:
            assert await heard(every, 2) == owed(actor)
            assert await take(lone, 2) == actor.records
            actor.say("two")
            assert (await heard(every, 1))[ID] == actor.records[-1:]
            assert await take(lone, 1) == actor.records[-1:]
            loaded = await store.load(ID)
            metas = await store.list()
            meta = await store.meta(ID)
            read = await drain(store.read(ID))

    assert [meta.id] == [meta.id for meta in metas] == [ID]
    assert len(loaded.chunk_table) == 2
    assert read == actor.records


@pytest.mark.anyio
async def test_a_sandbox_that_takes_for_ever_to_attach_holds_up_no_reading(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, released = threading.Semaphore(0), threading.Event()

    def attach(*_: object) -> tuple[Any, Any]:
        entered.release()
        released.wait(60)
        raise KeyError

    monkeypatch.setattr("sessiontail.openrath._pair", attach)
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    actor = Actor(store.directory).open().say("one")
    session = await store.load(ID)
    async with store, store.tail_all() as tail, anyio.create_task_group() as tasks:
        for _ in range(2 * MAX_THREADS):
            tasks.start_soon(_refused, session.to_resumable_pair)
        await anyio.sleep(0)
        for _ in range(2 * MAX_THREADS):
            while not entered.acquire(blocking=False):
                await anyio.sleep(0.001)
        try:
            assert await heard(tail, 2) == owed(actor)
            with anyio.fail_after(30):
                assert [meta.id for meta in await store.list()] == [ID]
        finally:
            released.set()


async def _refused(resume: Any) -> None:
    with pytest.raises(KeyError):
        await resume()


@pytest.mark.anyio
async def test_locks_that_are_waited_for_hold_up_no_reading(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    actor = Actor(store.directory).open().say("one")
    async with store, store.tail_all() as tail, anyio.create_task_group() as tasks:
        for _ in range(2 * MAX_THREADS):
            tasks.start_soon(change, released.wait, 60)
        try:
            assert await heard(tail, 2) == owed(actor)
        finally:
            released.set()


def result_of(future: Future[Any]) -> Any:
    return future.result(30)


def test_a_call_gives_its_result_or_its_error() -> None:
    pool = Threads()

    assert result_of(pool.submit(divmod, 7, 2)) == (3, 1)
    assert result_of(pool.submit(dict, a=1)) == {"a": 1}
    assert result_of(pool.submit_at("here", divmod, 7, 2)) == (3, 1)
    assert result_of(pool.at("here").submit(dict, a=1)) == {"a": 1}
    with pytest.raises(ZeroDivisionError):
        result_of(pool.submit_at("here", divmod, 1, 0))
    with pytest.raises(SystemExit):
        result_of(pool.submit(sys.exit))
    assert result_of(pool.submit(int, "1")) == 1


def test_a_call_cancelled_before_it_began_is_not_made() -> None:
    pool, released = Threads(most=1), threading.Event()
    made: list[int] = []
    first = pool.submit(released.wait, 30)
    second = pool.submit(made.append, 1)

    cancelled = second.cancel()
    released.set()
    result_of(first)
    result_of(pool.submit(int))

    assert (cancelled, made) == (True, [])


class Gauge:
    """Counts the calls that run at once, and holds each until it is released."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.entered = threading.Semaphore(0)
        self.released = threading.Event()
        self.now = self.most = 0

    def run(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.entered.release()
        self.released.wait(30)
        with self._lock:
            self.now -= 1


def test_no_more_calls_than_threads_run_at_once() -> None:
    pool, gauge = Threads(most=3), Gauge()
    futures = [pool.submit(gauge.run) for _ in range(9)]
    for _ in range(3):
        assert gauge.entered.acquire(timeout=30)

    gauge.released.set()
    for future in futures:
        result_of(future)

    assert gauge.most == 3


def test_a_place_has_its_own_bound_and_leaves_the_rest_to_others() -> None:
    pool, gauge = Threads(most=8, most_at_a_place=2), Gauge()
    futures = [pool.submit_at("hangs", gauge.run) for _ in range(9)]
    for _ in range(2):
        assert gauge.entered.acquire(timeout=30)

    assert result_of(pool.submit_at("other", int, "1")) == 1
    assert result_of(pool.submit(int, "2")) == 2
    gauge.released.set()
    for future in futures:
        result_of(future)

    assert gauge.most == 2


def test_what_takes_long_leaves_the_threads_of_its_place_to_others() -> None:
    pool, gauge = Threads(most=8, most_at_a_place=4), Gauge()
    futures = [pool.submit_at(long_place("sessions"), gauge.run) for _ in range(9)]
    for _ in range(MOST_LONG):
        assert gauge.entered.acquire(timeout=30)

    for _ in range(4):
        assert result_of(pool.submit_at("sessions", int, "1")) == 1
    gauge.released.set()
    for future in futures:
        result_of(future)

    assert gauge.most == MOST_LONG


def test_calls_of_a_place_are_made_in_the_order_in_which_they_came() -> None:
    pool, gauge = Threads(most_at_a_place=1), Gauge()
    order: list[int] = []
    first = pool.submit_at("here", gauge.run)
    futures = [pool.submit_at("here", order.append, number) for number in range(9)]
    gauge.released.set()
    for future in (first, *futures):
        result_of(future)

    assert order == [*range(9)]


def test_a_pool_is_busy_as_long_as_something_runs_or_waits() -> None:
    pool, gauge = Threads(most_at_a_place=1), Gauge()
    idle = pool.busy
    futures = [pool.submit_at("here", gauge.run) for _ in range(2)]
    at_work = pool.busy
    gauge.released.set()
    for future in futures:
        result_of(future)
    until_s = time.monotonic() + 30
    while pool.busy and time.monotonic() < until_s:
        time.sleep(0.001)

    assert (idle, at_work, pool.busy) == (False, True, False)


def test_threads_without_work_end_and_others_take_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_IDLE_S", 0.001)
    pool = Threads()
    for _ in range(3):
        thread = result_of(pool.submit(threading.current_thread))
        thread.join(30)

        assert thread.daemon
        assert not thread.is_alive()


def test_a_thread_that_is_free_takes_the_next_call() -> None:
    pool = Threads()
    found = set()
    for _ in range(20):
        found.add(result_of(pool.submit(threading.get_ident)))
        while not pool._idle:
            time.sleep(0.001)

    assert len(found) == 1


def test_what_a_call_held_is_given_back_with_its_result() -> None:
    import weakref

    class Held:
        pass

    pool, held = Threads(), Held()
    alive = weakref.ref(held)
    result_of(pool.submit(id, held))
    del held
    until_s = time.monotonic() + 30
    while alive() is not None and time.monotonic() < until_s:
        time.sleep(0.001)

    assert alive() is None


_FORKED = """
import os, sys
import anyio
from sessiontail import SessionStore
async def main():
    print(len(await SessionStore(sys.argv[1]).list()), flush=True)
anyio.run(main, backend=sys.argv[2])
pid = os.fork()
if not pid:
    anyio.run(main, backend=sys.argv[2])
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

_HANGING = """
import threading
from sessiontail.system.threads import threads
entered = threading.Event()
threads().submit(lambda: (entered.set(), threading.Event().wait()))
entered.wait()
print("ends")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_forked_child_has_threads_of_its_own(tmp_path: Path, backend: str) -> None:
    Actor(tmp_path).open().close()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKED, str(tmp_path), backend],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stdout, done.returncode) == ("1\n1\n", 0), done.stderr


def test_a_call_that_hangs_keeps_no_program_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HANGING], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "ends\n"


@contextmanager
def no_thread_to_be_had() -> Iterator[None]:
    """As under ``ulimit -u``, or the ``pids.max`` of a container."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


def test_there_is_a_processor_to_run_on() -> None:
    assert cores() >= 1


def test_a_pool_that_could_start_no_thread_works_once_it_can() -> None:
    pool = Threads()
    with no_thread_to_be_had():
        for _ in range(100):
            with pytest.raises(NoThread, match="no thread can be started: raise `ulimit -u`"):
                pool.submit_at("a place", int)

    assert not pool.busy
    assert pool.submit_at("a place", int, "7").result(30) == 7


def test_a_call_that_gets_no_thread_of_its_own_takes_the_next_that_is_free() -> None:
    pool = Threads()
    released = threading.Event()
    first = pool.submit(released.wait, 30)
    with no_thread_to_be_had():
        second = pool.submit(int, "7")
        released.set()

        assert first.result(30)
        assert second.result(30) == 7


@pytest.mark.anyio
async def test_a_stream_outlives_that_no_thread_was_to_be_had(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "FAILED_RECHECK_S", 0.01)
    monkeypatch.setattr(threads, "_pool", Threads())
    first, second = (Actor(store.directory, uuid4()).open() for _ in range(2))
    async with store, store.tail_all() as tail:
        await heard(tail, 2)
        while threads.threads().busy:
            await anyio.sleep(0.001)
        monkeypatch.setattr(threads, "_pool", Threads())  # whose threads have ended
        with no_thread_to_be_had():
            first.close()
            second.kill()
            await heard(tail, 1)
            assert await nothing_more(tail, 0.05)
        with anyio.fail_after(60):
            while not all(lane.abandoned for lane in tail._following.sessions.lanes.values()):
                await nothing_more(tail, 0.01)

        assert [*tail._following.sessions.lanes] == [str(second.id)]
