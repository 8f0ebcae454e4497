"""What an earlier process has read of rows and titles gives the outlines that reading gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chats import FIRST, Chats, name, rows
from families import STEPS, Family, next_process, opened, remember_few
from sessiontail import SessionStore
from sessiontail.directory import ancestry, heads, kept_outlines, remembered
from sessiontail.format import migrations
from sessiontail.system import stamps
from sessiontail.system.packs import Pack

pytestmark = pytest.mark.anyio

KIND = "heads 2"


@pytest.fixture
def anyio_backend() -> str:
    """One is enough: what is tested runs in threads."""
    return "asyncio"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One file is many, each has not changed for long, and the cache is one of the test's."""
    path = tmp_path / "cache.sqlite"
    remember_few(monkeypatch, path, remembered, heads)
    monkeypatch.setattr(kept_outlines, "_MUCH", 1000)  # else these are asked first
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return Chats(directory)


def kept(directory: Path) -> dict[str, tuple[bytes, bytes]]:
    return Pack(KIND, f"{directory}/").read() or {}


def some(chats: Chats) -> list[Path]:
    """A conversation of three turns, one that names its parent, one that begins, one that runs."""
    paths = [chats.write(i + 1, rows(*FIRST[: i + 1])) for i in range(3)]
    paths.append(chats.write(4, rows(*FIRST, ("why", "So.")), parents=[name(3)]))
    paths.append(chats.write(5, rows(("new", "Old.")), parents=[], lineage_kind="op_create"))
    paths.append(chats.write(6, rows(*FIRST[:2])[:-20], closed=False))
    return paths


async def test_the_next_process_opens_no_file_that_has_not_changed(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(chats)
    first = await next_process(chats.directory)
    with opened(monkeypatch) as names:
        second = await next_process(chats.directory)
        third = await next_process(chats.directory)

    assert first == second == third == await next_process(chats.directory, cache=False)
    assert [(one.inherited_count, one.title) for one in first] == [
        (0, "hello"),
        (2, "more"),
        (4, "and"),
        (6, "why"),
        (0, "new"),
        (2, "more"),
    ]
    assert names == []


async def test_only_what_has_changed_is_opened(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = some(chats)
    await next_process(chats.directory)
    with paths[-1].open("ab") as file:
        file.write(b'"}}\n')
    paths[4].unlink()
    with opened(monkeypatch) as names:
        second = await next_process(chats.directory)

    assert second == await next_process(chats.directory, cache=False)
    # Its other name is tried first.
    assert {*names} == {paths[-1].name, paths[-1].name.removesuffix(".__partial__")}


@settings(max_examples=15)
@given(st.lists(st.lists(STEPS, max_size=9), min_size=2, max_size=4))
async def test_whatever_became_of_the_files_between_processes_the_outlines_are_those_of_reading(
    tmp_path_factory: pytest.TempPathFactory, passes: list[list[tuple[Any, ...]]]
) -> None:
    family = Family(tmp_path_factory.mktemp("sessions"))
    for steps in passes:
        for step in steps:
            family.take(step)

        recalled = await next_process(family.chats.directory)
        assert recalled == await next_process(family.chats.directory, cache=False)


async def test_what_is_known_in_this_process_is_not_asked_for(
    chats: Chats, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [chats.write(i, rows((f"chat {i}", "Yes."))) for i in range(4)]
    first = await next_process(chats.directory)
    cache.unlink()
    monkeypatch.setattr(heads, "_MUCH", 4)
    again = await SessionStore(chats.directory).outlines()
    there = cache.exists()
    await next_process(chats.directory)

    assert first == again
    assert not there
    assert set(kept(chats.directory)) == {path.name for path in paths}


async def test_names_that_are_gone_are_forgotten(chats: Chats, cache: Path) -> None:
    paths = some(chats)
    await next_process(chats.directory)
    for path in paths[:3]:
        path.unlink()
    await next_process(chats.directory)

    assert set(kept(chats.directory)) == {path.name for path in paths[3:]}


@pytest.mark.parametrize("why", ["asked", "off", "migrations", "young"])
async def test_nothing_is_kept_where_it_is_not_asked_for_or_proves_nothing(
    chats: Chats, cache: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "off":
        monkeypatch.setenv("SESSIONTAIL_CACHE", "off")
    if why == "migrations":
        monkeypatch.setattr(migrations, "_chunk_migrations", {0: dict})
    if why == "young":
        monkeypatch.setattr(stamps, "SETTLED_S", 3600)
    some(chats)
    outlined = await next_process(chats.directory, cache=why != "asked")

    assert len(outlined) == 6
    assert kept(chats.directory) == {}


async def test_a_value_that_says_nothing_is_read_anew(chats: Chats, cache: Path) -> None:
    some(chats)
    first = await next_process(chats.directory)
    before = kept(chats.directory)
    Pack(KIND, f"{chats.directory}/").write({one: (before[one][0], b"\x80") for one in before})

    assert await next_process(chats.directory) == first
    assert kept(chats.directory) == before


async def test_an_outline_that_is_given_up_leaves_the_ancestry_to_itself(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(chats)

    def given_up(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await SessionStore(chats.directory).outlines(progress=given_up)

    assert ancestry.ancestry_of(chats.directory).recall is None
