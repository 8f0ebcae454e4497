"""All sessions of a directory, or those that were chosen, as they are followed and told of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from actors import Actor
from chats import FIRST, Chats, rows
from samples import chunk_line, header_line
from sessiontail import SessionStore
from sessiontail.cli.choosing import Choice
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.everyone import Everyone
from sessiontail.cli.printing import Printer
from sessiontail.cli.terminal import Output

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (UUID(f"4f2{letter}0000-0000-4000-8000-000000000001") for letter in "cde")
SINCE = datetime(2026, 6, 1, tzinfo=UTC)


class Heard:
    """What was printed and told so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.notes = ""

    async def until(self, true: Callable[[], bool]) -> None:
        with anyio.fail_after(60):
            while True:
                out, notes = self._capsys.readouterr()
                self.out += out
                self.notes += notes
                if true():
                    return
                await anyio.sleep(0.01)


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Heard:
    return Heard(capsys)


@asynccontextmanager
async def followed(store: SessionStore, choice: Choice) -> AsyncIterator[Everyone]:
    printer = Printer(Output(), kinds=("user",))
    everyone = Everyone(store, printer, CursorKeeper(None, show=False), choice)
    async with store, anyio.create_task_group() as group:

        async def follow() -> None:
            await everyone.follow(after=None, last=10)

        group.start_soon(follow)
        yield everyone
        group.cancel_scope.cancel()


def begun(directory: Path, session_id: UUID, created_at: datetime) -> Actor:
    actor = Actor(directory, session_id).open(header=False)
    actor.write(header_line(session_id, created_at=created_at.isoformat()))
    return actor


async def test_what_is_watched_is_told_once(store: SessionStore, heard: Heard) -> None:
    Actor(store.directory, ONE).open().say("over").close()
    with Actor(store.directory, TWO).open().say("a"), Actor(store.directory, THREE).open() as new:
        async with followed(store, Choice()):
            await heard.until(lambda: "user        a" in heard.out)
            new.say("b")
            await heard.until(lambda: "user        b" in heard.out)

    assert heard.notes == f"sessiontail: watching 2 running sessions in {store.directory}\n"


async def test_where_nothing_runs_yet_that_is_told(store: SessionStore, heard: Heard) -> None:
    async with followed(store, Choice()):
        await heard.until(lambda: bool(heard.notes))

    assert heard.notes == f"sessiontail: watching {store.directory}: no session runs yet\n"


async def test_that_a_directory_is_waited_for_comes_and_goes_is_told_each_once(
    store: SessionStore, heard: Heard
) -> None:
    store.directory.rmdir()
    notes = [
        f"waiting for {store.directory}: no such directory yet",
        f"watching {store.directory}: it is there now",
        f"{store.directory} is gone: waiting for it to come back",
    ]
    async with followed(store, Choice()):
        await heard.until(lambda: heard.notes.count("\n") == 1)
        store.directory.mkdir()
        await heard.until(lambda: heard.notes.count("\n") == 2)
        store.directory.rmdir()
        await heard.until(lambda: heard.notes.count("\n") == 3)

    assert heard.notes.splitlines() == [f"sessiontail: {note}" for note in notes]


async def test_since_a_moment_the_older_are_hidden_and_what_begins_is_shown(
    store: SessionStore, heard: Heard
) -> None:
    old = begun(store.directory, ONE, datetime(2026, 1, 1, tzinfo=UTC))
    new = begun(store.directory, TWO, SINCE)
    # More than the window shows: its header is not among what comes.
    with old.say(*["old"] * 12), new.say("new"):
        async with followed(store, Choice(since=SINCE)):
            await heard.until(lambda: "user        new" in heard.out)
            old.say("older").close()
            with begun(store.directory, THREE, datetime.now(UTC)).say("newer"):
                await heard.until(lambda: "user        newer" in heard.out)
                new.say("last").close()
                await heard.until(lambda: "4f2d0000 closed" in heard.notes)

    assert heard.out.splitlines() == [
        "4f2d0000 user        new",
        "4f2e0000 user        newer",
        "4f2d0000 user        last",
    ]
    assert heard.notes.splitlines() == [
        f"sessiontail: watching 1 session in {store.directory}",
        "sessiontail: 4f2d0000 closed",
    ]


async def test_what_is_created_before_the_moment_and_comes_later_is_hidden_too(
    store: SessionStore, heard: Heard
) -> None:
    async with followed(store, Choice(since=SINCE)):
        await heard.until(lambda: "no such session yet" in heard.notes)
        old = begun(store.directory, ONE, datetime(2026, 1, 1, tzinfo=UTC))
        with old.say("old"), begun(store.directory, TWO, SINCE).say("new"):
            await heard.until(lambda: "user        new" in heard.out)

    assert "old" not in heard.out


async def test_of_a_state_are_those_that_are_there_and_whatever_begins(
    store: SessionStore, heard: Heard
) -> None:
    Actor(store.directory, ONE).open().say("over").close()
    Actor(store.directory, TWO).open().say("crashed").kill()
    with Actor(store.directory, THREE).open().say("running") as running:
        async with followed(store, Choice(["closed", "abandoned"])):
            await heard.until(lambda: heard.out.count("user") == 2)
            running.say("more")
            with Actor(store.directory, UUID(int=7)).open().say("later"):
                await heard.until(lambda: "user        later" in heard.out)

    assert sorted(heard.out.splitlines()) == [
        "00000000 user        later",
        "4f2c0000 user        over",
        "4f2d0000 user        crashed",
    ]
    assert heard.notes.startswith(f"sessiontail: watching 2 sessions in {store.directory}\n")


async def test_what_was_hidden_for_its_state_is_shown_when_a_writer_takes_it_up_again(
    store: SessionStore, heard: Heard
) -> None:
    hidden = Actor(store.directory, ONE).open().say("hidden")

    async with followed(store, Choice(["closed"])) as everyone:
        await heard.until(lambda: bool(heard.notes))
        stream = everyone._stream
        assert stream is not None
        await heard.until(lambda: stream.running == 1)
        hidden.kill()
        await heard.until(lambda: stream.running == 0)
        with hidden.resume(cut=False).say("back"):
            await heard.until(lambda: "4f2c0000 user        back" in heard.out)

    assert "hidden" not in heard.out
    assert heard.notes.splitlines() == [
        f"sessiontail: watching {store.directory}: no such session yet",
        "sessiontail: 4f2c0000 resumed",
    ]


async def test_what_a_session_inherits_is_told_once_and_left_out(
    store: SessionStore, heard: Heard
) -> None:
    chats = Chats(store.directory)
    chats.write(1, rows(*FIRST[:2]))
    turn = chats.write(2, rows(*FIRST), closed=False)
    async with followed(store, Choice()):
        await heard.until(lambda: "user        and" in heard.out)
        with turn.open("ab") as file:
            file.write(chunk_line(6, "next"))
        await heard.until(lambda: "user        next" in heard.out)

    lines = [line.split()[-1] for line in heard.out.splitlines()]
    # The first was closed just now, and may be told too.
    assert [line for line in lines if line not in {"hello", "more"}] == ["and", "next"]
    assert lines.count("hello") < 2
    assert heard.notes.count("4 rows from 00000000; --inherited shows them\n") == 1


async def test_the_last_records_of_closed_sessions_are_shown_where_these_are_chosen(
    store: SessionStore, heard: Heard
) -> None:
    Actor(store.directory, ONE).open().say("over").close()
    Actor(store.directory, TWO).open().say("crashed").kill()
    async with followed(store, Choice(["closed"])):
        await heard.until(lambda: "user        over" in heard.out)
        with Actor(store.directory, THREE).open().say("later"):
            await heard.until(lambda: "user        later" in heard.out)

    assert "crashed" not in heard.out
