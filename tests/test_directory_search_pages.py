"""Pages of matches: each match once, whatever the size of a page, while sessions grow and close."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from samples import chunk_line, header_line, trailer_line
from sessiontail import CursorInvalid, InvalidPattern, SessionStore
from sessiontail.directory import search_pages
from sessiontail.directory.search_pages import SearchPage, search_page

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # nothing here waits in a way of its own


IDS = [f"4f2c0000-0000-4000-8000-00000000000{n}" for n in range(5)]


def write(directory: Path, n: int, *texts: str, closed: bool = True) -> Path:
    path = directory / f"{IDS[n]}.jsonl{'' if closed else '.__partial__'}"
    chunks = b"".join(chunk_line(i, text) for i, text in enumerate(texts))
    head = header_line(IDS[n], created_at=f"2026-01-0{n + 1}T00:00:00+00:00")
    path.write_bytes(head + chunks + (trailer_line(len(texts)) if closed else b""))
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, 0, "a hit", "none", "a hit\nand a hit\nand a hit")
    write(tmp_path, 1, "nothing")
    write(tmp_path, 2, "a hit", closed=False)
    write(tmp_path, 3, *["a hit\nhit"] * 3)
    return tmp_path


#: Session, line of the file, line of the text.
ALL = [
    *[(3, line, text_line) for line in (2, 3, 4) for text_line in (1, 2)],
    (2, 2, 1),
    (0, 2, 1),
    *[(0, 4, text_line) for text_line in (1, 2, 3)],
]


def places(page: SearchPage) -> list[tuple[int, int | None, int]]:
    return [(IDS.index(str(m.session_id)), m.line, m.text_line) for m in page.matches]


async def find(directory: Path, after: str | None = None, **options: Any) -> SearchPage:
    asked: dict[str, Any] = {"limit": 99, "seconds": 60.0, "literal": True, **options}
    return await search_page("hit", directory=directory, after=after, **asked)


async def test_the_newest_session_comes_first_and_all_is_told(directory: Path) -> None:
    page = await find(directory)

    assert places(page) == ALL
    assert (page.next, page.searched, page.total, page.unfinished) == (None, 4, 4, [])


@pytest.mark.parametrize("at_once", [1, 2, 256])
async def test_pages_that_follow_each_other_have_each_match_once(
    directory: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_pages, "_AT_ONCE", at_once)
    for limit in (1, 2, 3, 4, 7, 11):
        page = await find(directory, limit=limit)
        found, sizes = places(page), [len(page.matches)]
        while page.next is not None:
            page = await find(directory, page.next, limit=limit)
            found += places(page)
            sizes.append(len(page.matches))

        assert found == ALL
        assert set(sizes[:-1]) <= {limit}


async def test_a_session_that_is_closed_or_grows_between_two_pages_keeps_its_place(
    directory: Path,
) -> None:
    first = await find(directory, limit=6)
    wal = directory / f"{IDS[2]}.jsonl.__partial__"
    with wal.open("ab") as file:
        file.write(chunk_line(1, "one more hit") + trailer_line(2))
    wal.rename(directory / f"{IDS[2]}.jsonl")
    write(directory, 4, "a hit that is too new")

    rest = await find(directory, first.next)

    assert places(rest) == [(2, 2, 1), (2, 3, 1), *ALL[7:]]


async def test_both_files_of_a_session_that_was_opened_again_are_searched(directory: Path) -> None:
    write(directory, 3, "a hit of later", "and a hit", closed=False)
    whole = await find(directory)
    found, after, more = [], None, True
    while more:
        page = await find(directory, after, limit=1)
        found += places(page)
        after, more = page.next, page.next is not None

    assert places(whole) == [(3, 2, 1), (3, 3, 1), *ALL]
    assert found == places(whole)


async def test_with_no_time_a_session_is_searched_at_least_and_the_next_page_goes_on(
    directory: Path,
) -> None:
    page = await find(directory, seconds=0.0)
    rest = await find(directory, page.next)

    assert (places(page), page.unfinished, page.searched) == ([], [IDS[3]], 1)
    assert (places(rest), rest.unfinished, rest.total) == (ALL[6:], [], 3)


async def test_only_the_sessions_that_are_asked_for_are_searched(directory: Path) -> None:
    page = await find(directory, ids=[IDS[0], IDS[1]])

    assert places(page) == ALL[7:]
    assert page.total == 2


async def test_what_cannot_be_read_is_named(directory: Path) -> None:
    metas = await SessionStore(directory).list()
    for meta in metas:
        if meta.id_text in IDS[1:3]:
            meta.path.unlink()
            meta.path.mkdir()

    found, done, unread = await search_pages._search(
        "hit",
        directory,
        metas,
        {"literal": True},
        wanted=99,
        deadline=float("inf"),
        behind=None,
    )

    assert [match.session_id for match in found] == [*[UUID(IDS[0])] * 4, *[UUID(IDS[3])] * 6]
    assert (done, unread) == (True, IDS[1:3])


async def test_what_cannot_be_meant_is_refused(directory: Path) -> None:
    with pytest.raises(CursorInvalid):
        await find(directory, "st1.abc")
    with pytest.raises(CursorInvalid, match="damaged"):
        await find(directory, "st1s.abc")
    with pytest.raises(InvalidPattern):
        await search_page("(", directory=directory, limit=1, seconds=1)
