"""A directory -> who descends from whom in it, by what headers name and by what rows are copied."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from chats import FIRST, GONE, Chats, name, rows
from families import know_nothing, opened, remember_few
from kinships import numbers, outline
from sessiontail import LineageEdge, SessionState, read_lineage
from sessiontail.directory import heads, kept_outlines, remembered
from sessiontail.directory.tracing import lineage_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(tmp_path)


async def test_links_are_named_by_headers_and_found_by_content(chats: Chats) -> None:
    chats.write(1, rows(*FIRST[:1]), parents=[])
    chats.write(2, rows(*FIRST[:2]))
    chats.write(3, rows(*FIRST), parents=[name(2), GONE], closed=False)
    told: list[tuple[int, int]] = []

    lineage = await read_lineage(directory=chats.directory, progress=lambda *how: told.append(how))

    assert lineage.edges == (
        LineageEdge(name(2), GONE, 0),
        LineageEdge(name(2), name(1), None),
        LineageEdge(name(3), name(2), 0),
        LineageEdge(name(3), GONE, 1),
    )
    assert [
        (node.title, node.own_count, node.inherited_count, node.state) for node in lineage.nodes
    ] == [
        ("hello", 2, 0, SessionState.CLOSED),
        ("more", 2, 2, SessionState.CLOSED),
        ("and", 2, 4, SessionState.UNKNOWN),
        (None, None, None, None),
    ]
    assert told == [(3, 3)]


async def test_two_files_of_one_session_are_one_node_and_the_later_speaks(chats: Chats) -> None:
    chats.write(1, rows(*FIRST[:1]), parents=[])
    closed = chats.write(2, rows(*FIRST[:2]), parents=[name(1)])
    again = chats.write(2, rows(*FIRST), parents=[GONE], closed=False)

    lineage = await read_lineage(directory=chats.directory)

    assert [node.id_text for node in lineage.nodes] == [name(1), name(2), GONE]
    assert lineage.nodes[1].files == (str(again), str(closed))
    assert lineage.nodes[1].state is SessionState.UNKNOWN
    assert lineage.parents[name(2)][0] == LineageEdge(name(2), GONE, 0)
    assert lineage.cycles == ()


async def test_what_is_no_session_is_told_and_stops_nothing(chats: Chats) -> None:
    chats.write(1, rows(*FIRST[:1]), parents=[])
    (chats.directory / "notes.jsonl").write_bytes(b"no header\n")

    lineage = await read_lineage(directory=chats.directory)

    assert numbers([node.id for node in lineage.nodes]) == [1]
    assert [error.path and error.path.name for error in lineage.skipped] == ["notes.jsonl"]


async def test_a_directory_that_is_absent_is_empty(tmp_path: Path) -> None:
    lineage = await read_lineage(directory=tmp_path / "absent")

    assert (lineage.nodes, lineage.edges, lineage.roots, lineage.cycles) == ((), (), (), ())


async def test_what_an_earlier_process_has_compared_is_not_opened(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = chats.directory / "cache.sqlite"
    remember_few(monkeypatch, cache, remembered, heads, kept_outlines)
    for i in range(1, 4):
        chats.write(i, rows(*FIRST[:i]))
    whole = await read_lineage(directory=chats.directory)

    know_nothing()
    with opened(monkeypatch) as names:
        again = await read_lineage(directory=chats.directory)
    assert (names, again) == ([], whole)
    know_nothing()
    with opened(monkeypatch) as names:
        without = await read_lineage(directory=chats.directory, cache=False)
    assert (len({*names}), without) == (3, whole)


async def test_another_task_runs_while_a_directory_is_read(chats: Chats) -> None:
    for i in range(70):
        chats.write(i, rows((f"chat {i}", "yes")))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0)
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        await read_lineage(directory=chats.directory)
        group.cancel_scope.cancel()

    assert turns > 4


def test_a_session_that_has_its_own_rows_is_not_its_parent() -> None:
    assert lineage_of([outline(1, found=1)]).edges == ()


def test_a_parent_whose_rows_it_has_and_that_it_names_is_one_link() -> None:
    assert lineage_of([outline(1), outline(2, [8, 1], found=1)]).edges == (
        LineageEdge(name(2), name(8), 0),
        LineageEdge(name(2), name(1), 1),
    )
