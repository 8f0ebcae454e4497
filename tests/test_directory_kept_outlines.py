"""What an earlier process has found that each session adds holds while none before it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chats import FIRST, Chats, name, rows
from families import STEPS, Family, next_process, opened, remember_few
from sessiontail import SessionStore
from sessiontail.directory import heads, kept_outlines, remembered
from sessiontail.directory.ancestry import Ancestry
from sessiontail.format import migrations
from sessiontail.system import stamps
from sessiontail.system.packs import Pack

pytestmark = pytest.mark.anyio

KIND = "outlines 2"


@pytest.fixture
def anyio_backend() -> str:
    """One is enough: what is tested runs in threads."""
    return "asyncio"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One file is many, each has not changed for long, and the cache is one of the test's."""
    path = tmp_path / "cache.sqlite"
    remember_few(monkeypatch, path, remembered, heads, kept_outlines)
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return Chats(directory)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are compared."""
    names: list[str] = []
    inherited = Ancestry.inherited

    def noted(self: Ancestry, of: tuple[str, ...], *args: Any) -> Any:
        names.append(Path(of[0]).stem[-2:])
        return inherited(self, of, *args)

    monkeypatch.setattr(Ancestry, "inherited", noted)
    return names


def some(chats: Chats) -> list[Path]:
    """A conversation of three turns, one that names its parent, and one that begins."""
    paths = [chats.write(i + 1, rows(*FIRST[: i + 1])) for i in range(3)]
    paths.append(chats.write(4, rows(*FIRST, ("why", "So.")), parents=[name(3)]))
    paths.append(chats.write(5, rows(("new", "Old.")), parents=[], lineage_kind="op_create"))
    return paths


def kept(directory: Path) -> set[str]:
    return {*(Pack(KIND, f"{directory}/").read() or {})}


async def test_the_next_process_compares_nothing(
    chats: Chats, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = some(chats)
    first = await next_process(chats.directory)
    asked.clear()
    with opened(monkeypatch) as names:
        second = await next_process(chats.directory)

    assert (asked, names) == ([], [])
    assert kept(chats.directory) == {path.name for path in paths}
    assert first == second == await next_process(chats.directory, cache=False)
    assert [(one.inherited_count, one.title, one.parent_text) for one in first] == [
        (0, "hello", None),
        (2, "more", name(1)),
        (4, "and", name(2)),
        (6, "why", name(3)),
        (0, "new", None),
    ]


async def test_what_changed_spoils_what_is_later_and_nothing_else(
    chats: Chats, asked: list[str]
) -> None:
    paths = some(chats)
    await next_process(chats.directory)
    paths[2].write_bytes(paths[2].read_bytes().replace(b"Yes.", b"Certainly."))
    asked.clear()
    changed = await next_process(chats.directory)
    spoiled = [*asked]
    chats.write(6, rows(*FIRST[:1]))
    asked.clear()
    more = await next_process(chats.directory)

    assert (spoiled, asked) == (["03", "04", "05"], ["06"])
    assert changed == more[:5]
    assert more == await next_process(chats.directory, cache=False)


@settings(max_examples=15)
@given(st.lists(st.lists(STEPS, max_size=9), min_size=2, max_size=4))
async def test_whatever_became_of_the_files_between_processes_the_outlines_are_those_of_comparing(
    tmp_path_factory: pytest.TempPathFactory, passes: list[list[tuple[Any, ...]]]
) -> None:
    family = Family(tmp_path_factory.mktemp("sessions"))
    for steps in passes:
        for step in steps:
            family.take(step)

        recalled = await next_process(family.chats.directory)
        assert recalled == await next_process(family.chats.directory, cache=False)


@pytest.mark.parametrize("named", ["notes.jsonl", "00000000-0000-4000-8000-000000000009.jsonl"])
async def test_a_file_that_comes_while_sessions_are_compared_leaves_nothing_proven(
    chats: Chats, named: str
) -> None:
    some(chats)

    def comes_and_goes(_: int) -> None:
        path = chats.directory / named
        path.write_bytes(b"")
        path.unlink()
        os.utime(chats.directory, (1, 1))  # a change within one tick of the clock leaves no trace

    await SessionStore(chats.directory).outlines(progress=comes_and_goes)

    assert kept(chats.directory) == set()


async def test_a_file_that_is_no_session_counts_as_one_that_might_become_one(
    chats: Chats, asked: list[str]
) -> None:
    some(chats)
    other = chats.directory / "notes.jsonl"
    other.write_bytes(b"")
    await next_process(chats.directory)
    asked.clear()
    await next_process(chats.directory)
    same = [*asked]
    other.write_bytes(b"x")
    await next_process(chats.directory)

    assert (same, asked) == ([], ["01", "02", "03", "04", "05"])


async def test_who_has_seen_others_go_keeps_nothing(chats: Chats) -> None:
    paths = some(chats)
    await next_process(chats.directory, cache=False)
    for number, path in enumerate(paths):
        path.unlink()
        chats.write(number + 10, rows(*FIRST[:number]))
    there = await SessionStore(chats.directory).outlines()

    assert kept(chats.directory) == set()
    assert there == await next_process(chats.directory)
    assert len(kept(chats.directory)) == 5


@pytest.mark.parametrize("why", ["asked", "off", "migrations", "young"])
async def test_nothing_is_kept_where_it_is_not_asked_for_or_proves_nothing(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "off":
        monkeypatch.setenv("SESSIONTAIL_CACHE", "off")
    if why == "migrations":
        monkeypatch.setattr(migrations, "_chunk_migrations", {0: dict})
    if why == "young":
        monkeypatch.setattr(stamps, "SETTLED_S", 3600)
    some(chats)
    outlined = await next_process(chats.directory, cache=why != "asked")

    assert len(outlined) == 5
    assert kept(chats.directory) == set()


async def test_a_value_that_says_nothing_is_found_anew(chats: Chats) -> None:
    some(chats)
    first = await next_process(chats.directory)
    before = Pack(KIND, f"{chats.directory}/").read()
    assert before
    Pack(KIND, f"{chats.directory}/").write({one: (before[one][0], b"\x80") for one in before})

    assert await next_process(chats.directory) == first
    assert Pack(KIND, f"{chats.directory}/").read() == before
