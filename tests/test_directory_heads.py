"""What an earlier process has read of rows and titles gives the outlines that reading gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chats import FIRST, GONE, Chats, name, rows
from samples import chunk_line, trailer_line
from sessiontail import SessionStore
from sessiontail.directory import ancestry, heads, outlines, remembered
from sessiontail.directory.outlines import SessionOutline
from sessiontail.format import migrations
from sessiontail.session import counting, known
from sessiontail.system import stamps
from sessiontail.system.files import SessionFile
from sessiontail.system.packs import Pack

pytestmark = pytest.mark.anyio

KIND = "heads 1"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One file is many, each has not changed for long, and the cache is one of the test's."""
    for module in (remembered, heads):
        monkeypatch.setattr(module, "_MUCH", 1)
    for where in (stamps, known, counting, ancestry):
        monkeypatch.setattr(where, "SETTLED_S", 0)
    path = tmp_path / "cache.sqlite"
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(path))
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return Chats(directory)


def kept(directory: Path) -> dict[str, tuple[bytes, bytes]]:
    return Pack(KIND, f"{directory}/").read() or {}


async def next_process(directory: Path, **options: Any) -> list[SessionOutline]:
    """What a process gives that knows nothing of those before."""
    known.forget()
    counting._counted.clear()
    ancestry._known.clear()
    outlines._titles.clear()
    return await SessionStore(directory, **options).outlines()


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give a list that gets the name of every session file that is opened."""
    names: list[str] = []
    begin = SessionFile.__init__

    def noted(self: SessionFile, path: Path | str, **options: Any) -> None:
        names.append(Path(path).name)
        begin(self, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SessionFile, "__init__", noted)
        yield names


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


LETTERS = "aAbB"
NUMBERS = st.integers(0, 30)
STEPS = st.one_of(
    st.tuples(st.just("write"), NUMBERS, NUMBERS, st.text(LETTERS, max_size=5), st.booleans()),
    st.tuples(st.just("grow"), NUMBERS, st.text(LETTERS, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["close", "rewrite", "replace", "remove", "cut", "damage"]), NUMBERS),
)


class Family:
    """Sessions that begin with the rows of others, and what becomes of their files."""

    def __init__(self, directory: Path) -> None:
        self.chats = Chats(directory)
        self.texts: list[str] = [""]
        self.paths: list[Path] = []

    def rows_of(self, text: str, first: int = 0) -> bytes:
        return b"".join(
            chunk_line(first + i, sign, "assistant" if sign.isupper() else "user")
            for i, sign in enumerate(text)
        )

    def take(self, step: tuple[Any, ...]) -> None:
        what, number, *rest = step
        if what == "write":
            self.write(number, *rest)
        elif self.paths:
            path = self.paths[number % len(self.paths)]
            if path.exists():
                getattr(self, what)(path, *rest)

    def write(self, parent: int, kind: int, text: str, *ends: bool) -> None:
        at = parent % len(self.texts)
        whole = self.texts[at][: kind % 7 or None] + text
        parents = [[GONE], [name(at)], []][kind % 3]
        fields = {} if parents else {"lineage_kind": ["op_detach", "op_create"][kind % 2]}
        made = self.chats.write(
            len(self.texts), self.rows_of(whole), parents=parents, closed=all(ends), **fields
        )
        self.texts.append(whole)
        self.paths.append(made)

    def grow(self, path: Path, text: str) -> None:
        with path.open("ab") as file:
            file.write(self.rows_of(text, 99))

    def close(self, path: Path) -> None:
        with path.open("ab") as file:
            file.write(trailer_line(1))
        path.rename(path.with_name(path.name.removesuffix(".__partial__")))

    def rewrite(self, path: Path) -> None:
        before = path.stat().st_mtime_ns
        data = path.read_bytes().replace(b'"content": "a"', b'"content": "b"')
        with path.open("r+b") as file:
            file.write(data)
        os.utime(path, ns=(1, before + 1))

    def replace(self, path: Path) -> None:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes().replace(b'"content": "A"', b'"content": "B"'))
        other.rename(path)

    def remove(self, path: Path) -> None:
        path.unlink()

    def cut(self, path: Path) -> None:
        os.truncate(path, path.stat().st_size * 2 // 3)

    def damage(self, path: Path) -> None:
        data = path.read_bytes()
        at = data.index(b"\n") + 1
        path.write_bytes(data[:at] + b"damaged\n" + data[at:])


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
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
