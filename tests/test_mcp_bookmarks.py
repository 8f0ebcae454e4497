"""Cursors that are too long for a model: short names, which a restart does not forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiontail import CursorInvalid
from sessiontail.mcp import bookmarks
from sessiontail.mcp.bookmarks import SHORT, Bookmarks
from sessiontail.system.cache import Cache

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # nothing here waits in a way of its own


LONG = ["st3d." + f"{n} " * SHORT for n in range(10)]


def opened(directory: Path) -> Bookmarks:
    return Bookmarks(directory / "sessions", Cache(directory / "cache.sqlite"))


async def test_a_short_one_stays_as_it_is(tmp_path: Path) -> None:
    kept = opened(tmp_path)

    assert await kept.short("x" * SHORT) == "x" * SHORT
    assert await kept.whole("st1.x") == "st1.x"


async def test_a_long_one_has_a_name_the_same_each_time_and_in_each_process(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)

    name = await first.short(LONG[0])
    other = await second.short(LONG[1])

    assert len(name) == len("kept.") + 20
    assert await first.short(LONG[0]) == await second.short(LONG[0]) == name
    assert await opened(tmp_path).whole(name) == LONG[0]
    assert await first.whole(other) == LONG[1]  # kept by the other one since


async def test_of_many_the_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookmarks, "_MOST", 4)
    kept = opened(tmp_path)
    names = [await kept.short(cursor) for cursor in LONG]

    for where in (kept, opened(tmp_path)):
        assert [await where.whole(name) for name in names[6:]] == LONG[6:]
        with pytest.raises(CursorInvalid, match="not kept any more"):
            await where.whole(names[5])


async def test_of_large_ones_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookmarks, "_MOST_BYTES", 2 * len(LONG[0]))
    kept = opened(tmp_path)
    names = [await kept.short(cursor) for cursor in LONG[:3]]

    assert [await kept.whole(name) for name in names[1:]] == LONG[1:3]
    with pytest.raises(CursorInvalid):
        await kept.whole(names[0])


async def test_without_a_cache_they_are_kept_as_long_as_the_process_runs(tmp_path: Path) -> None:
    kept = Bookmarks(tmp_path)  # the tests' cache is off
    name = await kept.short(LONG[0])

    assert await kept.whole(name) == LONG[0]
    with pytest.raises(CursorInvalid):
        await Bookmarks(tmp_path).whole(name)
