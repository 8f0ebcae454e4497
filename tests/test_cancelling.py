"""A step that is cancelled anywhere loses nothing and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from actors import Actor, Counts, cancelled_at, drain, records_of, take, threads_at_rest
from samples import ID, session_bytes
from sessiontail import (
    Outcome,
    Record,
    SessionNotFound,
    SessionStore,
    SessionTail,
)
from sessiontail.directory import scan, stock
from sessiontail.system.files import SessionFile
from sessiontail.system.locks import LockTable

pytestmark = pytest.mark.anyio

LONG = 700_000


@pytest.fixture(params=["events", "polling"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    # Short sweeps: a step that is cancelled late waits in vain before that.
    return SessionStore(
        tmp_path,
        events=request.param == "events",
        sweep_interval_s=0.02,
        poll_interval_s=0.01,
    )


@pytest.fixture(params=["cached", "in a thread"])
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "in a thread":
        monkeypatch.setattr(SessionFile, "read_cached", lambda *_: None)
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    gc.collect()
    before = Counts.now()
    yield
    gc.collect()
    assert Counts.at_rest(before) == before


async def by_scope(step: Coroutine[Any, Any, Record], moment: int) -> list[Record]:
    got: list[Record] = []
    with anyio.CancelScope() as scope:
        got.append(await cancelled_at(step, moment, scope.cancel))
    return got


async def by_native_cancel(step: Coroutine[Any, Any, Record], moment: int) -> list[Record]:
    task: asyncio.Task[Record]
    task = asyncio.ensure_future(_run(step, moment, lambda: task.cancel()))  # noqa: PLW0108 - it is bound later
    done, _ = await asyncio.wait([task])
    assert done == {task}
    return [] if task.cancelled() else [task.result()]


async def _run(
    step: Coroutine[Any, Any, Record], moment: int, cancel: Callable[[], object]
) -> Record:
    record: Record = await cancelled_at(step, moment, cancel)
    return record


async def by_timeout(step: Coroutine[Any, Any, Record], moment: int) -> list[Record]:
    got: list[Record] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            now = asyncio.get_running_loop().time()
            got.append(await cancelled_at(step, moment, lambda: limit.reschedule(now)))
    return got


async def by_wait_for(step: Coroutine[Any, Any, Record], moment: int) -> list[Record]:
    def cancel() -> None:
        task.cancel()

    task = asyncio.ensure_future(asyncio.wait_for(_run(step, moment, cancel), 10))
    await asyncio.wait([task])
    return [] if task.cancelled() else [task.result()]


async def by_group(step: Coroutine[Any, Any, Record], moment: int) -> list[Record]:
    """A sibling in the consumer's task group fails."""
    got: list[Record] = []
    ended: list[BaseException] = []
    fail = anyio.Event()

    async def consumer() -> None:
        try:
            got.append(await cancelled_at(step, moment, fail.set))
        except StopAsyncIteration as end:
            ended.append(end)
        fail.set()

    async def sibling() -> None:
        await fail.wait()
        raise ZeroDivisionError

    with suppress(ExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consumer)
            tasks.start_soon(sibling)
    if ended:
        raise ended[0]
    return got


WAYS = {
    "scope": by_scope,
    "native": by_native_cancel,
    "timeout": by_timeout,
    "wait_for": by_wait_for,
}


@pytest.fixture(params=WAYS)
def cancelling(request: pytest.FixtureRequest, anyio_backend: str) -> Any:
    if anyio_backend == "trio" and request.param != "scope":
        pytest.skip("asyncio's own")
    return WAYS[request.param]


async def torture(tail: SessionTail, cancelling: Any, got: list[Record]) -> list[Record]:
    """Pull to the end; each step is cancelled at its first suspension, its second, and so on."""
    while True:
        for moment in range(1, 1000):
            before = tail.cursor
            try:
                with anyio.fail_after(30):
                    record = await cancelling(tail.__anext__(), moment)
            except StopAsyncIteration:
                return got
            except RuntimeError as error:  # a task cannot end with StopAsyncIteration
                assert "StopAsyncIteration" in str(error)  # noqa: PT017 - or it is another
                return got
            if record:
                got += record
                break
            assert tail.cursor == before


async def torture_and_write_on(
    tail: SessionTail,
    cancelling: Any,
    waits: Callable[[], int],
    left: list[Any],
) -> list[Record]:
    async with anyio.create_task_group() as group:
        group.start_soon(writing_on, waits, left)
        got = await torture(tail, cancelling, [])
        group.cancel_scope.cancel()
    return got


async def writing_on(waits: Callable[[], int], left: list[Any]) -> None:
    """Go on where a wait is not cancelled, so that nothing else would end it."""
    before = -1
    while True:
        await anyio.sleep(0.02)
        if waits() == before and left:
            left.pop(0)()
        before = waits()


BEGINNINGS: dict[str, tuple[Any, str, Callable[[SessionStore], Any]]] = {
    "scan": (LockTable, "read", lambda store: store.scan()),
    "tail_all": (stock, "take_stock", lambda store: store.tail_all(include_closed=True)),
    "watch": (scan, "begin_scan", lambda store: store.watch(include_existing=True)),
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_a_step_that_is_cut_short_again_and_again_comes_to_its_end(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, beginning: str
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    where, name, make = BEGINNINGS[beginning]
    slow = getattr(where, name)
    released, calls = threading.Event(), 0

    def call(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        released.wait(30)
        return slow(*args)

    threads_at_rest()
    monkeypatch.setattr(where, name, call)
    stream = make(store)
    got: list[Any] = []

    async def step() -> None:
        got.append(await anext(stream))

    try:
        with anyio.fail_after(30):
            for _ in range(3):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(step)
                    while not (calls or got):
                        await anyio.sleep(0.001)
                    await wait_all_tasks_blocked()
                    tasks.cancel_scope.cancel()
            released.set()
            if not got:
                await step()
    finally:
        released.set()
        if hasattr(stream, "aclose"):
            await stream.aclose()
    assert (len(got), calls) == (1, 1)


STREAMS: dict[str, Callable[[SessionStore], Any]] = {
    "scan": lambda store: store.scan(),
    "tail_all": lambda store: store.tail_all(include_closed=True),
    "watch": lambda store: store.watch(include_existing=True),
}


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_second_task_that_pulls_is_told_so_and_the_first_goes_on(
    store: SessionStore, stream: str
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    shared = STREAMS[stream](store)
    got: list[Any] = []

    async def pull() -> None:
        try:
            got.append(await anext(shared))
        except anyio.BusyResourceError as error:
            got.append(error)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pull)
            tasks.start_soon(pull)
    if hasattr(shared, "aclose"):
        await shared.aclose()

    assert sorted(isinstance(item, anyio.BusyResourceError) for item in got) == [False, True]


@pytest.mark.parametrize("stream", ["tail_all", "watch"])
@pytest.mark.parametrize("steps", range(4))
async def test_a_stream_closed_at_any_moment_of_its_begin_ends(
    store: SessionStore, stream: str, steps: int
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    shared = STREAMS[stream](store)
    ended: list[bool] = []

    async def pull() -> None:
        try:
            await anext(shared)
            await anext(shared)
        except StopAsyncIteration:
            ended.append(True)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pull)
            for _ in range(steps):
                await checkpoint()
            await shared.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(shared)
    assert ended == [True]


@pytest.mark.parametrize("turns", range(4))
def test_a_stream_outlives_that_every_other_task_is_cancelled(
    store: SessionStore, turns: int
) -> None:
    (store.directory / f"{ID}.jsonl").write_bytes(session_bytes(3))
    got: list[Record] = []

    async def main() -> None:
        stream = store.tail_all(include_closed=True)

        async def pull() -> None:
            with suppress(asyncio.CancelledError):
                got.append((await anext(stream))[1])
            while len(got) < 5:
                got.append((await anext(stream))[1])

        task = asyncio.ensure_future(pull())
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        async with asyncio.timeout(30):
            await task
        await stream.aclose()

    asyncio.run(main())

    assert got == records_of(session_bytes(3))


@pytest.mark.parametrize("stream", ["tail", "tail_all", "watch"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_that_the_collector_meets_in_another_thread_leaves_nothing(
    tmp_path: Path, stream: str, backend: str
) -> None:
    (tmp_path / f"{ID}.jsonl.__partial__").write_bytes(session_bytes(3, closed=False))
    store = SessionStore(tmp_path)
    make: dict[str, Callable[[], Any]] = {
        "tail": lambda: store.tail(ID, on_abandoned="wait"),
        "tail_all": store.tail_all,
        "watch": store.watch,
    }

    async def main() -> None:
        cycle: list[Any] = [make[stream]()]
        cycle.append(cycle)
        with anyio.move_on_after(0.05):
            async for _ in cycle[0]:
                pass

    gc.collect()
    before = Counts.now()
    gc.disable()
    try:
        anyio.run(main, backend=backend)
        collecting = threading.Thread(target=gc.collect)
        collecting.start()
        collecting.join()
    finally:
        gc.enable()

    assert Counts.at_rest(before) == before


async def test_a_step_cancelled_at_any_moment_can_be_tried_again(
    store: SessionStore, reads: str, cancelling: Any
) -> None:
    with Actor(store.directory).open().say("one", "x" * LONG) as actor:
        actor.write(actor.chunk("torn")[:30])
        left = [
            lambda: actor.write(actor.chunk("torn")[30:]),
            lambda: actor.say("two"),
            lambda: actor.write(b"\n\nbad\n"),
            lambda: actor.say("three"),
            actor.close,
        ]
        tail = store.tail(actor.id)
        tail._max_line_bytes = LONG // 2
        waits = 0

        def gate(moment: str) -> None:
            nonlocal waits
            waits += moment == "before waiting"
            # The first waits are cancelled; then the writer goes on.
            if waits % 4 == 3 and moment == "before waiting" and left:
                left.pop(0)()

        tail._gate = gate
        got = await torture_and_write_on(tail, cancelling, lambda: waits, left)

        names = [type(record).__name__ for record in got]
        assert names == [
            "Header", "Chunk", "Damage", "Chunk", "Chunk", "Damage", "Chunk", "Trailer"
        ]  # fmt: skip
        owed = actor.records
        assert got[:2] + got[3:] == owed[:2] + owed[3:]
        assert tail.outcome is Outcome.CLOSED


async def test_a_wait_for_a_session_cancelled_at_any_moment_can_be_tried_again(
    store: SessionStore, cancelling: Any
) -> None:
    with Actor(store.directory) as actor:
        tail = store.tail(actor.id, wait=True)
        left = [lambda: actor.open().say("one").close()]
        looks = 0

        def gate(moment: str) -> None:
            nonlocal looks
            looks += moment == "before open"
            if looks == 9 and moment == "before open" and left:
                left.pop()()

        tail._gate = gate
        got = await torture_and_write_on(tail, cancelling, lambda: looks, left)

        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_reader_cancelled_at_any_moment_can_be_tried_again(
    store: SessionStore, reads: str, cancelling: Any
) -> None:
    path = store.directory / f"{ID}.jsonl"
    path.write_bytes(session_bytes(3))
    reader = store.read(ID)

    assert await torture(reader, cancelling, []) == records_of(session_bytes(3))  # type: ignore[arg-type] # the same pull side


async def test_a_shared_watch_serves_steps_that_are_cancelled(
    store: SessionStore, cancelling: Any
) -> None:
    async with store:
        with Actor(store.directory).open() as actor:
            tail = store.tail(actor.id)
            left = [lambda: actor.say("one"), actor.close]
            waits = 0

            def gate(moment: str) -> None:
                nonlocal waits
                waits += moment == "before waiting"
                if waits % 4 == 3 and moment == "before waiting" and left:
                    left.pop(0)()

            tail._gate = gate
            got = await torture_and_write_on(tail, cancelling, lambda: waits, left)

            assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def test_a_step_in_a_group_whose_other_task_fails_can_be_tried_again(
    store: SessionStore, reads: str
) -> None:
    path = store.directory / f"{ID}.jsonl"
    path.write_bytes(session_bytes(3))

    assert await torture(store.tail(ID), by_group, []) == records_of(session_bytes(3))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_shielded_step_keeps_its_record_for_whoever_asks_for_it(
    store: SessionStore,
) -> None:
    with Actor(store.directory).open() as actor:
        async with store.tail(actor.id) as tail:
            got = await take(tail, 1)
            step = asyncio.ensure_future(anext(tail))
            waiter = asyncio.ensure_future(_wait_shielded(step))
            await anyio.wait_all_tasks_blocked()
            waiter.cancel()
            await asyncio.wait([waiter])
            with pytest.raises(anyio.BusyResourceError):
                await anext(tail)
            actor.say("one", "two")
            got.append(await asyncio.wait_for(step, 10))
            actor.close()
            got += await drain(tail)

        assert waiter.cancelled()
        assert (got, tail.outcome) == (actor.records, Outcome.CLOSED)


async def _wait_shielded(step: asyncio.Future[Record]) -> Record:
    return await asyncio.shield(step)


async def test_a_cancel_is_answered_within_100_ms(store: SessionStore) -> None:
    with Actor(store.directory).open() as actor:
        async with store.tail(actor.id) as tail:
            await take(tail, 1)
            took_s = []
            for _ in range(20):  # the best of them is ours, the others are a busy machine's
                scope = anyio.CancelScope()

                def gate(moment: str, scope: anyio.CancelScope = scope) -> None:
                    if moment == "before waiting":
                        scope.cancel()

                tail._gate = gate
                start = anyio.current_time()
                with scope:
                    await anext(tail)
                took_s.append(anyio.current_time() - start)

            assert min(took_s) < 0.1


@pytest.mark.parametrize("ending", ["break", "raise", "drop", "drop in the midst", "close"])
async def test_a_consumer_that_leaves_leaves_nothing(store: SessionStore, ending: str) -> None:
    with Actor(store.directory).open().say("one") as actor:
        before = Counts.now()
        if ending == "break":
            async with store.tail(actor.id) as tail:
                async for _ in tail:
                    break
        elif ending == "raise":
            with suppress(ZeroDivisionError):
                async with store.tail(actor.id) as tail:
                    async for _ in tail:
                        raise ZeroDivisionError
        elif ending == "drop":
            tail = store.tail(actor.id)
            await take(tail, 1)
            del tail
        elif ending == "drop in the midst":
            tail = store.tail(actor.id)
            step = tail.__anext__()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await step
            del tail, step
        else:
            tail = store.tail(actor.id)
            await take(tail, 1)
            await tail.aclose()

        # At once, not at the next garbage collection.
        assert Counts.now() == before


async def test_a_dropped_tail_leaves_no_mark_in_the_stores_watch(store: SessionStore) -> None:
    async with store:
        with Actor(store.directory).open().say("one") as actor:
            tail = store.tail(actor.id)
            await take(tail, 1)
            del tail

            [watch] = store._place._held
            assert watch._followers.stems == []


async def test_a_failed_start_leaves_nothing(store: SessionStore) -> None:
    before = Counts.now()
    tail = store.tail(ID)
    with suppress(SessionNotFound):
        await anext(tail)
    with suppress(ValueError):
        store.tail(ID, on_abandoned="never")  # type: ignore[arg-type] # what is tested
    del tail

    assert Counts.now() == before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_shuts_down_in_the_midst_leaves_nothing(
    store: SessionStore, backend: str
) -> None:
    with Actor(store.directory).open().say("one") as actor:
        before = Counts.now()
        got: list[Record] = []

        async def collect() -> None:
            async for record in store.tail(actor.id):
                got.append(record)

        if backend == "asyncio":

            async def main() -> None:
                task = asyncio.ensure_future(collect())
                while len(got) < 2:
                    await asyncio.sleep(0)
                del task

            asyncio.run(main())
        else:

            async def trio_main() -> None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(collect)
                    while len(got) < 2:
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()

            trio.run(trio_main)
        gc.collect()

        assert got == actor.records
        assert Counts.now() == before


async def test_one_task_at_a_time_may_pull(store: SessionStore) -> None:
    with Actor(store.directory).open() as actor:
        async with store.tail(actor.id) as tail:
            await take(tail, 1)
            async with anyio.create_task_group() as tasks:

                async def second() -> None:
                    with pytest.raises(anyio.BusyResourceError):
                        await anext(tail)
                    actor.close()

                tasks.start_soon(second)
                got = await drain(tail)

            assert got == actor.records[1:]
