"""What comes of one session, taken batch by batch, beyond an end that was none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from actors import Actor
from samples import ID
from sessiontail import SessionStore
from sessiontail.format.cursor import START
from sessiontail.service.context import Context, Limits
from sessiontail.service.live.frames import Frame
from sessiontail.service.live.session_feed import SessionFeed
from sessiontail.service.live.sharing import Place
from sessiontail.system.signals import Signal

pytestmark = pytest.mark.anyio


class Taker:
    """Who takes what comes of a session."""

    def __init__(self, directory: Path, place: str | None = None) -> None:
        context = Context(SessionStore(directory, sweep_interval_s=60), Limits())
        self._signal = Signal()
        self.feed = SessionFeed(context, ID, place or START.encode(), self._signal.set)

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[Taker]:
        """Have it followed."""
        self.feed.start()
        with anyio.fail_after(30):
            try:
                yield self
            finally:
                self.feed.stop()

    async def next(self) -> list[Frame]:
        """Wait for what comes next, and take it."""
        while not (frames := self.feed.take()) and not self.feed.failed:
            await self._signal.wait()
        return frames


def kinds(frames: list[Frame]) -> list[str]:
    return [frame.event for frame in frames]


async def test_what_was_taken_is_where_it_stands(tmp_path: Path) -> None:
    Actor(tmp_path).open().say("a")
    async with Taker(tmp_path).taking() as taker:
        frames = await taker.next()

    assert kinds(frames) == ["header", "chunk"]
    assert taker.feed.place == frames[-1].event_id


async def test_nothing_is_read_ahead_of_what_waits_to_be_taken(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    actor.open()
    async with Taker(tmp_path).taking() as taker:
        await taker.next()
        actor.say("a")
        await taker._signal.wait()
        actor.say("b")
        await anyio.wait_all_tasks_blocked()
        waiting = await taker.next()
        rest = await taker.next()

    assert (kinds(waiting), kinds(rest)) == (["chunk"], ["chunk"])


async def test_an_end_is_told_once_and_goes_on_where_a_writer_comes_back(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    actor.open().kill()
    async with Taker(tmp_path).taking() as taker:
        begun = [*await taker.next(), *await taker.next()]
        # That it ended is no news, however often it is looked at.
        taker.feed.revive()
        await anyio.wait_all_tasks_blocked()
        taker.feed.revive()
        actor.open(header=False).say("a")
        taker.feed.revive()
        after = await taker.next()
        actor.close()
        end = await taker.next()
        end += await taker.next()

    assert kinds(begun) == ["header", "end"]
    assert kinds(after) == ["chunk"]
    assert kinds(end) == ["trailer", "end"]


async def test_who_comes_back_behind_the_end_of_a_closed_session_gets_nothing(
    tmp_path: Path,
) -> None:
    Actor(tmp_path).open().close()
    first = Taker(tmp_path)
    async with first.taking() as taker:
        while kinds(await taker.next())[-1] != "end":
            pass
    second = Taker(tmp_path, first.feed.place)
    async with second.taking():
        await anyio.wait_all_tasks_blocked()
        found = second.feed.take()

    assert found == []


async def test_a_defect_is_logged_and_told_to_who_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def begin(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Place, "begin", begin)
    async with Taker(tmp_path).taking() as taker:
        frames = await taker.next()

    assert (frames, taker.feed.failed) == ([], True)
    assert caplog.messages == ["a session's records cannot be sent"]
