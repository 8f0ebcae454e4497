"""Matches in what sessions say: what is there, and what comes, each with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from chats import Chats, name, rows
from listed import IDS, put
from samples import chunk_line, header_line, session_bytes
from sessiontail import Match, PatternTooSlow, SessionStore, search
from sessiontail.directory import search_following
from sessiontail.directory.search_following import FollowingSearch
from sessiontail.session.asking import matches_of

pytestmark = pytest.mark.anyio


async def taken(stream: FollowingSearch, count: int) -> list[Match]:
    with anyio.fail_after(20):
        return [await anext(stream) for _ in range(count)]


async def test_what_is_there_is_found_where_a_search_finds_it_and_then_what_comes(
    store: SessionStore,
) -> None:
    one = put(
        store.directory, f"{IDS[0]}.jsonl",
        header_line(IDS[0]) + b"\n" + chunk_line(0, "no") + chunk_line(1, "jazz") + b"[]\n" + chunk_line(2, "jazz"),
    )  # fmt: skip
    there = [match async for match in search("jazz", directory=store.directory)]

    async with store, store.search_live("jazz") as stream:
        found = await taken(stream, 2)
        two = put(store.directory, f"{IDS[1]}.jsonl.__partial__", header_line(IDS[1]))
        with two.open("ab") as file:
            file.write(chunk_line(0, "jazz"))
        (new,) = await taken(stream, 1)

    assert [(match.line, match.offset) for match in found] == [
        (match.line, match.offset) for match in there
    ]
    assert one.read_bytes()[found[0].offset or 0 :].startswith(chunk_line(1, "jazz"))
    assert (new.session_id, new.line, new.offset) == (IDS[1], 2, len(header_line(IDS[1])))


async def test_sessions_that_were_created_before_and_others_are_left_out(
    store: SessionStore,
) -> None:
    for number, day in ((0, 1), (1, 5), (2, 6)):
        head = header_line(IDS[number], created_at=f"2026-01-0{day}T00:00:00Z")
        put(store.directory, f"{IDS[number]}.jsonl", head + chunk_line(0, "jazz") * 2)
    since = datetime(2026, 1, 3, tzinfo=UTC)

    async with store.search_live("jazz", since=since, ids=IDS[:2], max_per_session=1) as stream:
        (found,) = await taken(stream, 1)
        put(store.directory, f"{IDS[1]}.jsonl.__partial__", session_bytes(session_id=IDS[3]))
        with anyio.move_on_after(0.05) as scope:
            await anext(stream)

    assert found.session_id == IDS[1]
    assert scope.cancelled_caught


async def test_a_row_that_was_inherited_is_found_once(store: SessionStore) -> None:
    chats = Chats(store.directory)
    chats.write(1, rows(("jazz", "No.")))
    chats.write(2, rows(("jazz", "No."), ("jazz?", "Yes.")), parents=[name(1)])

    async with store.search_live("jazz") as stream:
        found = await taken(stream, 2)

    assert sorted((str(match.session_id), match.text) for match in found) == [
        (name(1), "jazz"), (name(2), "jazz?"),
    ]  # fmt: skip


async def test_a_text_that_takes_long_is_searched_beside_the_loop(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_following, "_HERE_S", 0.0)
    put(store.directory, f"{IDS[0]}.jsonl", header_line(IDS[0]) + chunk_line(0, "jazz"))

    async with store.search_live("j.zz") as stream:
        (found,) = await taken(stream, 1)

    assert (found.line, found.text) == (2, "jazz")


async def test_a_pattern_that_explodes_is_told_and_the_next_step_goes_on_behind_it(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert matches_of.__kwdefaults__ is not None
    monkeypatch.setitem(matches_of.__kwdefaults__, "most_s", 0.05)
    lines = chunk_line(0, "a" * 60 + "b"), chunk_line(1, "aa")
    put(store.directory, f"{IDS[0]}.jsonl", header_line(IDS[0]) + b"".join(lines))

    async with store.search_live("(a|aa)+$") as stream:
        with pytest.raises(PatternTooSlow) as caught:
            await taken(stream, 1)
        (found,) = await taken(stream, 1)

    assert (caught.value.line, found.line) == (2, 3)


async def test_one_that_is_left_ends(tmp_path: Path) -> None:
    async with SessionStore(tmp_path).search_live("jazz") as stream:
        pass

    assert [match async for match in stream] == []
    assert repr(stream).startswith("<FollowingSearch of <DirectoryTail ")
