"""Sessions that begin with the rows of others, and what becomes of their files between processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

from chats import GONE, Chats, name
from samples import chunk_line, trailer_line
from sessiontail import SessionStore
from sessiontail.directory import ancestry, outlines
from sessiontail.directory.outlines import SessionOutline
from sessiontail.session import counting, known
from sessiontail.system import stamps
from sessiontail.system.files import SessionFile

__all__ = ["STEPS", "Family", "know_nothing", "next_process", "opened", "remember_few"]


def know_nothing() -> None:
    """Be like a process that knows nothing of those before."""
    known.forget()
    counting._counted.clear()
    ancestry._known.clear()
    outlines._titles.clear()


def remember_few(monkeypatch: pytest.MonkeyPatch, cache: Path, *many: ModuleType) -> None:
    """Keep what is read in a cache of the test's: to these, one file is many, and has long been as it is."""
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(cache))
    for module in many:
        monkeypatch.setattr(module, "_MUCH", 1)
    for where in (stamps, known, counting, ancestry):
        monkeypatch.setattr(where, "SETTLED_S", 0)


async def next_process(directory: Path, **options: Any) -> list[SessionOutline]:
    """What a process gives that knows nothing of those before."""
    know_nothing()
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
        at = data.find(b"\n") + 1
        path.write_bytes(data[:at] + b"damaged\n" + data[at:])
