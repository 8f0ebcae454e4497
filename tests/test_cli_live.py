"""The last records of sessions and what follows them: each wanted record once, and how each ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor
from samples import header_line
from sessiontail import SessionStore
from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.live import Live, Options
from sessiontail.cli.printing import Printer
from sessiontail.cli.rendering import text_of
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import Output
from sessiontail.cli.values import Window
from sessiontail.errors import CursorInvalid
from sessiontail.format.lifecycle import Outcome
from sessiontail.format.records import Chunk, Record

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (UUID(f"4f2{letter}0000-0000-4000-8000-000000000001") for letter in "cde")


class Said(Printer):
    """Keeps what chunks say, each behind the session that it is shown with."""

    def __init__(self, pattern: str | None = None) -> None:
        super().__init__(Output(), pattern=None if pattern is None else re.compile(pattern))
        self.said: list[tuple[str, str]] = []

    def put(
        self,
        record: Record | None,
        raw: bytes = b"",
        target: Target | None = None,
        session_id: UUID | str | None = None,
    ) -> None:
        super().put(record, raw, target, session_id)
        if isinstance(record, Chunk):
            self.said.append(("" if target is None else target.name, text_of(record)))

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.said]


def live(store: SessionStore, said: Said, *, at: Path | None = None, **options: Any) -> Live:
    given: dict[str, Any] = {
        "follow": True,
        "window": None,
        "wait": False,
        "on_abandoned": "stop",
        "after": None,
    }
    return Live(store, said, CursorKeeper(at, show=False), Options(**(given | options)))


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not true():
            await anyio.sleep(0.01)


async def cursor_behind(store: SessionStore, session_id: UUID, count: int) -> str:
    async with store.read(session_id) as feed:
        for _ in range(count):
            await anext(feed)
    return feed.cursor


async def test_without_an_id_the_running_ones_are_shown_each_line_with_its_session(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    Actor(store.directory, ONE).open().say("over").close()
    Actor(store.directory, TWO).open().say("crashed").kill()
    said = Said()
    with Actor(store.directory, THREE).open().say("first", "second"):
        failed = await live(store, said).print_last(())

    assert failed == []
    assert said.said == [("4f2e0000", "first"), ("4f2e0000", "second")]
    assert capsys.readouterr().err == ""


async def test_where_nothing_runs_that_is_said(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    Actor(store.directory, ONE).open().say("over").close()

    assert await live(store, Said()).print_last(()) == []
    notes = capsys.readouterr().err
    assert notes.startswith(f"sessiontail: no session runs in {store.directory}; ")
    assert notes.count("\n") == 1


@pytest.mark.parametrize("follow", [False, True])
async def test_one_that_cannot_be_read_keeps_no_other_from_being_shown(
    store: SessionStore, capsys: pytest.CaptureFixture[str], *, follow: bool
) -> None:
    odd = store.directory / "odd.jsonl"
    odd.mkdir()
    Actor(store.directory, ONE).open().say("one").close()
    said = Said()
    tailing = live(store, said)
    ids = (str(odd), str(ONE))

    if follow:
        with anyio.fail_after(60):
            assert await tailing.follow(ids) == [None, Outcome.CLOSED]
    else:
        assert await tailing.print_last(ids) == [None]
    assert said.said == [("4f2c0000", "one")]
    assert str(odd) in capsys.readouterr().err


@pytest.mark.parametrize("follow", [False, True])
async def test_one_that_is_not_found_keeps_no_other_from_being_shown(
    store: SessionStore, capsys: pytest.CaptureFixture[str], *, follow: bool
) -> None:
    Actor(store.directory, ONE).open().say("one").close()
    said = Said()
    tailing = live(store, said)
    ids = (str(TWO), str(ONE))

    with anyio.fail_after(60):
        outcomes = await (tailing.follow(ids) if follow else tailing.print_last(ids))

    assert None in outcomes
    assert said.said == [("4f2c0000", "one")]
    assert f"no session is called '{TWO}'" in capsys.readouterr().err


async def test_of_one_the_lines_are_not_marked_and_of_several_they_are(store: SessionStore) -> None:
    for session_id in (ONE, TWO):
        Actor(store.directory, session_id).open().say("hi").close()
    one, two = Said(), Said()

    with anyio.fail_after(60):
        await live(store, one).follow((str(ONE),))
        await live(store, two).follow((str(ONE), str(TWO)))

    assert one.said == [("", "hi")]
    assert sorted(two.said) == [("4f2c0000", "hi"), ("4f2d0000", "hi")]


async def test_it_tells_how_each_ended(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    Actor(store.directory, ONE).open().say("hi").close()
    torn = Actor(store.directory, TWO).open().say("hi")
    torn.write(b'{"half')
    torn.kill()

    with anyio.fail_after(60):
        outcomes = await live(store, Said()).follow((str(ONE), str(TWO)))

    assert outcomes == [Outcome.CLOSED, Outcome.ABANDONED]
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "sessiontail: 4f2c0000 closed",
        "sessiontail: 4f2d0000 abandoned, 6 bytes after its last whole line",
    ]


@pytest.mark.parametrize(
    ("window", "pattern", "texts"),
    [
        (None, None, [*"bcdefghij", "k", "l"]),
        (Window(last=2), None, ["i", "j", "k", "l"]),
        (Window(last=0), None, ["k", "l"]),
        (Window(), None, [*"abcdefghijkl"]),
        (Window(first=10), None, ["i", "j", "k", "l"]),  # the header is the first
        (Window(first=12), None, ["k", "l"]),
        (Window(first=13), None, ["l"]),
        (Window(last=1), "[abl]", ["b", "l"]),
        (Window(first=2), "[abl]", ["b", "l"]),
        (Window(first=3), "[bkl]", ["l"]),
        (Window(first=9), "[abl]", []),
    ],
)
async def test_a_window_counts_what_was_there_and_goes_on_with_what_follows(
    store: SessionStore, window: Window | None, pattern: str | None, texts: list[str]
) -> None:
    # Anchored, so that no header and no trailer matches.
    said = Said(None if pattern is None else f"^{pattern}$")
    if window is None:
        texts = ["a", *texts]
    with Actor(store.directory, ONE).open().say(*"abcdefghij") as actor:
        async with anyio.create_task_group() as group:
            tailing = live(store, said, window=window)
            backlog = anyio.Event()
            real = tailing._backlog

            async def noticed(target: Target) -> tuple[str | None, int]:
                found = await real(target)
                backlog.set()
                return found

            tailing._backlog = noticed  # type: ignore[method-assign] # no gate there
            group.start_soon(tailing.follow, (str(ONE),))
            with anyio.fail_after(60):
                await backlog.wait()
                actor.say("k", "l").close()

    assert said.texts == texts


async def test_what_does_not_exist_yet_is_waited_for_and_shown_from_its_begin(
    store: SessionStore,
) -> None:
    said, late = Said("^.$"), Said("^.$")
    outcomes: list[Any] = []

    async def follow(said: Said, window: Window) -> None:
        outcomes.extend(await live(store, said, wait=True, window=window).follow((str(ONE),)))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(follow, said, Window())
            group.start_soon(follow, late, Window(first=3))
            await anyio.wait_all_tasks_blocked()
            Actor(store.directory, ONE).open().say(*"abcd").close()

    assert outcomes == [Outcome.CLOSED, Outcome.CLOSED]
    assert said.texts == ["a", "b", "c", "d"]
    assert late.texts == ["c", "d"]


@pytest.mark.parametrize("there", [True, False])
async def test_what_is_waited_for_is_told_once(
    store: SessionStore, capsys: pytest.CaptureFixture[str], *, there: bool
) -> None:
    if not there:
        store.directory.rmdir()
    async with anyio.create_task_group() as group:
        group.start_soon(live(store, Said(), wait=True).follow, (str(ONE),))
        notes = ""

        def heard() -> bool:
            nonlocal notes
            notes += capsys.readouterr().err
            return bool(notes)

        await until(heard)
        group.cancel_scope.cancel()

    none = "no such session yet" if there else f"no such directory yet: {store.directory}"
    assert notes == f"sessiontail: waiting for 4f2c0000: {none}\n"


@pytest.mark.parametrize("written", [0, 20])
@pytest.mark.parametrize("meant", [str(ONE), "4f2c", None])
async def test_a_session_whose_header_is_not_whole_yet_is_waited_for(
    store: SessionStore, meant: str | None, written: int
) -> None:
    said = Said()
    header = header_line(ONE)
    actor = Actor(store.directory, ONE).open(header=False)
    actor.write(header[:written])
    with actor:
        async with anyio.create_task_group() as group:
            group.start_soon(live(store, said).follow, () if meant is None else (meant,))
            await anyio.wait_all_tasks_blocked()
            actor.write(header[written:])
            actor.say("at last")
            await until(lambda: said.texts == ["at last"])
            group.cancel_scope.cancel()


async def test_behind_a_cursor_comes_everything_unless_a_window_says_less(
    store: SessionStore,
) -> None:
    Actor(store.directory, ONE).open().say(*"abcdefghijklmn").close()
    after = await cursor_behind(store, ONE, 2)
    everything, last = Said(), Said()

    await live(store, everything, after=after).print_last((str(ONE),))
    await live(store, last, after=after, window=Window(last=2)).print_last((str(ONE),))

    assert everything.texts == list("bcdefghijklmn")
    assert last.texts == ["n"]  # and the trailer


async def test_a_cursor_that_does_not_fit_is_no_fault_of_one_session_alone(
    store: SessionStore,
) -> None:
    for session_id in (ONE, TWO):
        Actor(store.directory, session_id).open().say("hi").close()
    after = await cursor_behind(store, ONE, 2)

    with pytest.raises(CursorInvalid):
        await live(store, Said(), after=after).print_last((str(TWO),))


async def test_the_cursor_stands_behind_what_was_printed_and_the_next_goes_on_there(
    store: SessionStore, tmp_path: Path
) -> None:
    at = tmp_path / "at"
    first, second = Said(), Said()
    with Actor(store.directory, ONE).open().say("a", "b") as actor:
        begun = live(store, first, at=at)
        async with anyio.create_task_group() as group:
            group.start_soon(begun.follow, (str(ONE),))
            await until(lambda: first.texts == ["a", "b"])
            actor.say("c")
            await until(lambda: first.texts == ["a", "b", "c"])
            group.cancel_scope.cancel()
        begun._keeper.close()
        actor.say("d", "e").close()
    after = CursorKeeper(at, show=False).read()
    with anyio.fail_after(60):
        await live(store, second, after=after).follow((str(ONE),))

    assert second.texts[-2:] == ["d", "e"]
    assert first.texts + second.texts == list("abcde")


async def test_all_are_followed_but_those_that_crashed_before_until_they_are_back(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    Actor(store.directory, ONE).open().say("over").close()
    crashed = Actor(store.directory, TWO).open().say("before")
    crashed.kill()
    said = Said()
    async with AsyncExitStack() as stack:
        running = stack.enter_context(Actor(store.directory, THREE).open().say(*"ab"))
        await stack.enter_async_context(store)
        async with anyio.create_task_group() as group:
            group.start_soon(live(store, said, window=Window(last=1)).follow, ())
            await until(lambda: said.said == [("4f2e0000", "b")])
            stack.enter_context(crashed.resume(cut=False)).say("back")
            await until(lambda: len(said.said) == 2)
            running.say("c").close()
            await until(lambda: len(said.said) == 3)
            crashed.close()
            notes = ""

            def heard() -> bool:
                nonlocal notes
                notes += capsys.readouterr().err
                return notes.count("closed") == 2

            await until(heard)
            group.cancel_scope.cancel()

    assert said.said[1:] == [("4f2d0000", "back"), ("4f2e0000", "c")]
    assert sorted(notes.splitlines()) == [
        "sessiontail: 4f2d0000 closed",
        "sessiontail: 4f2d0000 resumed",
        "sessiontail: 4f2e0000 closed",
        f"sessiontail: watching 1 running session in {store.directory}",
    ]


async def test_behind_a_cursor_of_all_comes_what_happened_meanwhile_whole(
    store: SessionStore, tmp_path: Path
) -> None:
    at = tmp_path / "at"
    first, second = Said(), Said()
    texts = [str(i) for i in range(30)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(store)
        actor = stack.enter_context(Actor(store.directory, ONE).open().say("a"))
        begun = live(store, first, at=at)
        async with anyio.create_task_group() as group:
            group.start_soon(begun.follow, ())
            await until(lambda: first.texts == ["a"])
            actor.say("b")
            await until(lambda: first.texts == ["a", "b"])
            group.cancel_scope.cancel()
        begun._keeper.close()
        # Written, begun and crashed while nobody looked: more of each than a window shows.
        actor.say(*texts)
        Actor(store.directory, TWO).open().say(*texts).kill()
        Actor(store.directory, THREE).open().say(*texts).close()
        async with anyio.create_task_group() as group:
            after = CursorKeeper(at, show=False).read()
            group.start_soon(live(store, second, after=after).follow, ())
            await until(lambda: len(second.said) >= 90)
            group.cancel_scope.cancel()

    for name in ("4f2c0000", "4f2d0000", "4f2e0000"):
        assert [text for whose, text in second.said if whose == name] == texts
