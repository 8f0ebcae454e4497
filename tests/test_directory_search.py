"""A search of a directory: what is in the stream, in which order, and what happens between two steps."""

from __future__ import annotations

import gc
import inspect
import itertools
import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chats import FIRST, Chats, name, rows
from listed import IDS, put
from samples import ID, chunk_line, header_line
from sessiontail import (
    InvalidPattern,
    Match,
    PatternTooSlow,
    PersistenceError,
    SessionState,
    SessionStore,
    StreamBusy,
    search,
)
from sessiontail.directory import errands
from sessiontail.directory.search_options import SearchOptions
from sessiontail.format.brief import place
from sessiontail.session.asking import matches_of
from sessiontail.system.files import SessionFile
from writers import real_writer

pytestmark = pytest.mark.anyio


def written(directory: Path, *contents: str, number: int = 0, closed: bool = True) -> Path:
    """A session that says these; each number is one, a second younger than the one before."""
    lines = [chunk_line(i, content) for i, content in enumerate(contents)]
    ending = ".jsonl" if closed else ".jsonl.__partial__"
    path = put(directory, f"{IDS[number]}{ending}", header_line(IDS[number]) + b"".join(lines))
    os.utime(path, (number, number))
    return path


async def found(directory: Path, pattern: str = "jazz", **options: Any) -> list[tuple[int, str]]:
    """The number of the session and the text of each match."""
    matches = [match async for match in search(pattern, directory=directory, **options)]
    return [(IDS.index(match.session_id), match.text) for match in matches if match.session_id]


async def test_all_sessions_are_searched_those_that_changed_last_at_the_end(
    tmp_path: Path,
) -> None:
    for number in (2, 0, 1):
        written(tmp_path, f"jazz {number}", "no", number=number, closed=number != 1)

    assert await found(tmp_path) == [(0, "jazz 0"), (1, "jazz 1"), (2, "jazz 2")]
    assert await found(tmp_path, r"\w{4} [12]$") == [(1, "jazz 1"), (2, "jazz 2")]
    assert await found(tmp_path, ids=[IDS[1]]) == [(1, "jazz 1")]
    assert await found(tmp_path, states=[SessionState.ABANDONED]) == [
        (0, "jazz 0"), (1, "jazz 1"), (2, "jazz 2"),
    ]  # fmt: skip


async def test_a_running_session_is_searched_as_far_as_it_is_written(
    tmp_path: Path, live: Path
) -> None:
    assert live.exists()

    matches = [match async for match in search("first", directory=tmp_path)]

    assert [(match.file, match.line, match.text) for match in matches] == [(str(live), 2, "first")]


async def test_nothing_and_no_directory_have_no_matches(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        stream = search("jazz", directory=directory)

        assert ([match async for match in stream], stream.total) == ([], 0)


async def test_a_row_that_was_inherited_is_searched_once(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(("jazz", "No.")))
    chats.write(2, rows(("jazz", "No."), ("jazz?", "Yes.")), parents=[name(1)])

    def whose(matches: list[Match]) -> list[tuple[str, str]]:
        return [(str(match.session_id), match.text) for match in matches]

    once = [match async for match in search("jazz", directory=tmp_path)]
    every = [match async for match in search("jazz", directory=tmp_path, inherited="include")]

    assert whose(once) == [(name(1), "jazz"), (name(2), "jazz?")]
    assert whose(every) == [(name(1), "jazz"), (name(2), "jazz"), (name(2), "jazz?")]


async def test_a_parent_that_is_in_no_file_hides_no_row(tmp_path: Path) -> None:
    Chats(tmp_path).write(1, rows(*FIRST))

    assert [match.text async for match in search("hello", directory=tmp_path)] == ["hello"]


async def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    written(tmp_path, "jazz")
    (tmp_path / f"{IDS[1]}.jsonl").mkdir()
    put(tmp_path, "notes.jsonl", b'{"jazz": 1}\n')
    stream = search("jazz", directory=tmp_path, paths=None)

    assert [match.text async for match in stream] == ["jazz"]
    assert [error.path for error in stream.failed] == [tmp_path / f"{IDS[1]}.jsonl"]
    assert [(error.path, error.reason) for error in stream.skipped] == [
        (tmp_path / "notes.jsonl", "no-header")
    ]


async def test_with_metas_the_same_is_told(tmp_path: Path) -> None:
    written(tmp_path, "jazz")
    put(tmp_path, "notes.jsonl", b'{"jazz": 1}\n')
    stream = search("jazz", directory=tmp_path, states=["abandoned"])

    assert [match.text async for match in stream] == ["jazz"]
    assert [(error.path, error.reason) for error in stream.skipped] == [
        (tmp_path / "notes.jsonl", "unknown-record")
    ]


async def test_damaged_lines_that_could_match_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "jazz")
    path.write_bytes(path.read_bytes() + b"jazz\n")
    stream = search("jazz", directory=tmp_path)

    assert ([match.line async for match in stream], stream.damaged) == ([2], 1)
    damage = [match async for match in search("jazz", directory=tmp_path, kinds=["damage"])]
    assert [(match.line, match.kind, match.text) for match in damage] == [(3, "damage", "jazz")]


async def test_a_pattern_that_explodes_ends_the_search_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "no", "a" * 60 + "b")
    assert matches_of.__kwdefaults__ is not None
    monkeypatch.setitem(matches_of.__kwdefaults__, "most_s", 0.05)
    stream = SessionStore(tmp_path).search("(a|aa)+$")

    with pytest.raises(PatternTooSlow) as caught:
        await anext(stream)

    assert (caught.value.path, caught.value.line) == (path, 3)
    assert [match async for match in stream] == []


@pytest.mark.parametrize("options", [{}, {"states": ["abandoned"]}])
async def test_the_same_matches_come_however_often_a_step_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    monkeypatch.setattr(errands, "_MOST_MATCHES", 3)
    for number in range(4):
        written(tmp_path, *["jazz"] * 5, number=number)
    expected = await found(tmp_path)
    stream = search("jazz", directory=tmp_path, **options)
    came: list[tuple[int, str]] = []

    async def cancel(scope: anyio.CancelScope, turns: int) -> None:
        for _ in range(turns):
            await checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as group:
        for turns in itertools.count():
            with anyio.CancelScope() as scope:
                group.start_soon(cancel, scope, turns % 9)
                try:
                    match = await anext(stream)
                except StopAsyncIteration:
                    break
                assert match.session_id is not None
                came.append((IDS.index(match.session_id), match.text))

    assert (came, len(came)) == (expected, 20)


async def test_one_task_at_a_time_pulls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "jazz")
    stream = search("jazz", directory=tmp_path)
    refused: list[str] = []

    async def pull() -> None:
        try:
            await anext(stream)
        except StreamBusy as error:
            refused.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(pull)
        group.start_soon(pull)

    assert [text.partition(":")[0] for text in refused] == [
        "another task waits for this search's next"
    ]


async def test_a_search_that_is_left_closes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "_MOST_MATCHES", 1)
    written(tmp_path, *["jazz"] * 9)
    before = {*SessionFile.open_now}

    async with search("jazz", directory=tmp_path) as stream:
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    dropped = search("jazz", directory=tmp_path)
    await anext(dropped)
    del dropped
    gc.collect()

    with anyio.fail_after(10):
        while before != SessionFile.open_now:
            await anyio.sleep(0.001)


async def test_a_search_says_how_far_it_is(tmp_path: Path) -> None:
    sizes = [written(tmp_path, "jazz", number=number).stat().st_size for number in range(3)]
    stream = search("jazz", directory=tmp_path)
    assert repr(stream) == f"<Search {place(tmp_path)}, not begun>"

    assert len([match async for match in stream]) == 3

    assert (stream.total, stream.total_bytes) == (3, sum(sizes))
    assert 0 < stream.searched_bytes <= sum(sizes)
    assert repr(stream) == f"<Search {place(tmp_path)}, ended>"


async def test_what_cannot_be_meant_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidPattern):
        search("(", directory=tmp_path)
    with pytest.raises(ValueError, match="inherited"):
        search("x", directory=tmp_path, inherited="some")  # type: ignore[arg-type] # what is tested
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PersistenceError):
        await anext(search("x", directory=tmp_path / "file"))


async def test_what_the_real_writer_writes_is_found(tmp_path: Path) -> None:
    writer = real_writer()
    writer("open", home=tmp_path, session_id=ID)
    writer("write", text='größer "als" \\ / 😀\u2028\x1b[0m')
    writer("close")

    for pattern in ("größer", '"als"', "\\ /", "😀\u2028", "\x1b[0m", 's" \\'):
        stream = search(pattern, directory=tmp_path, literal=True)
        (match,) = [match async for match in stream]
        (span,) = match.spans

        assert match.text[slice(*span)] == pattern
        assert json.dumps(match.to_dict())


async def test_a_bucket_is_searched_as_a_directory_is(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    written(tmp_path, "jazz", "x" * 2_000_000, "jazz 2")
    there = [match async for match in search("jazz", directory=tmp_path)]

    found = [match async for match in search("jazz", directory=f"file://{tmp_path}")]

    assert [(match.line, match.text) for match in found] == [(2, "jazz"), (4, "jazz 2")]
    assert [match.file for match in found] == [f"file://{match.file}" for match in there]


def test_help_says_of_each_option_what_it_means() -> None:
    said = inspect.getdoc(search) or ""

    assert [name for name in SearchOptions.__annotations__ if f"\n    {name}: " not in said] == []


def test_a_misspelt_directory_is_answered_with_the_right_name(tmp_path: Path) -> None:
    options: dict[str, Any] = {"dir": tmp_path}

    with pytest.raises(TypeError, match="no option 'dir'; did you mean 'directory'"):
        search("jazz", **options)
