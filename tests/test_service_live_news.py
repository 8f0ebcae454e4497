"""One watch for all clients: what it tells, what it admits not to know, and that it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import Actor
from samples import ID
from sessiontail import PersistedSessionMeta, SessionStore
from sessiontail.directory.events import SessionWatch
from sessiontail.service.context import Context, Limits
from sessiontail.service.live.news import News, news_lifespan
from sessiontail.service.live.news_log import NewsEntry
from sessiontail.system.signals import Signal

pytestmark = pytest.mark.anyio


def news_of(directory: Path, **options: float) -> News:
    """The news of a directory, with growth told of at once."""
    store = SessionStore(directory, sweep_interval_s=60, poll_interval_s=0.01)
    return News(Context(store, Limits()), interval_s=options.pop("interval_s", 0.01), **options)


class Client:
    """Who listens."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._signal = Signal()
        #: The number of the last news that it got.
        self.number = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Listen, once the directory is watched, from then on."""
        with self._news.listening(self._signal.set), anyio.fail_after(30):
            await self._news.begun()
            self.number = self.number or self._news.last
            yield self

    async def next(self) -> NewsEntry:
        """Wait for the next news."""
        while self.number == self._news.last:
            await self._signal.wait()
        entry = self._news.after(self.number)[0]
        self.number = entry.number
        return entry

    async def told(self, count: int = 1) -> list[tuple[str, str | None, Any]]:
        """Wait for so many news, besides that a session grew."""
        found: list[tuple[str, str | None, Any]] = []
        while len(found) < count:
            entry = await self.next()
            if entry.kind != "changed":
                found.append((entry.kind, entry.session_id, json.loads(entry.data)))
        return found


async def test_all_that_happens_is_told_with_the_meta_that_the_api_gives(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    actor = Actor(tmp_path)
    async with Client(news).listening() as client:
        actor.open().say("one")
        ((kind, session_id, meta),) = await client.told()
        actor.close()
        ((closed, _, after),) = await client.told()
    await news.aclose()

    assert (kind, session_id, meta["id"], meta["state"]) == ("started", str(ID), str(ID), "live")
    assert meta["file"] == actor.wal.name
    assert (closed, after["state"], after["file"]) == ("closed", "closed", actor.final.name)


async def test_that_a_session_grew_is_told_with_its_size(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    actor = Actor(tmp_path)
    actor.open().say("before")
    async with Client(news).listening() as client:
        number = client.number
        actor.say("one", "two")
        entry = await client.next()
        actor.say("three")
        later = await client.next()
        behind = news.after(number)
    await news.aclose()

    meta = json.loads(entry.data)
    assert (entry.kind, meta["chunk_count"], later.kind) == ("changed", 3, "changed")
    assert json.loads(later.data)["size_bytes"] == len(actor.data)
    # What is outdated is not told again.
    assert (news.reaches(number), behind) == (True, [later])


async def test_what_has_ended_is_not_said_to_have_grown_behind_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = news_of(tmp_path)
    actor = Actor(tmp_path)
    plain, asked_again = SessionWatch.grown, anyio.Event()

    async def grown(watch: SessionWatch, most: int) -> list[PersistedSessionMeta]:
        """Read what grew; before that is told, the session is closed, and that is told."""
        if not actor.writing:
            asked_again.set()
        metas = await plain(watch, most)
        if metas and actor.writing:
            actor.close()
            while "closed" not in [entry.kind for entry in news.after(0)]:
                await checkpoint()
        return metas

    monkeypatch.setattr(SessionWatch, "grown", grown)
    async with Client(news).listening():
        actor.open().say("one")
        await asked_again.wait()
        kinds = [entry.kind for entry in news.after(0)]
    await news.aclose()

    assert kinds == ["started", "closed"]


async def test_who_was_away_gets_what_was_missed_though_nobody_listened(tmp_path: Path) -> None:
    news = news_of(tmp_path, linger_s=60)
    client = Client(news)
    async with client.listening():
        pass
    Actor(tmp_path).open().close()
    async with client.listening():
        found = await client.told(2)
    await news.aclose()

    assert [(kind, session_id) for kind, session_id, _ in found] == [
        ("started", str(ID)),
        ("closed", str(ID)),
    ]


async def test_what_happened_while_nobody_watched_is_not_claimed_to_be_known(
    tmp_path: Path,
) -> None:
    news = news_of(tmp_path, linger_s=0)
    client = Client(news)
    async with client.listening():
        pass
    with anyio.fail_after(30):
        while news.watching:
            await anyio.sleep(0.01)
    Actor(tmp_path).open().close()
    async with client.listening():
        missed = not news.reaches(client.number)
        known = news.reaches(news.last)
    await news.aclose()

    assert missed
    assert known


async def test_two_clients_hear_the_same_of_one_watch(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    found: list[Any] = []

    async def listen(client: Client) -> None:
        found.append(await client.told(2))

    first, second = Client(news), Client(news)
    async with first.listening(), second.listening(), anyio.create_task_group() as tasks:
        tasks.start_soon(listen, first)
        tasks.start_soon(listen, second)
        await checkpoint()
        Actor(tmp_path).open().close()
    await news.aclose()

    assert [kind for kind, _, _ in found[0]] == ["started", "closed"]
    assert found[0] == found[1]


async def test_a_directory_that_cannot_be_read_is_told_and_tried_again(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    directory.write_text("no directory")
    news = news_of(directory)
    async with Client(news).listening() as client:
        number = client.number
        (entry,) = news.after(number - 1)
        directory.unlink()
        directory.mkdir()
        with anyio.fail_after(30):
            while news.last == number:
                await anyio.sleep(0.01)
        missed = not news.reaches(number)
        client.number = news.last
        Actor(directory).open()
        found = await client.told()
    await news.aclose()

    assert (entry.kind, missed) == ("unreadable", True)
    assert json.loads(entry.data) == {
        "detail": "the sessions cannot be read now; the server's log says why"
    }
    assert [kind for kind, _, _ in found] == ["started"]


async def test_an_absent_directory_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    news = news_of(directory)
    async with Client(news).listening() as client:
        directory.mkdir()
        Actor(directory).open()
        found = await client.told()
    await news.aclose()

    assert [kind for kind, _, _ in found] == ["started"]


async def test_a_watch_that_fails_is_begun_anew_and_that_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    news = news_of(tmp_path)
    make, failed = SessionStore.watch, anyio.Event()

    def watch(self: SessionStore) -> Any:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("a defect")
        return make(self)

    monkeypatch.setattr(SessionStore, "watch", watch)
    async with Client(news).listening() as client:
        Actor(tmp_path).open()
        found = await client.told()
    await news.aclose()

    assert [kind for kind, _, _ in found] == ["started"]
    assert caplog.messages == ["the watch of the directory has failed, and is begun anew"]


async def test_the_end_of_the_application_ends_the_watch(tmp_path: Path) -> None:
    context = Context(SessionStore(tmp_path), Limits())
    async with news_lifespan(context):
        news = context.part(News)
        async with Client(news).listening():
            watched = news.watching
    ended = not news.watching
    # And one in which nobody listened ends too.
    async with news_lifespan(Context(SessionStore(tmp_path), Limits())):
        pass

    assert (watched, ended) == (True, True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_ends_without_the_lifespan_takes_the_watch_with_it(
    backend: str, tmp_path: Path
) -> None:
    news = news_of(tmp_path)

    async def listen() -> bool:
        async with Client(news).listening():
            return news.watching

    watched = [anyio.run(listen, backend=backend) for _ in range(2)]

    assert watched == [True, True]
    assert not news.watching
