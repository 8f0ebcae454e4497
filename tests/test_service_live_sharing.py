"""One reading for all clients that stand at the same place, on asyncio and on trio."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from actors import held_of
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import CursorInvalid, SessionNotFound, SessionStore
from sessiontail.service.context import Context, Limits
from sessiontail.service.live import readings, sharing as module
from sessiontail.service.live.frames import Frame
from sessiontail.service.live.sharing import Place, Sharing

pytestmark = pytest.mark.anyio


class Session:
    """A session that a test writes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{ID}.jsonl.__partial__"
        self.written = 0
        self.path.write_bytes(header_line())

    def write(self, count: int = 1, text: str = "row") -> None:
        lines = [chunk_line(self.written + i, text) for i in range(count)]
        self.written += count
        with self.path.open("ab") as file:
            file.write(b"".join(lines))

    def close(self) -> None:
        with self.path.open("ab") as file:
            file.write(trailer_line(self.written))
        self.path.rename(self.path.with_name(f"{ID}.jsonl"))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


@pytest.fixture
async def sharing(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Sharing]:
    sharing = Sharing(Context(SessionStore(tmp_path), Limits()))
    yield sharing
    assert len(sharing) == 0
    assert held_of(tmp_path) == []


async def read(place: Place, count: int) -> list[Frame]:
    """So many frames, or more where more come at once."""
    got: list[Frame] = []
    while len(got) < count:
        got += await place.frames()
    return got


async def read_to_end(place: Place) -> list[Frame]:
    got: list[Frame] = []
    while frames := await place.frames():
        got += frames
    return got


def indexes(frames: list[Frame]) -> list[bytes]:
    return [frame.data.partition(b'"index": ')[2].partition(b",")[0] for frame in frames]


def named(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


async def test_many_clients_at_one_place_have_one_reading_and_each_gets_each_record_once(
    sharing: Sharing, session: Session, tmp_path: Path
) -> None:
    session.write(3)
    got: list[list[Frame]] = [[] for _ in range(20)]
    there = anyio.Semaphore(0)

    async def follow(mine: list[Frame]) -> None:
        with Place(sharing, ID, None) as place:
            await place.begin()
            while frames := await place.frames():
                mine += frames
                there.release()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, got[0])
        while len(got[0]) < 4:
            await there.acquire()
        for mine in got[1:]:
            tasks.start_soon(follow, mine)
        while any(len(mine) < 4 for mine in got):
            await there.acquire()
        session.write()
        while any(len(mine) < 5 for mine in got):
            await there.acquire()
        assert (len(sharing), len(held_of(tmp_path))) == (1, 2)  # the file, and inotify
        session.close()

    frames = got[0]
    assert [frame.event for frame in frames] == ["header", *["chunk"] * 4, "trailer", "end"]
    assert all(mine == frames for mine in got)  # the very same: encoded once


async def test_many_that_begin_at_once_get_each_record_once(
    sharing: Sharing, session: Session
) -> None:
    session.write(60)
    got: list[list[Frame]] = [[] for _ in range(10)]

    async def follow(mine: list[Frame]) -> None:
        with Place(sharing, ID, None) as place:
            await place.begin()
            mine += await read(place, 40)
            if not session.written > 60:
                session.write(40)
                session.close()
            mine += await read_to_end(place)

    async with anyio.create_task_group() as tasks:
        for mine in got:
            tasks.start_soon(follow, mine)

    owed = [b"", *named(*range(100)), b"", b""]
    assert [indexes(mine) for mine in got] == [owed] * 10


async def test_of_all_who_come_to_a_place_at_once_one_opens_the_file(
    sharing: Sharing, session: Session
) -> None:
    session.write(3)
    got: list[list[Frame]] = [[] for _ in range(20)]
    all_there = anyio.Event()

    async def follow(mine: list[Frame]) -> None:
        with Place(sharing, ID, None) as place:
            await place.begin()
            mine += await read(place, 4)
            if all(got):
                all_there.set()
            await all_there.wait()

    async with anyio.create_task_group() as tasks:
        for mine in got:
            tasks.start_soon(follow, mine)

    assert [indexes(mine) for mine in got] == [[b"", *named(0, 1, 2)]] * 20
    assert sharing._made == 1


async def test_where_the_one_that_opens_the_file_leaves_the_others_open_it(
    sharing: Sharing, session: Session
) -> None:
    session.write(3)
    got: list[list[Frame]] = [[] for _ in range(3)]

    async def follow(mine: list[Frame], scope: anyio.CancelScope) -> None:
        with scope, Place(sharing, ID, None) as place:
            await place.begin()
            mine += await read(place, 4)

    first = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, [], first)
        for mine in got:
            tasks.start_soon(follow, mine, anyio.CancelScope())
        first.cancel()

    assert [indexes(mine) for mine in got] == [[b"", *named(0, 1, 2)]] * 3


async def test_a_late_client_whose_frames_are_dropped_goes_on_from_the_file(
    sharing: Sharing, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 2000)
    with Place(sharing, ID, None) as early, Place(sharing, ID, None) as late:
        await early.begin()
        await late.begin()
        first = await read(late, 1)
        for _ in range(50):
            session.write()
            await read(early, 1)
        assert early._reading is late._reading
        session.close()
        rest = await read_to_end(late)
        await read_to_end(early)

    assert indexes(first + rest) == [b"", *named(*range(50)), b"", b""]


async def test_readings_that_meet_become_one(
    sharing: Sharing, session: Session, tmp_path: Path
) -> None:
    session.write(5)
    with Place(sharing, ID, None) as one:
        await one.begin()
        seen = await read(one, 6)
        with Place(sharing, ID, seen[2].event_id) as two, ExitStack() as stack:
            # It stands in the first reading's frames; another one stands where nothing is kept.
            await two.begin()
            assert len(sharing) == 1
            sharing.find(ID, seen[1].event_id).places.pop(seen[1].event_id)  # type: ignore[union-attr] # it is found
            three = stack.enter_context(Place(sharing, ID, seen[1].event_id))
            await three.begin()
            assert len(sharing) == 2
            got = await read(three, 4)
            session.write()
            got += await read(three, 1)

            assert indexes(got) == named(1, 2, 3, 4, 5)
            assert len(sharing) == 1
            assert three._reading is one._reading


async def test_where_the_one_that_pulls_is_cancelled_another_one_pulls(
    sharing: Sharing, session: Session
) -> None:
    got: list[Frame] = []
    waiting = anyio.Semaphore(0)

    async def follow(mine: list[Frame], scope: anyio.CancelScope) -> None:
        with scope, Place(sharing, ID, None) as place:
            await place.begin()
            await read(place, 1)
            waiting.release()
            mine += await read(place, 1)

    scopes = [anyio.CancelScope() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for scope in scopes:
            tasks.start_soon(follow, got, scope)
            await waiting.acquire()
        await anyio.wait_all_tasks_blocked()
        for scope in scopes[:3]:
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
        session.write()

    assert indexes(got) == named(0)


async def test_clients_that_come_and_go_at_random_get_each_record_once(
    sharing: Sharing, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 5000)
    monkeypatch.setattr(module, "_LEAST_BYTES", 5000)
    monkeypatch.setattr(readings, "_STEP_BYTES", 2000)
    monkeypatch.setattr(readings, "_WOKEN_AT_ONCE", 2)
    rng = random.Random(7)
    got: list[list[Frame]] = [[] for _ in range(8)]

    async def follow(mine: list[Frame]) -> None:
        while not mine or mine[-1].event != "end":
            cursor = mine[-1].event_id if mine else None
            with anyio.move_on_after(rng.choice((0.0, 0.001, 0.01, 5))):
                with Place(sharing, ID, cursor) as place:
                    await place.begin()
                    while frames := await place.frames():
                        mine += frames
                        if rng.random() < 0.2:
                            break
                        await anyio.sleep(rng.choice((0.0, 0.0, 0.002)))

    async with anyio.create_task_group() as tasks:
        for mine in got:
            tasks.start_soon(follow, mine)
        while session.written < 150:
            session.write(rng.randrange(1, 8))
            await anyio.sleep(rng.choice((0.0, 0.001)))
        session.close()

    owed = [b"", *named(*range(session.written)), b"", b""]
    assert [indexes(mine) for mine in got] == [owed] * len(got)


async def test_all_that_wait_are_cancelled_at_once_and_nothing_is_left(
    sharing: Sharing, session: Session, tmp_path: Path
) -> None:
    async def follow() -> None:
        with Place(sharing, ID, None) as place:
            await place.begin()
            await read(place, 10)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert (len(sharing), held_of(tmp_path)) == (0, [])


async def test_a_client_that_does_not_come_back_for_more_holds_up_nobody(
    sharing: Sharing, session: Session
) -> None:
    with Place(sharing, ID, None) as sends, Place(sharing, ID, None) as other:
        await sends.begin()
        await other.begin()
        await read(sends, 1)  # and then its client takes nothing
        await read(other, 1)
        for number in range(3):
            session.write()
            assert indexes(await read(other, 1)) == named(number)


async def test_blank_lines_between_records_move_no_place(
    sharing: Sharing, session: Session
) -> None:
    with Place(sharing, ID, None) as one:
        await one.begin()
        got = await read(one, 1)
        for _ in range(3):
            with session.path.open("ab") as file:
                file.write(b"\n")
            session.write()
            got += await read(one, 1)
        with Place(sharing, ID, got[1].event_id) as two:
            await two.begin()
            rest = await read(two, 2)

    assert indexes(rest) == named(1, 2)


async def test_what_begins_behind_an_end_is_a_reading_of_its_own(
    sharing: Sharing, session: Session
) -> None:
    session.close()
    ends = []
    with Place(sharing, ID, None) as one:
        await one.begin()
        ends.append(await read_to_end(one))
        with Place(sharing, ID, ends[0][1].event_id) as two:
            await two.begin()
            ends.append(await read_to_end(two))

    assert [[frame.event for frame in frames] for frames in ends] == [
        ["header", "trailer", "end"],
        ["end"],
    ]


async def test_what_is_not_there_or_does_not_fit_is_said_before_anything_is_read(
    sharing: Sharing, session: Session, tmp_path: Path
) -> None:
    session.write()
    with Place(sharing, ID, None) as place:
        await place.begin()
        cursor = (await read(place, 2))[-1].event_id
    session.path.write_bytes(header_line(lineage_operator="another"))

    with pytest.raises(CursorInvalid), Place(sharing, ID, cursor) as place:
        await place.begin()
    session.path.unlink()
    with pytest.raises(SessionNotFound), Place(sharing, ID, None) as place:
        await place.begin()


async def test_a_record_that_is_larger_than_all_that_is_kept_comes(
    sharing: Sharing, session: Session
) -> None:
    with Place(sharing, ID, None) as place:
        await place.begin()
        await read(place, 1)
        session.write(2)
        session.write(text="x" * 1_500_000)
        session.write(2)
        got = await read(place, 5)

    assert indexes(got) == named(*range(5))
