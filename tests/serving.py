"""The service in a process of its own, with limits that a test sets, and bare clients of it.

    python tests/serving.py DIRECTORY '{"send_timeout_s": 0.5, "head_timeout_s": 0.5}'

serves as ``sessiontail serve --port 0`` does.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

from samples import ID
from served import Served

__all__ = ["Event", "Stream", "connected", "events_of", "parsed", "program", "request", "serving"]

PATIENCE_S = 60


class Event(NamedTuple):
    """One event of a stream, as a browser has it."""

    event: str
    id: str
    data: dict[str, Any]


def program(directory: Path, *, nofile: int | None = None, **limits: float) -> list[str]:
    """What serves with these limits; ``nofile``: it may open so many files."""
    serve = [sys.executable, "-W", "error", __file__, str(directory), json.dumps(limits)]
    return serve if nofile is None else ["prlimit", f"--nofile={nofile}:{nofile}", *serve]


def serving(directory: Path, *, nofile: int | None = None, **limits: float) -> Served:
    """A server that runs ``program``."""
    return Served(program=program(directory, nofile=nofile, **limits))


def request(
    path: str, *headers: str, host: str = "127.0.0.1", method: str = "GET", version: str = "1.1"
) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@contextmanager
def connected(port: int, data: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which this was sent."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(data)
        yield connection


def parsed(text: str) -> list[Event]:
    """The events of an SSE stream, by the rules of the living standard: what is not whole is none."""
    events = []
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        name, _, value = line.partition(":")
        if not line:
            if data:
                events.append(Event(fields["event"], fields["id"], json.loads("\n".join(data))))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
        elif name:
            fields[name] = value.removeprefix(" ")
    return events


class Stream:
    """The events of a session, on a connection of its own."""

    def __init__(
        self, port: int, *headers: str, session_id: UUID | str = ID, query: str = ""
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.sendall(request(f"/api/sessions/{session_id}/events{query}", *headers))
        #: All that came so far.
        self.raw = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def status(self) -> int:
        """What it was answered with."""
        self.read_until(b"\r\n\r\n")
        return int(self.raw.split()[1])

    @property
    def body(self) -> bytes:
        """What came so far, without the framing of its chunks; of the last one only if it is whole."""
        rest = self.raw.partition(b"\r\n\r\n")[2]
        body = b""
        while rest:
            size, found, rest = rest.partition(b"\r\n")
            if not found or len(rest) < int(size, 16) + 2:
                break
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body

    @property
    def events(self) -> list[Event]:
        """The events that came so far."""
        return parsed(self.body.decode())

    @property
    def ended_cleanly(self) -> bool:
        """Whether its last chunk came."""
        return self.raw.endswith(b"\r\n0\r\n\r\n")

    def read_until(self, wanted: bytes) -> None:
        """Read until this came."""
        while wanted not in self.raw:
            data = self.socket.recv(65536)
            assert data, self.raw
            self.raw += data

    def read_to_end(self) -> list[Event]:
        """Read until the stream ends, cleanly or not; return its events."""
        try:
            while not self.ended_cleanly and (data := self.socket.recv(65536)):
                self.raw += data
        except ConnectionResetError:
            pass
        return self.events


def events_of(
    port: int, *headers: str, session_id: UUID | str = ID, query: str = ""
) -> list[Event]:
    """All events of a stream that ends by itself."""
    with Stream(port, *headers, session_id=session_id, query=query) as stream:
        assert stream.status == 200
        return stream.read_to_end()


def _serve(directory: str, limits: dict[str, Any]) -> None:
    from functools import partial

    import anyio

    from sessiontail import SessionStore
    from sessiontail.service import create_app
    from sessiontail.service.context import Limits
    from sessiontail.service.server import listen, serve, url_of

    head_timeout_s = limits.pop("head_timeout_s", 10.0)
    app = create_app(SessionStore(directory), limits=Limits(**limits))
    with listen("127.0.0.1", 0) as listener:

        def ready() -> None:
            sys.stdout.write(url_of(listener) + "\n")
            sys.stdout.flush()

        def tell(text: str) -> None:
            sys.stderr.write(text + "\n")

        anyio.run(
            partial(serve, app, listener, ready=ready, tell=tell, head_timeout_s=head_timeout_s)
        )


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
