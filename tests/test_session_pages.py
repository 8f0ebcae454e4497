"""Pages of a session are its records cut in pieces, each with the place that a reader has there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostile import CASES
from samples import ID, all_of, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import Chunk, CursorInvalid, Record, SessionNotFound, SessionReader, SessionStore
from sessiontail.session.pages import PagedRecord, RecordPage, read_page

pytestmark = pytest.mark.anyio


def put(directory: Path, data: bytes) -> SessionStore:
    (directory / f"{ID}.jsonl").write_bytes(data)
    return SessionStore(directory)


async def placed(reader: SessionReader) -> list[tuple[str, int | None, str]]:
    """What a reader gives one by one."""
    async with reader:
        return [(all_of(record), reader.place[0], reader.cursor) async for record in reader]


async def paged(store: SessionStore, **options: Any) -> list[RecordPage]:
    pages, after = [], None
    while True:
        page = await read_page(store.read(ID, after=after), **options)
        pages.append(page)
        after = page.next
        if page.at_end:
            return pages


def as_told(pages: list[RecordPage]) -> list[tuple[str, int | None, str]]:
    rows = [row for page in pages for row in page.records]
    return [(all_of(row.record), row.line, row.cursor) for row in rows]


def texts(rows: list[PagedRecord]) -> list[str | None]:
    return [row.record.text for row in rows if isinstance(row.record, Chunk)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", CASES)
async def test_pages_are_what_a_reader_gives(name: str, tmp_path: Path) -> None:
    store = put(tmp_path, CASES[name].data)
    expected = await placed(store.read(ID))

    for limit in (1, 2, 1000):
        pages = await paged(store, limit=limit)
        assert as_told(pages) == expected
        assert {len(page.records) for page in pages[:-1]} <= {limit}


async def test_a_page_that_meets_the_end_goes_on_with_what_is_written_later(tmp_path: Path) -> None:
    store = put(tmp_path, header_line() + b"torn")
    first = await read_page(store.read(ID), limit=9)
    assert (len(first.records), first.at_end) == (1, True)
    assert first.next == first.records[0].cursor

    put(tmp_path, header_line() + chunk_line(0, "new"))

    assert texts((await read_page(store.read(ID, after=first.next), limit=9)).records) == ["new"]


async def test_a_page_can_begin_before_the_end(tmp_path: Path) -> None:
    store = put(tmp_path, header_line() + b"".join(chunk_line(n, f"{n}") for n in range(9)))

    page = await read_page(store.read(ID, last=2), limit=9)
    empty = await read_page(store.read(ID, last=0), limit=9)

    assert texts(page.records) == ["7", "8"]
    assert [row.line for row in page.records] == [9, 10]
    assert (empty.records, empty.next) == ([], page.next)


async def test_a_page_ends_before_it_is_too_heavy(tmp_path: Path) -> None:
    store = put(tmp_path, header_line() + b"".join(chunk_line(n, "x" * n) for n in (5, 5, 99, 5)))

    def weigh(record: Record) -> int:
        return len(record.text or "") if isinstance(record, Chunk) else 0

    pages = await paged(store, limit=99, most_weight=10, weigh=weigh)

    lengths = [[len(text or "") for text in texts(page.records)] for page in pages]
    assert lengths == [[5, 5], [99], [5]]


async def test_a_page_takes_so_much_of_the_file(tmp_path: Path) -> None:
    lines = [header_line(), *(chunk_line(n, "x" * 100) for n in range(4)), trailer_line(4)]
    store = put(tmp_path, b"".join(lines))

    pages = await paged(store, limit=99, most_bytes=len(lines[0]) + 2 * len(lines[1]))

    assert [len(page.records) for page in pages] == [3, 3]


async def test_only_what_is_wanted_is_on_a_page(tmp_path: Path) -> None:
    rows = [chunk_line(n, f"{n}", "user" if n % 3 else "system") for n in range(20)]
    store = put(tmp_path, header_line() + b"".join(rows))

    by_kind = await paged(store, limit=3, kinds=["system"])
    both = await paged(
        store,
        limit=9,
        kinds=["system", "header"],
        wants=lambda record: isinstance(record, Chunk) and "5" in (record.text or ""),
    )

    assert [texts(page.records) for page in by_kind] == [["0", "3", "6"], ["9", "12", "15"], ["18"]]
    assert [texts(page.records) for page in both] == [["15"]]


async def test_what_is_searched_for_one_page_is_bounded(tmp_path: Path) -> None:
    """A page is short then, or empty, and says where the next begins."""
    row = chunk_line(0, "x" * 100_000)
    store = put(tmp_path, header_line() + row * 9 + chunk_line(1, "found", "system"))

    pages = await paged(store, limit=9, kinds=["system"], scan_bytes=300_000)

    assert len(pages) == 3
    assert [texts(page.records) for page in pages] == [[], [], ["found"]]


async def test_a_long_line_is_read_in_a_page_too(tmp_path: Path) -> None:
    store = put(tmp_path, header_line() + chunk_line(0, "x" * 3_000_000) + trailer_line())

    pages = await paged(store, limit=9, most_bytes=1000)

    assert as_told(pages) == await placed(store.read(ID))
    assert [len(page.records) for page in pages] == [1, 1, 1]


async def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound):
        await read_page(SessionStore(tmp_path).read(ID), limit=1)
    store = put(tmp_path, session_bytes(3))
    after = (await read_page(store.read(ID), limit=3)).next
    put(tmp_path, session_bytes(3, lineage_operator="other"))
    with pytest.raises(CursorInvalid):
        await read_page(store.read(ID, after=after), limit=1)
