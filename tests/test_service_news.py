"""One watch for all clients: what it tells, what it admits not to know, and that it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import Actor
from samples import ID
from sessiontail import SessionStore
from sessiontail.service.context import Context, Limits
from sessiontail.service.news import News, news_lifespan

pytestmark = pytest.mark.anyio

OTHER = UUID(int=7)


def news_of(directory: Path, **options: float) -> News:
    """The news of a directory, with growth told of at once."""
    store = SessionStore(directory, sweep_interval_s=60, poll_interval_s=0.01)
    return News(Context(store, Limits()), interval_s=options.pop("interval_s", 0.01), **options)


async def told(news: News, number: int, count: int = 1) -> list[tuple[str, str | None, Any]]:
    """What comes behind a number, without that a session grew: so many."""
    found: list[tuple[str, str | None, Any]] = []
    with anyio.fail_after(30):
        while len(found) < count:
            for entry in await news.after(number):
                number = entry.number
                if entry.kind != "changed":
                    found.append((entry.kind, entry.session_id, json.loads(entry.data)))
    return found


async def watching(news: News) -> int:
    """Wait until it watches; return the number to go on from."""
    with anyio.fail_after(30):
        await news.begun()
    return news.last


async def test_all_that_happens_is_told_with_the_meta_that_the_api_gives(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    actor = Actor(tmp_path)
    with news.listening():
        number = await watching(news)
        actor.open().say("one")
        ((kind, session_id, meta),) = await told(news, number)
        number = news.last
        actor.close()
        ((closed, _, after),) = await told(news, number)
    await news.aclose()

    assert (kind, session_id, meta["id"], meta["state"]) == ("started", str(ID), str(ID), "live")
    assert meta["file"] == actor.wal.name
    assert (closed, after["state"], after["file"]) == ("closed", "closed", actor.final.name)


async def test_that_a_session_grew_is_told_with_its_size(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    actor = Actor(tmp_path)
    actor.open().say("before")
    with news.listening():
        number = await watching(news)
        actor.say("one", "two")
        with anyio.fail_after(30):
            (entry,) = await news.after(number)
        meta = json.loads(entry.data)
        actor.say("three")
        with anyio.fail_after(30):
            (later,) = await news.after(entry.number)
        behind = news.last
    await news.aclose()

    assert (entry.kind, meta["chunk_count"], later.kind) == ("changed", 3, "changed")
    assert json.loads(later.data)["size_bytes"] == len(actor.data)
    assert news.reaches(number)
    assert behind == later.number


async def test_who_was_away_gets_what_was_missed_though_nobody_listened(tmp_path: Path) -> None:
    news = news_of(tmp_path, linger_s=60)
    actor = Actor(tmp_path)
    with news.listening():
        number = await watching(news)
    actor.open().close()
    with news.listening():
        found = await told(news, number, 2)
    await news.aclose()

    assert [(kind, session_id) for kind, session_id, _ in found] == [
        ("started", str(ID)),
        ("closed", str(ID)),
    ]


async def test_what_happened_while_nobody_watched_is_not_claimed_to_be_known(
    tmp_path: Path,
) -> None:
    news = news_of(tmp_path, linger_s=0)
    with news.listening():
        number = await watching(news)
    with anyio.fail_after(30):
        while news.watching:
            await anyio.sleep(0.01)
    Actor(tmp_path).open().close()
    with news.listening():
        again = await watching(news)
        missed = (news.reaches(number), await news.after(number))
    await news.aclose()

    assert missed == (False, [])
    assert news.reaches(again)


async def test_two_clients_hear_the_same_and_share_a_watch(tmp_path: Path) -> None:
    news = news_of(tmp_path)
    found: list[Any] = []

    async def listen(number: int) -> None:
        found.append(await told(news, number, 2))

    with news.listening(), news.listening():
        number = await watching(news)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, number)
            tasks.start_soon(listen, number)
            await checkpoint()
            Actor(tmp_path).open().close()
    await news.aclose()

    assert [kind for kind, _, _ in found[0]] == ["started", "closed"]
    assert found[0] == found[1]


async def test_a_directory_that_cannot_be_read_is_told_and_tried_again(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    directory.write_text("no directory")
    news = news_of(directory)
    with news.listening():
        number = await watching(news)
        before = news.reaches(number)
        (entry,) = await news.after(number - 1)
        directory.unlink()
        directory.mkdir()
        with anyio.fail_after(30):
            missed = await news.after(number)
        number = news.last
        Actor(directory).open()
        found = await told(news, number)
    await news.aclose()

    assert (entry.kind, before, missed) == ("unreadable", True, [])
    assert json.loads(entry.data) == {
        "detail": "the sessions cannot be read now; the server's log says why"
    }
    assert [kind for kind, _, _ in found] == ["started"]


async def test_an_absent_directory_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    news = news_of(directory)
    with news.listening():
        number = await watching(news)
        directory.mkdir()
        Actor(directory).open()
        found = await told(news, number)
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
    with news.listening():
        number = await watching(news)
        Actor(tmp_path).open()
        found = await told(news, number)
    await news.aclose()

    assert [kind for kind, _, _ in found] == ["started"]
    assert caplog.messages == ["the watch of the directory has failed, and is begun anew"]


async def test_the_end_of_the_application_ends_the_watch(tmp_path: Path) -> None:
    context = Context(SessionStore(tmp_path), Limits())
    async with news_lifespan(context):
        news = context.part(News)
        with news.listening():
            await watching(news)
    ended = not news.watching
    # And one in which nobody listened ends too.
    async with news_lifespan(Context(SessionStore(tmp_path), Limits())):
        pass

    assert ended


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_ends_without_the_lifespan_takes_the_watch_with_it(
    backend: str, tmp_path: Path
) -> None:
    news = news_of(tmp_path)

    async def listen() -> bool:
        with news.listening():
            await watching(news)
            return news.watching

    watched = [anyio.run(listen, backend=backend) for _ in range(2)]

    assert watched == [True, True]
    assert not news.watching
