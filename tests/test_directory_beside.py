"""Looks that have to wait go on in threads beside the line, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor
from sessiontail.directory import beside as module
from sessiontail.directory.beside import MOST_BESIDE, Beside
from sessiontail.directory.holding import OpenFiles
from sessiontail.directory.lane import Lane
from sessiontail.directory.schedule import LaneState, Rest
from sessiontail.format.cursor import START
from sessiontail.system.signals import Home, Signal
from sessiontail.system.stats import StoreStats
from sessiontail.system.threads import NoThread
from test_directory_opening import followed

pytestmark = pytest.mark.anyio


class Bench:
    """Lanes beside the line, and what waits for them."""

    def __init__(self, directory: Path, most: int | None = None) -> None:
        self.directory = directory
        self.signal = Signal()
        self.files = OpenFiles(most, StoreStats())
        self.beside = Beside(str(directory), Home(), self.signal, self.files)
        self.lanes: list[Lane] = []

    def closed(self) -> Lane:
        """A lane that is to be opened."""
        self.lanes.append(Lane(f"closed {len(self.lanes)}", START))
        return self.lanes[-1]

    def opened(self) -> Lane:
        """A lane that is to be read on."""
        session_id = UUID(int=len(self.lanes) + 1)
        Actor(self.directory, session_id).open().kill()
        self.lanes.append(Lane(str(session_id), START))
        followed(self.lanes[-1], self.directory)
        return self.lanes[-1]

    async def back(self, count: int) -> list[Lane]:
        """The next so many that threads are done with."""
        found: list[Lane] = []
        with anyio.fail_after(30):
            while len(found) < count:
                await self.signal.wait()
                found += self.beside.back
                self.beside.back.clear()
        return found

    def leave(self) -> None:
        for lane in self.lanes:
            lane.close_file()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()  # no thread is left waiting


def nothing(*_: object, **__: object) -> Rest:
    return Rest(LaneState.IDLE)


async def test_a_look_is_taken_in_a_thread_that_may_wait_and_comes_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lane = bench.closed()

    def look(*, block: bool) -> tuple[bool, int]:
        return block, threading.get_ident()

    bench.beside.lend(lane, look, nothing)
    assert lane.call is None  # not before it is started
    assert [*bench.beside.start()] == []
    assert await bench.back(1) == [lane]
    call, function, then = bench.beside.take(lane)
    block, thread = call.result()

    assert (block, function, then) == (True, look, nothing)
    assert thread != threading.get_ident()
    assert (lane.call, lane.work, bench.files.opening) == (None, None, 0)


async def test_what_a_look_raises_is_for_who_takes_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lane = bench.closed()

    def look(*, block: bool) -> None:
        raise OSError("no such sector")

    bench.beside.lend(lane, look, nothing)
    assert [*bench.beside.start()] == []
    await bench.back(1)
    call, _, _ = bench.beside.take(lane)

    with pytest.raises(OSError, match="sector"):
        call.result()


async def test_only_some_are_beside_the_line_and_the_next_goes_when_one_is_taken(
    tmp_path: Path, released: threading.Event
) -> None:
    bench = Bench(tmp_path)

    def look(*, block: bool) -> bool:
        return released.wait(30)

    lanes = [bench.opened() for _ in range(MOST_BESIDE + 2)]
    for lane in lanes:
        bench.beside.lend(lane, look, nothing)
    assert [*bench.beside.start()] == []
    assert [lane.call is not None for lane in lanes] == [True] * MOST_BESIDE + [False] * 2
    released.set()
    first, *_ = await bench.back(1)
    assert [*bench.beside.start()] == []
    before = [lane.call is not None for lane in lanes[-2:]]  # who came back is not taken yet
    bench.beside.take(first)
    assert [*bench.beside.start()] == []

    assert before == [False, False]
    assert [lane.call is not None for lane in lanes[-2:]] == [True, False]
    bench.leave()


async def test_who_opens_and_who_reads_have_turns(
    tmp_path: Path, released: threading.Event
) -> None:
    bench = Bench(tmp_path, most=100)

    def look(*, block: bool) -> bool:
        return released.wait(30)

    reads = [bench.opened() for _ in range(MOST_BESIDE)]
    opens = [bench.closed() for _ in range(MOST_BESIDE)]
    for lane in [*reads, *opens]:
        bench.beside.lend(lane, look, nothing)
    assert [*bench.beside.start()] == []
    out = [sum(lane.call is not None for lane in lanes) for lanes in (reads, opens)]

    assert out == [MOST_BESIDE // 2] * 2
    assert bench.files.opening == MOST_BESIDE // 2
    released.set()
    bench.leave()


async def test_who_may_open_nothing_now_waits_and_holds_up_no_reading(
    tmp_path: Path, released: threading.Event
) -> None:
    bench = Bench(tmp_path, most=1)

    def look(*, block: bool) -> bool:
        return released.wait(30)

    keeper = bench.opened()  # has more to read, and keeps the one descriptor
    bench.files.add(keeper)
    opens = [bench.closed() for _ in range(4)]
    for lane in [*opens, keeper]:
        bench.beside.lend(lane, look, nothing)
    assert [*bench.beside.start()] == []

    assert [lane.call is not None for lane in opens] == [True, True, False, False]
    assert keeper.call is not None
    released.set()
    bench.leave()


async def test_where_no_thread_is_to_be_had_the_lane_is_given_back_with_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    lanes = [bench.closed() for _ in range(2)]
    for lane in lanes:
        bench.beside.lend(lane, lambda *, block: block, nothing)

    def none(*_: Any, **__: Any) -> None:
        raise NoThread

    with monkeypatch.context() as patch:
        patch.setattr(module, "Call", none)
        given = [*bench.beside.start()]
    assert [lane for lane, _ in given] == lanes
    assert all(isinstance(error, NoThread) for _, error in given)
    assert [(lane.work, lane.call) for lane in lanes] == [(None, None)] * 2
    assert bench.files.opening == 0

    bench.beside.lend(lanes[0], lambda *, block: block, nothing)
    assert [*bench.beside.start()] == []
    assert await bench.back(1) == lanes[:1]
