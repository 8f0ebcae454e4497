"""One stream of news and records: from every id of it the rest comes exactly."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette

from actors import Actor
from samples import ID
from services import asked
from serving import Event, connected, parsed, request, serving
from sessiontail import SessionStore
from sessiontail.format.cursor import START
from sessiontail.service import create_app
from sessiontail.service.context import Context
from sessiontail.service.live.clients import Clients
from sessiontail.service.live.news import News
from sessiontail.service.live.news_log import NewsLog
from sessiontail.service.live.sharing import Sharing
from streams import Taken, taken

pytestmark = pytest.mark.anyio

PATH = "/api/events"
ONE, TWO = UUID(int=1), UUID(int=2)
NEWS = ("ready", "started", "closed", "abandoned", "resumed", "deleted", "replaced", "changed")


@asynccontextmanager
async def serving_app(directory: Path) -> AsyncIterator[Starlette]:
    """An application, with growth told of at once."""
    app = create_app(SessionStore(directory, sweep_interval_s=60))
    context: Context = app.state.context
    context._parts[News] = News(context, interval_s=0.01)
    async with app.router.lifespan_context(app):
        yield app


def said(events: list[Event]) -> list[Any]:
    """Events in short: of a record what it says, of the rest of a session what happened to it."""
    found: list[Any] = []
    for event in events:
        data = event.data
        if event.event == "chunk":
            found.append((event.event, UUID(data["session_id"]).int, data["payload"]["content"]))
        elif event.event == "end":
            found.append((event.event, UUID(data["session_id"]).int, data["outcome"]))
        elif event.event == "ready":
            found.append((event.event, data["complete"]))
        else:
            of = data.get("id") if event.event in NEWS else data.get("session_id")
            found.append((event.event, UUID(of).int))
    return found


async def records(stream: Taken, count: int) -> list[Any]:
    """So many events of sessions that were asked for."""
    return said(await stream.take(count, without=NEWS))


def stream_of(
    app: Starlette, *sessions: UUID, after: list[str] | None = None, **headers: str
) -> Any:
    query = {"session": [str(one) for one in sessions], "after": after or []}
    return taken(app, PATH, query, **headers)


async def test_news_come_with_metas_and_nothing_of_sessions_nobody_asked_for(
    tmp_path: Path,
) -> None:
    async with serving_app(tmp_path) as app, stream_of(app) as stream:
        ready = await stream.next()
        actor = Actor(tmp_path, ONE)
        actor.open().say("one").close()
        started, closed = await stream.take(2, without=("changed",))
        actor.final.unlink()
        deleted = (await stream.take(1, without=("changed",)))[0]

    assert (stream.status, stream.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    assert ready.data == {"complete": False}
    assert [e.event for e in (started, closed, deleted)] == ["started", "closed", "deleted"]
    assert closed.data["id"] == str(ONE)
    assert (closed.data["file"], closed.data["chunk_count"]) == (actor.final.name, 1)


async def test_an_asked_session_goes_on_from_its_end_or_where_it_is_said(tmp_path: Path) -> None:
    one, two = Actor(tmp_path, ONE), Actor(tmp_path, TWO)
    one.open().say("before")
    two.open().say("read")
    async with SessionStore(tmp_path).read(TWO) as feed:
        cursors = [feed.cursor async for _ in feed]
    two.say("unread")
    after = [f"{TWO}:{cursors[-1]}"]
    async with serving_app(tmp_path) as app, stream_of(app, ONE, TWO, after=after) as stream:
        await stream.next()
        found = await records(stream, 1)
        one.say("new")
        found += await records(stream, 1)

    assert found == [("chunk", 2, "unread"), ("chunk", 1, "new")]


async def test_a_session_that_is_not_there_yet_is_waited_for_from_its_start(tmp_path: Path) -> None:
    async with serving_app(tmp_path) as app, stream_of(app, ONE) as stream:
        await stream.next()
        Actor(tmp_path, ONE).open().say("one").close()
        found = await records(stream, 4)

    assert found == [("header", 1), ("chunk", 1, "one"), ("trailer", 1), ("end", 1, "closed")]


async def test_resumed_from_every_id_the_rest_comes_exactly(tmp_path: Path) -> None:
    one, two = Actor(tmp_path, ONE), Actor(tmp_path, TWO)
    one.open().say("a")
    async with serving_app(tmp_path) as app, AsyncExitStack() as stack:
        first = await stack.enter_async_context(stream_of(app, ONE, TWO))
        await first.next()
        one.say("b", "c")
        two.open().say("d")
        one.write(b"{broken\n")
        one.say("e").close()
        two.say("f").kill()
        owed = {("end", 1, "closed"), ("end", 2, "abandoned"), ("closed", 1), ("abandoned", 2)}
        while not owed <= {*said(first.events)}:
            await first.next()
        everything = first.events
        again = [
            await stack.enter_async_context(stream_of(app, ONE, TWO, last_event_id=event.id))
            for event in everything
        ]
        for i, stream in enumerate(again):
            assert (await stream.next()).data == {"complete": True}
            while counts(stream.events[1:]) != counts(everything[i + 1 :]):
                await stream.next()
        # What happens now comes behind all that they are owed.
        marker = Actor(tmp_path, UUID(int=3)).open()
        two.open(header=False).say("g")
        rests = []
        for stream in (first, *again):
            all_of_it = {("started", 3), ("resumed", 2), ("chunk", 2, "g")}
            while not all_of_it <= {*said(stream.events)}:
                await stream.next()
            rests.append(stream.events)
        marker.kill()

    whole = rests[0]
    for i, rest in enumerate(rests[1:]):
        for session in (1, 2, None):
            assert of(rest[1:], session) == of(whole[i + 1 :], session)


def counts(events: list[Event]) -> list[int]:
    return [len(of(events, session)) for session in (1, 2, None)]


def of(events: list[Event], session: int | None) -> list[Any]:
    """The records of a session, or the news; without ids, and without that a session grew."""
    if session is None:
        return [(e.event, e.data) for e in events if e.event in NEWS and e.event != "changed"]
    mine = [e for e in events if e.event not in NEWS]
    return [(e.event, e.data) for e in mine if UUID(e.data["session_id"]).int == session]


async def test_after_another_server_records_go_on_exactly_and_news_are_not_claimed_complete(
    tmp_path: Path,
) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open().say("a")
    async with serving_app(tmp_path) as app, stream_of(app, ONE) as stream:
        await stream.next()
        actor.say("b")
        (last,) = await stream.take(1, without=NEWS)
    actor.say("c")
    async with serving_app(tmp_path) as app, stream_of(app, ONE, last_event_id=last.id) as stream:
        ready = await stream.next()
        found = await records(stream, 1)

    assert (ready.data, found) == ({"complete": False}, [("chunk", 1, "c")])


async def test_what_was_exchanged_meanwhile_ends_as_replaced_once(tmp_path: Path) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open().say("a")
    async with serving_app(tmp_path) as app:
        async with stream_of(app, ONE) as stream:
            ready = await stream.next()
        actor.wal.write_bytes(actor.data.replace(b'"a"', b'"b"'))
        async with stream_of(app, ONE, last_event_id=ready.id) as stream:
            await stream.next()
            (end,) = await stream.take(1, without=NEWS)
        async with stream_of(app, ONE, TWO, last_event_id=end.id) as stream:
            await stream.next()
            Actor(tmp_path, TWO).open()
            found = await records(stream, 1)
    actor.kill()

    assert (said([end]), found) == ([("end", 1, "replaced")], [("header", 2)])


async def test_a_file_that_cannot_be_read_is_told_once_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.jsonl").mkdir()
    async with serving_app(tmp_path) as app, stream_of(app, ONE, TWO) as stream:
        await stream.next()
        found = await records(stream, 1)
        Actor(tmp_path, TWO).open()
        found += await records(stream, 1)
        (tmp_path / f"{ONE}.jsonl").rmdir()
        Actor(tmp_path, ONE).open()
        found += await records(stream, 1)

    assert found == [("unreadable", 1), ("header", 2), ("header", 1)]


async def test_who_is_too_late_for_the_news_is_told_to_list_again(tmp_path: Path) -> None:
    async with serving_app(tmp_path) as app, stream_of(app) as stream:
        news = app.state.context.part(News)
        await stream.next()
        news._news = NewsLog(most_entries=2)
        news._news.last = news._news.floor = 1
        for number in range(1, 5):
            news._news.add("started", str(UUID(int=number)), b"{}")
        news._wake()
        again = await stream.next()
        Actor(tmp_path, UUID(int=9)).open()
        after = await stream.take(1, without=("changed",))

    assert (again.event, again.data, said(after)) == (
        "ready",
        {"complete": False},
        [("started", 9)],
    )


async def test_an_asked_session_goes_on_though_the_news_that_a_writer_came_back_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open().say("before").kill()
    app = create_app(SessionStore(tmp_path, sweep_interval_s=60))
    news = News(app.state.context, interval_s=3600)
    app.state.context._parts[News] = news
    async with (
        app.router.lifespan_context(app),
        stream_of(app, ONE, after=[f"{ONE}:{START.encode()}"]) as stream,
    ):
        begun = await records(stream, 3)
        told = news._wake
        monkeypatch.setattr(news, "_wake", lambda: None)
        actor.open(header=False).say("after")
        news._news.skip()
        told()
        rest = await records(stream, 1)

    assert begun == [("header", 1), ("chunk", 1, "before"), ("end", 1, "abandoned")]
    assert rest == [("chunk", 1, "after")]
    actor.kill()


async def test_lines_of_json_are_given_where_they_are_preferred(tmp_path: Path) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open()
    accept = "application/x-ndjson"
    async with serving_app(tmp_path) as app, stream_of(app, ONE, accept=accept) as stream:
        with anyio.fail_after(30):
            while b"\n" not in stream.body:
                await checkpoint()
            actor.say("a")
            while b'"chunk"' not in stream.body:
                await checkpoint()
    lines = [json.loads(line) for line in stream.body.splitlines()]
    events = [Event(**line) for line in lines if line["event"] not in NEWS]

    assert stream.headers["content-type"] == "application/x-ndjson"
    assert lines[0]["data"] == {"complete": False}
    assert said(events) == [("chunk", 1, "a")]


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ("", "17", 400),
        ("", f"n1:0123abcd:1,{ID}:st1.abc", 409),
        (f"session={ID}&after=st1.abc", "", 400),
        (f"session={ID}&after={ID}:st1.abc", "", 409),
        (f"session={ID}&after={ONE}:{START.encode()}", "", 400),
        ("session=../../etc/passwd", "", 400),
        ("&".join(f"session={UUID(int=i)}" for i in range(9)), "", 400),
        ("limit=1", "", 400),
    ],
)
async def test_what_is_meant_to_hurt_is_refused_before_a_stream_begins(
    tmp_path: Path, query: str, header: str, status: int
) -> None:
    app = create_app(SessionStore(tmp_path))
    headers = [(b"host", b"127.0.0.1"), (b"last-event-id", header.encode())][: 1 + bool(header)]
    answer = await asked(app, PATH, query=query.encode(), headers=headers)

    assert (answer.status, json.loads(answer.body)["status"]) == (status, status)
    assert not app.state.context.part(News).watching


async def test_without_a_lifespan_it_works_and_leaves_no_session_open(tmp_path: Path) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open()
    app = create_app(SessionStore(tmp_path))
    async with stream_of(app, ONE) as stream:
        await stream.next()
        actor.say("a")
        found = await records(stream, 1)
    sharing = app.state.context.part(Sharing)
    with anyio.fail_after(30):
        while len(sharing):
            await checkpoint()
    await app.state.context.part(News).aclose()

    assert found == [("chunk", 1, "a")]


async def test_the_end_of_all_streams_ends_it_without_an_end_event(tmp_path: Path) -> None:
    Actor(tmp_path, ONE).open()
    async with serving_app(tmp_path) as app, stream_of(app, ONE) as stream:
        await stream.next()
        app.state.context.part(Clients).end()
        with anyio.fail_after(30):
            while not stream.ended:
                await checkpoint()

    assert [event.event for event in stream.events] == ["ready"]


def test_from_a_server_of_its_own_the_rest_comes_exactly_from_every_id(tmp_path: Path) -> None:
    actor = Actor(tmp_path, ONE)
    actor.open().say(*map(str, range(20))).close()
    query = f"{PATH}?session={ONE}&after={ONE}:{START.encode()}"

    def ask(count: int, last_id: str = "") -> list[Event]:
        """The first events behind ready; the connection is then cut."""
        headers = [f"Last-Event-ID: {last_id}"] if last_id else []
        with connected(server.port, request(query, *headers)) as connection:
            raw = b""
            while raw.count(b"\n\n") < count + 1:  # with ready
                raw += connection.recv(65536)
        body = raw.partition(b"\r\n\r\n")[2]
        return parsed(re.sub(rb"\r\n[0-9a-f]+\r\n", b"", b"\r\n" + body).decode())

    with serving(tmp_path) as server:
        whole = ask(23)
        rests = [ask(23 - i, event.id) for i, event in enumerate(whole)]

    assert [event.event for event in whole] == [
        "ready",
        "header",
        *["chunk"] * 20,
        "trailer",
        "end",
    ]
    for i, rest in enumerate(rests):
        assert rest[0].data == {"complete": True}
        assert rest[1:] == whole[i + 1 :]
