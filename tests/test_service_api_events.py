"""The events of one session, from a server in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import pytest
from starlette.types import Message

from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from served import Served
from services import get
from serving import Event, Stream, events_of, parsed, serving
from sessiontail import SessionStore, read_session
from sessiontail.service import create_app

# No session has it; the same in each process that collects these tests.
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Served]:
    with serving(directory) as served:
        yield served


class Writer:
    """A session that this process writes, and holds as a writer does."""

    def __init__(self, directory: Path) -> None:
        self.id = uuid4()
        self.path = directory / f"{self.id}.jsonl.__partial__"
        self.closed = directory / f"{self.id}.jsonl"
        self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        self.write(header_line(self.id), chunk_line(0, "first"))

    def write(self, *lines: bytes) -> None:
        os.write(self.fd, b"".join(lines))

    def close(self) -> None:
        self.write(trailer_line(1))
        self.path.rename(self.closed)
        os.close(self.fd)


def closed(directory: Path, data: bytes) -> UUID:
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(header_line(session_id) + data)
    return session_id


async def test_the_records_come_as_the_library_reads_them_each_with_its_cursor_and_line(
    directory: Path, server: Served, anyio_backend: str
) -> None:
    hostile = chunk_line(0, "a\nb\r\u2028c?", x=float("nan")).replace(b"?", b"\\ud800")
    lines = hostile + b"\n{broken\n" + chunk_line(1, "") + trailer_line(2)
    session_id = closed(directory, lines)
    expected = []
    async with read_session(session_id, directory=directory) as feed:
        async for record in feed:
            event = type(record).__name__.lower()
            said = {**record.to_dict(session_id), "line": feed.place[0]}
            if said.get("index") == 0:
                said["payload"] = {**said["payload"], "x": None}  # NaN is no JSON
            expected.append(Event(event, feed.cursor, said))
        expected.append(Event("end", f"{feed.cursor}~closed", {"outcome": "closed"}))

    assert events_of(server.port, session_id=session_id) == expected


def test_resumed_from_every_event_the_rest_comes_exactly(directory: Path, server: Served) -> None:
    data = b"".join(chunk_line(i, f"row {i}") for i in range(20)) + b"damage\n\n" + trailer_line(20)
    session_id = closed(directory, data)
    events = events_of(server.port, session_id=session_id)
    rests = [
        events_of(server.port, f"Last-Event-ID: {event.id}", session_id=session_id)
        for event in events[:-1]
    ]
    by_query = events_of(server.port, session_id=session_id, query=f"?after={events[7].id}")

    assert len(events) == 24
    assert rests == [events[i + 1 :] for i in range(len(events) - 1)]
    assert by_query == events[8:]


def test_who_comes_back_with_the_id_of_the_end_is_told_that_there_is_nothing_more(
    directory: Path, server: Served
) -> None:
    session_id = closed(directory, trailer_line(0))
    end = events_of(server.port, session_id=session_id)[-1]
    again = get(f"{server.url}/api/sessions/{session_id}/events", headers={"Last-Event-ID": end.id})

    assert (again.status_code, again.content) == (204, b"")


def test_a_running_session_comes_as_it_is_written_to_the_end(
    directory: Path, server: Served
) -> None:
    writer = Writer(directory)
    with Stream(server.port, session_id=writer.id) as stream:
        stream.read_until(b"first")
        for text in ("second", "third"):
            writer.write(chunk_line(1, text))
            stream.read_until(text.encode())
        writer.close()
        events = stream.read_to_end()

    assert [event.event for event in events] == ["header", *["chunk"] * 3, "trailer", "end"]
    assert events[-1].data == {"outcome": "closed"}
    assert stream.ended_cleanly


def test_the_head_of_a_stream_comes_though_there_is_nothing_to_say(
    directory: Path, server: Served
) -> None:
    writer = Writer(directory)
    with Stream(server.port, session_id=writer.id) as stream:
        stream.read_until(b"first")
        last = stream.events[-1].id
    with Stream(server.port, f"Last-Event-ID: {last}", session_id=writer.id) as stream:
        stream.read_until(b"retry: 1000\n")
        writer.close()

        assert [event.event for event in stream.read_to_end()] == ["trailer", "end"]


def test_lines_of_json_are_the_same_events(directory: Path, server: Served) -> None:
    session_id = closed(directory, chunk_line(0, "one\ntwo") + trailer_line(1))
    answer = get(
        f"{server.url}/api/sessions/{session_id}/events",
        headers={"Accept": "text/event-stream;q=0.5, application/x-ndjson"},
    )

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["vary"] == "Accept"
    lines = [Event(**json.loads(line)) for line in answer.content.splitlines()]
    assert lines == events_of(server.port, session_id=session_id)


@pytest.mark.parametrize(
    ("session_id", "query", "status", "detail"),
    [
        ("nonsense", "", 400, "not a session id: 'nonsense'; an id is a whole UUID"),
        (NOBODY, "", 404, "there is no such session"),
        (NOBODY, "?wait=0.01", 404, "there is no such session"),
        (NOBODY, "?wait=301", 400, "wait is 300 seconds at most"),
        (NOBODY, "?after=st1.AAAA", 409, "the cursor is damaged: perhaps cut off when it was copied"),
        (NOBODY, "?after=st1.AAAA~bored", 409, "the id is damaged: perhaps cut off when it was copied; start without it"),
    ],
)  # fmt: skip
def test_what_is_no_stream_is_a_problem_before_it_begins(
    server: Served, session_id: str, query: str, status: int, detail: str
) -> None:
    answer = get(f"{server.url}/api/sessions/{session_id}/events{query}")

    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_cursor_of_another_session_is_refused_before_the_stream_begins(
    directory: Path, server: Served
) -> None:
    one, two = closed(directory, trailer_line(0)), closed(directory, trailer_line(0))
    cursor = events_of(server.port, session_id=one)[0].id
    answer = get(f"{server.url}/api/sessions/{two}/events?after={cursor}")

    assert answer.status_code == 409


def test_a_session_that_is_not_there_yet_is_waited_for(directory: Path, server: Served) -> None:
    session_id = uuid4()
    with Stream(server.port, session_id=session_id, query="?wait=60") as stream:
        get(f"{server.url}/healthz")  # by now it waits, or will find the file
        path = directory / f"{session_id}.jsonl"
        path.with_suffix(".new").write_bytes(header_line(session_id) + trailer_line(0))
        path.with_suffix(".new").rename(path)

        assert [event.event for event in stream.read_to_end()] == ["header", "trailer", "end"]


def test_an_abandoned_session_ends_again_and_then_is_over_until_a_writer_comes_back(
    directory: Path, server: Served
) -> None:
    writer = Writer(directory)
    url = f"{server.url}/api/sessions/{writer.id}/events"
    with Stream(server.port, session_id=writer.id) as stream:
        stream.read_until(b"first")
        os.close(writer.fd)
        hour_ago = writer.path.stat().st_mtime - 3600
        os.utime(writer.path, (hour_ago, hour_ago))
        *_, last, end = stream.read_to_end()
    again = events_of(server.port, f"Last-Event-ID: {last.id}", session_id=writer.id)
    over = get(url, headers={"Last-Event-ID": end.id})
    with writer.path.open("ab") as file:
        file.write(chunk_line(1, "more") + trailer_line(2))
    writer.path.rename(writer.closed)
    more = events_of(server.port, f"Last-Event-ID: {end.id}", session_id=writer.id)

    assert end == Event("end", f"{last.id}~abandoned", {"outcome": "abandoned"})
    assert again == [end]
    assert over.status_code == 204
    assert [event.event for event in more] == ["chunk", "trailer", "end"]


def test_a_session_that_is_deleted_or_replaced_says_so_and_is_over(
    directory: Path, server: Served
) -> None:
    ends = []
    for outcome in ("deleted", "replaced"):
        writer = Writer(directory)
        with Stream(server.port, session_id=writer.id) as stream:
            stream.read_until(b"first")
            if outcome == "deleted":
                writer.path.unlink()
            else:
                other = writer.path.with_suffix(".other")
                other.write_bytes(header_line(writer.id) + chunk_line(0, "another one"))
                other.rename(writer.path)
            os.close(writer.fd)
            end = stream.read_to_end()[-1]
        answer = get(f"{server.url}/api/sessions/{writer.id}/events?after={end.id}")
        ends.append((end.data, answer.status_code))

    assert ends == [({"outcome": "deleted"}, 204), ({"outcome": "replaced"}, 204)]


def test_resumed_while_it_is_written_nothing_is_missing_and_nothing_twice(
    directory: Path, server: Served
) -> None:
    writer = Writer(directory)
    got: list[Event] = []
    for number in range(1, 30):
        header = [f"Last-Event-ID: {got[-1].id}"] if got else []
        with Stream(server.port, *header, session_id=writer.id) as stream:
            text = f"row {number}"
            writer.write(chunk_line(number, text))
            stream.read_until(text.encode() + b'"')
            stream.read_until(b"\n\n\r\n")
            got += stream.events
    writer.close()
    got += events_of(server.port, f"Last-Event-ID: {got[-1].id}", session_id=writer.id)

    assert got == events_of(server.port, session_id=writer.id)
    assert [event.data["index"] for event in got if event.event == "chunk"] == [*range(30)]


def test_a_thousand_records_come_in_few_chunks_and_in_order(
    directory: Path, server: Served
) -> None:
    (directory / f"{ID}.jsonl").write_bytes(session_bytes(1000))
    with Stream(server.port) as stream:
        events = stream.read_to_end()

    assert [event.data["line"] for event in events[:-1]] == [*range(1, 1003)]


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_clients_of_a_running_session_get_each_record_once(
    directory: Path, server: Served, count: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    writer = Writer(directory)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        streams = [
            stack.enter_context(Stream(server.port, session_id=writer.id)) for _ in range(count)
        ]
        for stream in streams:
            stream.read_until(b"first")
        for number in range(1, 11):
            writer.write(chunk_line(number, f"row {number}"))
        for stream in streams:
            stream.read_until(b"row 10")
        writer.close()
        got = [stream.read_to_end() for stream in streams]

    assert got == [events_of(server.port, session_id=writer.id)] * count
    assert [event.data["index"] for event in got[0] if event.event == "chunk"] == [*range(11)]
    assert all(stream.ended_cleanly for stream in streams)


@pytest.mark.anyio
async def test_the_application_streams_on_any_event_loop(directory: Path) -> None:
    session_id = closed(directory, chunk_line(0, "one") + trailer_line(1))
    app = create_app(SessionStore(directory))
    sent: list[Message] = []
    begun = False

    async def receive() -> Message:
        nonlocal begun
        if begun:
            await anyio.sleep_forever()
        begun = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    path = f"/api/sessions/{session_id}/events"
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)

    body = b"".join(message.get("body", b"") for message in sent).decode()
    assert [event.event for event in parsed(body)] == ["header", "chunk", "trailer", "end"]
    assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)
