"""One tail and its last frames: what is kept, what is given at once, and who is woken when."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from samples import ID, chunk_line, header_line
from sessiontail import SessionStore
from sessiontail.format.cursor import START
from sessiontail.service.live import readings
from sessiontail.service.live.clients import Figures
from sessiontail.service.live.frames import Frame
from sessiontail.service.live.readings import Reading
from sessiontail.system.signals import Signal

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{ID}.jsonl.__partial__"


def reading_of(path: Path, *, most_bytes: int = 1_000_000) -> Reading:
    tail = SessionStore(path.parent).tail(ID)
    return Reading(tail, ID, START.encode(), number=1, most_bytes=most_bytes, figures=Figures())


async def drained(reading: Reading, count: int) -> Reading:
    while reading.last < count:
        await reading.pull()
    return reading


async def test_to_open_it_waits_for_no_record(path: Path) -> None:
    path.write_bytes(b"")
    reading = reading_of(path)
    await reading.open()
    path.write_bytes(header_line())
    await drained(reading, 1)

    assert [frame.event for frame in reading.take(0)] == ["header"]
    reading.close()


async def test_what_it_gives_at_once_is_bounded_and_one_frame_at_least(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_STEP_BYTES", 1000)
    path.write_bytes(header_line() + chunk_line(0, "x" * 3000) + b"".join(
        chunk_line(number) for number in range(1, 9)
    ))  # fmt: skip
    reading = await drained(reading_of(path), 10)
    given, at = [], 0
    while at < reading.last:
        found = reading.take(at)
        given.append(len(found))
        at += len(found)

    assert (given[:2], sum(given)) == ([1, 1], 10)
    assert max(given) > 1
    reading.close()


async def test_of_what_it_gave_only_so_much_is_kept_and_what_came_last_in_any_case(
    path: Path,
) -> None:
    path.write_bytes(header_line())
    reading = await drained(reading_of(path, most_bytes=5000), 1)
    for number in range(20):
        with path.open("ab") as file:
            file.write(chunk_line(number))
        await drained(reading, number + 2)
    with path.open("ab") as file:
        file.write(chunk_line(20, "x" * 50_000))
    await drained(reading, 22)

    kept = reading.take(reading.first)
    assert 2 < len(kept) < 10
    assert reading.places[kept[-1].event_id] == 22
    assert len(reading.places) == reading.last - reading.first + 1
    reading.close()


async def test_damage_is_counted_when_it_is_read(path: Path) -> None:
    path.write_bytes(header_line() + b"broken\n")
    reading = await drained(reading_of(path), 2)

    assert reading._figures.damage == 1
    reading.close()


async def test_who_waits_is_woken_a_few_at_once_each_by_the_one_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_WOKEN_AT_ONCE", 2)
    path.write_bytes(header_line())
    reading = reading_of(path)
    woken: list[int] = []

    async def wait(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await reading.wait(Signal())
            woken.append(number)

    async with anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(7)]
        for number, scope in enumerate(scopes):
            tasks.start_soon(wait, number, scope)
            await anyio.wait_all_tasks_blocked()
        reading.wake_one()
        await anyio.wait_all_tasks_blocked()
        first = [*woken]
        reading.wake()
        assert len(reading._called) == 4
        scopes[2].cancel()  # one that is called, and one that is not
        scopes[5].cancel()

    assert first == [0]
    assert set(woken) >= {0, 1, 3, 4, 6}
    assert (reading._waiting, reading._called) == ({}, {})
    reading.close()


async def test_where_nobody_pulls_one_that_waits_is_woken_though_others_are_called(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_WOKEN_AT_ONCE", 0)
    path.write_bytes(header_line())
    reading = reading_of(path)
    called, waiting = Signal(), Signal()
    reading._waiting[called] = None
    reading.wake()
    reading._waiting[waiting] = None
    reading.wake_one()

    # Who is called takes what there is, and may be long about it.
    assert ([*reading._called], called._set, waiting._set) == ([called], False, True)
    reading.close()


async def test_a_record_that_cannot_be_encoded_is_passed_over_by_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Frame:
        raise MemoryError

    path.write_bytes(header_line())
    reading = await drained(reading_of(path), 1)
    monkeypatch.setattr(readings, "frame_of", fail)
    path.write_bytes(header_line() + chunk_line())
    with pytest.raises(MemoryError):
        await reading.pull()

    # Whoever stands here is late, and begins anew at its cursor.
    assert (reading.first, reading.last, reading.places) == (2, 2, {})
    reading.close()
