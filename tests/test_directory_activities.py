"""Which sessions are shown, and for how long; what has left counts on."""

from __future__ import annotations

from uuid import UUID

import pytest

from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import EventKind, SessionState
from sessiontail.directory import activities as module
from sessiontail.directory.activities import Activities
from sessiontail.directory.activity import SessionActivity
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.batch import Batch

OTHER = UUID("4f2d0000-0000-4000-8000-000000000002")
ONE = header_line() + chunk_line(0) + chunk_line(1)


def decoded(*blocks: bytes) -> list[Batch]:
    decoder, offset, line, found = RecordDecoder(), 0, 1, []
    for data in blocks:
        found.append(decoder.decode(Block.cut(data, offset=offset, line=line)))
        offset, line = offset + len(data), line + data.count(b"\n")
    return found


def put(all_: Activities, session_id: UUID, *blocks: bytes, now_s: float = 1.0) -> None:
    for batch in decoded(*blocks):
        all_.take(str(session_id), session_id, batch, 0, now_s=now_s)


def shown(all_: Activities, now_s: float = 2.0) -> list[SessionActivity]:
    all_.ask(lambda _: SessionState.LIVE)
    return [*all_.each(now_s)]


def rows(all_: Activities, now_s: float = 2.0) -> list[tuple[SessionState, int]]:
    return [(one.state, one.rows) for one in shown(all_, now_s)]


def left(all_: Activities) -> int:
    return all_.sums().activity(
        present=True, sessions=(), unread=0, unreadable={}, rows_per_s=0.0, bytes_per_s=0.0
    ).rows  # fmt: skip


def test_sessions_are_told_in_the_order_in_which_they_were_met() -> None:
    all_ = Activities(0.0)
    put(all_, OTHER, ONE)
    put(all_, ID, ONE, chunk_line(2))
    put(all_, OTHER, ONE)

    assert [one.id for one in shown(all_)] == [ID, OTHER]
    assert len(all_) == 2


def test_a_session_that_ended_stays_for_a_while_and_counts_on() -> None:
    all_ = Activities(0.0, linger_s=60.0)
    put(all_, ID, ONE + trailer_line(2))

    all_.hear(str(ID), EventKind.CLOSED, 10.0)
    all_.shown(10.0)
    all_.shown(20.0)
    all_.let_leave(69.0)
    assert (rows(all_), left(all_), all_.leaves_at_s) == ([(SessionState.CLOSED, 2)], 0, 70.0)
    all_.let_leave(70.0)
    assert (rows(all_), left(all_), all_.leaves_at_s) == ([], 2, float("inf"))


def test_a_session_that_ended_is_shown_however_late_somebody_looks() -> None:
    all_ = Activities(0.0, linger_s=60.0)
    put(all_, ID, ONE)
    put(all_, OTHER, ONE)

    all_.hear(str(ID), EventKind.CLOSED, 10.0)
    all_.hear(str(OTHER), EventKind.ABANDONED, 11.0)
    all_.let_leave(1000.0)
    assert rows(all_) == [(SessionState.CLOSED, 2), (SessionState.ABANDONED, 2)]
    all_.shown(1000.0)
    assert all_.leaves_at_s == 1060.0


def test_a_session_that_is_taken_up_again_stays() -> None:
    all_ = Activities(0.0, linger_s=60.0)
    put(all_, ID, ONE)

    all_.hear(str(ID), EventKind.ABANDONED, 10.0)
    assert rows(all_) == [(SessionState.ABANDONED, 2)]
    all_.hear(str(ID), EventKind.RESUMED, 20.0)
    all_.take(str(ID), ID, decoded(ONE, chunk_line(2))[1], 0, now_s=20.0)
    all_.let_leave(100.0)

    # Its writer was seen, also where no lock shows.
    assert [(one.state, one.rows) for one in all_.each(100.0)] == [(SessionState.LIVE, 3)]


def test_who_was_not_seen_to_write_is_asked_for_until_he_is() -> None:
    all_ = Activities(0.0)
    put(all_, ID, ONE)

    assert not all_.ask(lambda _: SessionState.UNKNOWN)
    assert [one.state for one in all_.each(1.0)] == [SessionState.UNKNOWN]
    assert all_.ask(lambda _: SessionState.LIVE)
    assert not all_.ask(lambda _: SessionState.UNKNOWN)
    assert [one.state for one in all_.each(1.0)] == [SessionState.LIVE]


def test_a_session_that_is_opened_anew_under_its_id_is_another() -> None:
    all_ = Activities(0.0)
    put(all_, ID, ONE + trailer_line(2))
    all_.hear(str(ID), EventKind.CLOSED, 10.0)
    all_.hear(str(ID), EventKind.RESUMED, 11.0)

    put(all_, ID, header_line() + chunk_line(0, "again"), now_s=11.0)

    assert rows(all_) == [(SessionState.LIVE, 1)]
    assert left(all_) == 2


def test_a_file_that_was_replaced_is_counted_once() -> None:
    all_ = Activities(0.0)
    put(all_, ID, ONE)

    all_.hear(str(ID), EventKind.REPLACED, 2.0)
    put(all_, ID, header_line() + chunk_line(0), now_s=2.0)

    assert (rows(all_), left(all_)) == ([(SessionState.LIVE, 1)], 0)


def test_a_session_that_is_deleted_leaves_at_once_and_counts_on() -> None:
    all_ = Activities(0.0)
    put(all_, ID, ONE)

    all_.hear(str(ID), EventKind.DELETED, 2.0)

    assert (rows(all_), left(all_)) == ([], 2)


def test_what_happens_to_a_session_without_rows_is_no_error() -> None:
    all_ = Activities(0.0)
    for kind in EventKind:
        all_.hear(str(ID), kind, 1.0)

    assert (rows(all_), left(all_)) == ([], 0)


def test_a_gap_of_blank_lines_begins_nothing_anew() -> None:
    all_ = Activities(0.0)
    first, _, last = decoded(ONE, b"\n\n", chunk_line(2))

    for batch in (first, last):
        all_.take(str(ID), ID, batch, 0, now_s=1.0)

    (one,) = shown(all_)
    assert (one.rows, one.is_whole, left(all_)) == (3, True, 0)


def test_what_a_file_had_before_is_no_rate_and_its_quiet_began_then() -> None:
    all_ = Activities(100.0)
    all_.know(str(ID), len(ONE), 30.0)
    put(all_, ID, ONE, now_s=101.0)

    (one,) = shown(all_, 101.0)
    assert (one.rows_per_s, one.active_s, all_.rates(101.0)) == (0.0, 71.0, (0.0, 0.0))
    all_.take(str(ID), ID, decoded(ONE, chunk_line(2))[1], 0, now_s=102.0)
    assert all_.rates(102.0) == (0.5, len(chunk_line(2)) / 2)


def test_of_very_many_that_ended_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENDED", 2)
    all_ = Activities(0.0)
    ids = [UUID(int=i) for i in range(5)]
    for session_id in ids:
        put(all_, session_id, header_line(session_id) + chunk_line(0))
        all_.hear(str(session_id), EventKind.CLOSED, 1.0)

    assert [one.id for one in shown(all_)] == ids[3:]
    assert left(all_) == 3
