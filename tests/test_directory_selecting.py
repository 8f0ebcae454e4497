"""Pages of sessions have each of them once, whatever comes, goes or grows between two of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest

from audits import audit
from sessiontail import CursorInvalid, PersistedSessionMeta, SessionState, TokenUsage
from sessiontail.directory.outlines import SessionOutline
from sessiontail.directory.selecting import (
    ORDERS,
    SORTS,
    Selection,
    mentions,
    page_of,
)
from sessiontail.format.cursor import as_token
from sessiontail.format.records import LineageKind

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def meta(number: int, **fields: Any) -> PersistedSessionMeta:
    session_id = str(UUID(int=number, version=4))
    values: dict[str, Any] = {
        "id_text": session_id,
        "file": f"/sessions/{session_id}.jsonl",
        "created_at": MOMENT + timedelta(seconds=number // 3),
        "lineage_operator": "implicit",
        "lineage_kind": LineageKind.UNKNOWN,
        "chunk_count": number % 5,
        "closed": True,
        "state": SessionState.CLOSED,
        "parent_texts": (),
        "cumulative_usage": None,
        "closed_at": None,
        "size_bytes": 1000 + number % 7,
        "modified_at": MOMENT + timedelta(seconds=number % 4),
    }
    return PersistedSessionMeta(**{**values, **fields})


def pages(metas: Sequence[PersistedSessionMeta], sort: str, limit: int) -> list[list[str]]:
    found, after = [], None
    while True:
        page = page_of(metas, sort=sort, limit=limit, after=after)
        found.append([one.id_text for one in page.metas])
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("sort", SORTS)
def test_pages_are_the_order_cut_in_pieces(sort: str) -> None:
    metas = [meta(number) for number in range(50)]
    random.Random(1).shuffle(metas)
    key = ORDERS[sort.removeprefix("-")]
    expected = sorted(metas, key=lambda one: (key(one), one.id_text), reverse=sort[0] == "-")

    for limit in (1, 7, 49, 50, 51):
        cut = pages(metas, sort, limit)
        assert [name for page in cut for name in page] == [one.id_text for one in expected]
        assert {len(page) for page in cut[:-1]} <= {limit}
        assert len(cut[-1]) > 0


def test_of_nothing_there_is_one_page() -> None:
    assert page_of([], sort="-created", limit=5) == ([], None)


@pytest.mark.parametrize("sort", ["created", "-created"])
@pytest.mark.parametrize("seed", range(10))
def test_by_creation_what_comes_goes_or_changes_touches_no_other(sort: str, seed: int) -> None:
    """Also the very session that a page has ended with."""
    chance = random.Random(seed)
    metas = {number: meta(number) for number in range(0, 120, 2)}
    stay = set(metas)
    seen: list[str] = []
    after = None
    while True:
        page = page_of(metas.values(), sort=sort, limit=chance.randint(1, 9), after=after)
        seen += [one.id_text for one in page.metas]
        after = page.next
        if after is None:
            break
        for _ in range(5):
            number = chance.randrange(120)
            if number in metas and chance.random() < 0.5:
                del metas[number]
                stay.discard(number)
            else:
                metas[number] = meta(number, size_bytes=chance.randrange(9999), chunk_count=9)
                stay = stay - {number} if number % 2 else stay

    assert len(set(seen)) == len(seen)
    assert {meta(number).id_text for number in stay} <= {*seen}


def test_by_size_what_does_not_change_comes_once() -> None:
    metas = {number: meta(number, size_bytes=number) for number in range(20)}
    first = page_of(metas.values(), sort="-size", limit=10)
    metas[3] = meta(3, size_bytes=1000)  # it grows past the page that was given

    second = page_of(metas.values(), sort="-size", limit=20, after=first.next)

    ids = [one.id_text for one in (*first.metas, *second.metas)]
    assert ids == [meta(number).id_text for number in range(19, -1, -1) if number != 3]


def test_copies_of_a_session_each_have_their_place() -> None:
    copies = [meta(1, file=f"/sessions/copy {n}.jsonl") for n in range(3)]
    copies.append(meta(1, file="/sessions/copy 3.jsonl.__partial__"))

    first = page_of(copies, sort="created", limit=2)
    second = page_of(copies, sort="created", limit=2, after=first.next)

    assert [*first.metas, *second.metas] == copies


def test_a_session_that_is_closed_between_two_pages_keeps_its_place() -> None:
    running = meta(1, file="/sessions/a.jsonl.__partial__")
    first = page_of([running, meta(9)], sort="created", limit=1)
    closed = msgspec.structs.replace(running, file="/sessions/a.jsonl")

    assert page_of([closed, meta(9)], sort="created", limit=1, after=first.next).metas == [meta(9)]


@pytest.mark.parametrize("sort", SORTS)
def test_whatever_a_header_a_trailer_and_a_name_say_there_is_a_next_page(sort: str) -> None:
    """Moments before the first and behind the last of UTC, numbers above 64 bits, names of any bytes."""
    west, east = timezone(timedelta(hours=-14)), timezone(timedelta(hours=14))
    metas = [
        meta(1, created_at=datetime.max.replace(tzinfo=west), chunk_count=10**30),
        meta(2, created_at=datetime.min.replace(tzinfo=east), chunk_count=2**64),
        meta(3, file="/sessions/\udcff\udcfe.jsonl"),
        meta(4, file="/sessions/\udcff\udcfe two.jsonl"),
    ]
    falling = sort[0] == "-"
    key = ORDERS[sort.removeprefix("-")]
    expected = sorted(metas, key=lambda one: (key(one), one.id_text), reverse=falling)

    assert pages(metas, sort, 1) == [[one.id_text] for one in expected]


@pytest.mark.parametrize(
    "value",
    [
        ("-created", MOMENT.isoformat(), "a", b"b"),
        ("created", "5", "a", b"b"),
        ("size", "5", "a", b"b"),
        ("created", "2026-01-01T00:00:00", "a", b"b"),
        ("created", MOMENT, "a", b"b"),
        ("created", None, "a", b"b"),
        ("created",),
        {},
    ],
)
def test_a_cursor_that_is_of_no_such_page_is_refused(value: Any) -> None:
    with pytest.raises(CursorInvalid):
        page_of([meta(1)], sort="created", limit=1, after=as_token("st1l.", value))


def test_a_cursor_that_was_cut_is_refused() -> None:
    after = page_of([meta(1), meta(9)], sort="size", limit=1).next
    assert after is not None

    for token in (after[:-1], after[1:], "", "st1.x"):
        with pytest.raises(CursorInvalid):
            page_of([meta(1)], sort="size", limit=1, after=token)


def test_what_is_meant_is_of_a_state_and_a_time() -> None:
    live = meta(0, state=SessionState.LIVE)
    late = meta(30)

    assert Selection().takes(live)
    assert Selection(states=["live", "closed"]).takes(late)
    assert not Selection(states=["live"]).takes(late)
    assert Selection(since=late.created_at).takes(late)
    assert not Selection(since=late.created_at).takes(live)
    assert not Selection(until=late.created_at).takes(late)
    assert Selection(until=late.created_at).takes(live)
    assert Selection(ids=[live.id_text]).takes(live)
    assert not Selection(ids=[live.id_text]).takes(late)


def test_what_cannot_be_placed_in_time_is_left_out_and_told_where_a_time_is_asked_for() -> None:
    undated = audit(1, created_at=None)

    assert Selection().takes(undated)
    assert not Selection().cannot_place(undated)
    for asked in (Selection(since=MOMENT), Selection(until=MOMENT)):
        assert (asked.takes(undated), asked.cannot_place(undated)) == (False, True)
        assert not asked.cannot_place(audit(2))
    assert not Selection(since=MOMENT, states=["live"]).cannot_place(undated)


def test_a_text_is_looked_for_in_what_a_session_is_called() -> None:
    one = meta(0xABC, lineage_operator="Fork")
    outline = SessionOutline(one, 0, None, "Straße nach Rom")

    for text in ("abc", "fork", "STRASSE", "rom", one.id_text):
        assert mentions(outline, text)
    assert not mentions(outline, "fork rom")
    assert not mentions(SessionOutline(one, 0, None, None), "None")


def test_unknown_tokens_come_last() -> None:
    known = meta(1, cumulative_usage=TokenUsage(0, 0, 0))

    assert ORDERS["tokens"](known) > ORDERS["tokens"](meta(2))


@pytest.mark.parametrize("sort", ["created", "-created"])
def test_a_session_that_was_opened_again_has_both_its_files_also_at_the_edge_of_a_page(
    sort: str,
) -> None:
    old = meta(1)
    metas = [meta(0), old, meta(1, file=f"{old.file}.__partial__"), meta(9)]

    for limit in (1, 2, 3):
        found = [name for page in pages(metas, sort, limit) for name in page]
        assert sorted(found) == sorted(one.id_text for one in metas)
