"""A stream that is used as what it is not says what to do, in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from followers import instances
from samples import ID
from sessiontail import PersistenceError, SessionStore, StreamBusy
from sessiontail.session.pulling import OneTask

pytestmark = pytest.mark.anyio

STREAMS: dict[str, Callable[[SessionStore], Any]] = {
    "SessionTail": lambda store: store.tail(ID, wait=True),
    "SessionReader": lambda store: store.read(ID),
    "DirectoryTail": lambda store: store.tail_all(),
    "SessionWatch": lambda store: store.watch(),
    "Scan": lambda store: store.scan(),
}
ENTERED: dict[str, Callable[[SessionStore], Any]] = {
    **STREAMS,
    "SessionStore": lambda store: store,
}
del ENTERED["Scan"]


@pytest.mark.parametrize("name", STREAMS)
def test_for_instead_of_async_for_says_so(name: str, tmp_path: Path) -> None:
    stream = STREAMS[name](SessionStore(tmp_path))

    with pytest.raises(TypeError, match=f"a {name} is read with `async for`, not with `for`"):
        list(stream)


@pytest.mark.parametrize("name", ENTERED)
def test_with_instead_of_async_with_says_so(name: str, tmp_path: Path) -> None:
    stream = ENTERED[name](SessionStore(tmp_path))

    with (
        pytest.raises(TypeError, match=f"a {name} is entered with `async with`, not with `with`"),
        stream,
    ):
        raise AssertionError


@pytest.mark.parametrize("name", STREAMS)
async def test_what_is_awaited_instead_of_read_says_so(name: str, tmp_path: Path) -> None:
    stream = STREAMS[name](SessionStore(tmp_path))

    with pytest.raises(TypeError, match=f"a {name} is not awaited: read it with `async for`"):
        await stream


@pytest.mark.parametrize(
    "name", [name for name in STREAMS if name not in {"Scan", "SessionReader"}]
)
async def test_a_stream_that_two_tasks_share_says_that_each_needs_its_own(
    name: str, tmp_path: Path
) -> None:
    stream = STREAMS[name](SessionStore(tmp_path))

    with anyio.fail_after(30):
        async with stream, anyio.create_task_group() as group:
            group.start_soon(anext, stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(
                StreamBusy, match=r"one task at a time; make one for each task"
            ) as busy:
                await anext(stream)
            group.cancel_scope.cancel()

    assert isinstance(busy.value, PersistenceError)
    assert isinstance(busy.value, anyio.BusyResourceError)


def test_who_was_refused_keeps_nobody_out() -> None:
    one_task = OneTask("search")

    with one_task:
        with pytest.raises(StreamBusy, match="another task waits for this search's next"), one_task:
            raise AssertionError
        with pytest.raises(StreamBusy), one_task:  # the one inside is still the only one
            raise AssertionError
    with one_task:
        pass


async def test_a_stream_says_where_it_is(live: Path) -> None:
    store = SessionStore(live.parent)
    said = []
    with anyio.fail_after(30):
        async with store.tail(ID) as tail:
            said.append(repr(tail))
            await anext(tail)
            await anext(tail)
            said.append(repr(tail))
        said.append(repr(tail))
        reader = store.read(path=live)
        assert len([record async for record in reader]) == 2
        everything, watch, scan = store.tail_all(), store.watch(include_existing=True), store.scan()
        async with everything, watch:
            await anext(everything)
            await anext(watch)
            await scan.rest()
            said += map(repr, (reader, everything, watch, scan, store))
        said.append(repr(everything))

    assert said == [
        "<SessionTail 4f2c0000 line 0, not begun>",
        "<SessionTail 4f2c0000 line 2, live>",
        "<SessionTail 4f2c0000 line 2, ended>",
        "<SessionReader 4f2c0000 line 2, ended>",
        f"<DirectoryTail {at(live)}, 1 session>",
        f"<SessionWatch {at(live)}, 1 session>",
        f"<Scan {at(live)}, 1 read>",
        f"<SessionStore {at(live)}>",
        f"<DirectoryTail {at(live)}, ended>",
    ]


def at(file: Path) -> str:
    text = str(file.parent)
    return text if len(text) <= 60 else "…" + text[-60:]


async def test_a_stream_knows_whose_it_is_from_its_header_its_cursor_or_its_name(
    live: Path,
) -> None:
    other = live.with_name("copy.jsonl")
    other.write_bytes(live.read_bytes().replace(str(ID).encode(), str(UUID(int=7)).encode()))
    store = SessionStore(live.parent)

    by_name, by_header = store.read(ID), store.read(path=other)
    known = [by_name.session_id, by_header.session_id]
    await anext(by_header)
    by_cursor = store.read(path=other, after=by_header.cursor)

    assert [*known, by_header.session_id, by_cursor.session_id] == [
        ID,
        None,
        UUID(int=7),
        UUID(int=7),
    ]


async def ended_after(stream: Any, turns: int) -> str:
    """Pull until the stream ends; another task closes it after so many turns of the loop."""
    got = "nothing"

    async def pull() -> None:
        nonlocal got
        count = 0
        async for _ in stream:
            count += 1
        got = "ended"

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(pull)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            await stream.aclose()
    return got


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "Scan"])
@pytest.mark.parametrize("there", [True, False], ids=["there", "absent"])
async def test_a_stream_that_another_task_closes_at_any_moment_just_ends(
    live: Path, tmp_path_factory: pytest.TempPathFactory, name: str, *, there: bool
) -> None:
    directory = live.parent if there or name == "SessionReader" else tmp_path_factory.mktemp("none")
    before = instances()

    ends = {await ended_after(STREAMS[name](SessionStore(directory)), turns) for turns in range(40)}

    assert (ends, instances()) == ({"ended"}, before)
