"""Pages of a session's records: bounded by number, weight and file, each going on exactly."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from actors import records_of
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import Chunk, Damage, Record, SessionStore
from sessiontail.format.matching import hits_in
from sessiontail.format.needles import Needles
from sessiontail.format.patterns import text_pattern
from sessiontail.session.pages import PagedRecord, RecordPage, read_page

pytestmark = pytest.mark.anyio

DATA = (
    header_line()
    + b"".join(
        chunk_line(i, f"{i}" * 10, "user" if i % 3 else "assistant") + b"\n" * (i == 4)
        for i in range(9)
    )
    + b"damaged\n"
    + trailer_line(9)
)
RECORDS = records_of(DATA)
LINES = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]  # the seventh is blank


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    (tmp_path / f"{ID}.jsonl").write_bytes(DATA)
    return SessionStore(tmp_path)


def one(_: Record) -> int:
    return 1


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13])
async def test_pages_that_follow_each_other_have_each_record_once(
    store: SessionStore, limit: int
) -> None:
    after, found, sizes, at_end = None, [], [], False
    while not at_end:
        page = await read_page(store.read(ID, after=after), limit=limit, most_weight=99, weigh=one)
        found += [(record.record, record.line) for record in page.records]
        sizes.append(len(page.records))
        after, at_end = page.next, page.at_end

    assert found == [*zip(RECORDS, LINES, strict=True)]
    assert set(sizes[:-1]) <= {limit}


async def test_a_page_that_finds_nothing_ends_after_so_many_records(tmp_path: Path) -> None:
    """Lines of two bytes, each of them damaged, take 2,000 times as long as others to look at."""
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + b"x\n" * 3000 + chunk_line() + trailer_line())
    store = SessionStore(tmp_path)
    after, sizes, at_end = None, [], False
    while not at_end:
        page = await read_page(
            store.read(ID, after=after), limit=9, kinds=["user"], scan_records=1000
        )
        sizes.append(len(page.records))
        after, at_end = page.next, page.at_end

    assert sizes == [0, 0, 1]


async def test_a_page_is_finished_where_it_was_read(store: SessionStore) -> None:
    finished: list[tuple[RecordPage, int]] = []

    def finish(page: RecordPage) -> None:
        finished.append((page, threading.get_ident()))

    page = await read_page(store.read(ID), limit=2, finish=finish)

    ((same, thread),) = finished
    assert same is page
    assert thread != threading.get_ident()


async def test_each_record_has_the_cursor_behind_it(store: SessionStore) -> None:
    page = await read_page(store.read(ID), limit=99, most_weight=99, weigh=one)

    for i, found in enumerate(page.records):
        rest = [record async for record in store.read(ID, after=found.cursor)]
        assert rest == RECORDS[i + 1 :]


async def test_a_page_ends_before_what_weighs_too_much_and_has_a_record_at_least(
    store: SessionStore,
) -> None:
    page = await read_page(store.read(ID), limit=99, most_weight=5, weigh=lambda _: 2)
    heavy = await read_page(
        store.read(ID, after=page.next), limit=99, most_weight=1, weigh=lambda _: 2
    )

    assert [found.record for found in page.records] == RECORDS[:2]
    assert not page.at_end
    assert [found.record for found in heavy.records] == RECORDS[2:3]


async def test_only_some_kinds_are_in_a_page_and_the_next_goes_on_behind_the_last_of_them(
    store: SessionStore,
) -> None:
    kinds = {"assistant", "damage"}
    first = await read_page(store.read(ID), limit=9, most_weight=2, weigh=one, kinds=kinds)
    rest = await read_page(
        store.read(ID, after=first.next), limit=9, most_weight=9, weigh=one, kinds=kinds
    )

    assert [found.line for found in first.records] == [2, 5]
    assert [found.line for found in rest.records] == [9, 12]
    assert (first.at_end, rest.at_end) == (False, True)


async def test_a_page_ends_after_so_much_of_the_file_though_nothing_was_found(
    store: SessionStore,
) -> None:
    after, pages, found, at_end = None, 0, [], False
    while not at_end:
        page = await read_page(
            store.read(ID, after=after),
            limit=9,
            most_weight=9,
            weigh=one,
            kinds={"damage"},
            scan_bytes=len(DATA) // 3,
        )
        after, at_end = page.next, page.at_end
        found += [record.line for record in page.records]
        pages += 1

    assert (found, pages) == ([12], 2)


@pytest.mark.parametrize("text", ["NEEDLE", "raw text", "xff", "trailer", "nobody says this"])
async def test_what_is_searched_for_by_its_bytes_is_what_reading_every_line_finds(
    tmp_path: Path, text: str
) -> None:
    lines = [chunk_line(i, "a needle" if i % 9 == 0 else f"text {i}") for i in range(60)]
    odd = [b"raw text\n", b"\xff not UTF-8\n", b"\n", b'{"n": "\\u006eeedle"}\n', trailer_line(60)]
    path = tmp_path / f"{ID}.jsonl"
    path.write_bytes(header_line() + b"".join(lines[:30]) + b"".join(odd) + b"".join(lines[30:]))
    store = SessionStore(tmp_path)
    pattern = text_pattern(text, literal=True, ignore_case=True, clock=time.monotonic)

    def wants(record: Record) -> bool:
        return isinstance(record, (Chunk, Damage)) and any(True for _ in hits_in(record, pattern))

    async def found(needles: Needles | None) -> tuple[list[PagedRecord], str, int]:
        records: list[PagedRecord] = []
        after, at_end, offset = None, False, 0
        while not at_end:
            reader = store.read(ID, after=after)
            page = await read_page(reader, limit=4, wants=wants, needles=needles)
            records += page.records
            after, at_end, offset = page.next, page.at_end, page.offset
        assert after is not None
        return records, after, offset

    plain = await found(None)
    assert await found(pattern.needles) == plain
    assert plain[2] == path.stat().st_size
    assert bool(plain[0]) == (text not in {"trailer", "nobody says this"})
