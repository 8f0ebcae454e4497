"""Sessions over time and by size: each counted once, and as many spans as a chart has place for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings, strategies as st

from audits import MOMENT, audit, tally, unread
from sessiontail.reports.histograms import SizeClass, Span, Timeline, by_size, by_time


def test_spans_follow_each_other_also_where_nothing_began() -> None:
    audits = [
        audit(0, tokens=5, tally=tally(user=2)),
        audit(0, tokens=None, tally=tally(user=1)),
        audit(2, tokens=7),
        unread(),
    ]

    assert by_time(audits) == Timeline(
        "hour",
        [
            Span("2026-01-02 03:00", 2, 3, 5, 1),
            Span("2026-01-02 04:00", 0, 0, 0, 0),
            Span("2026-01-02 05:00", 1, 0, 7, 1),
        ],
        1,
    )


@pytest.mark.parametrize(
    ("days", "unit", "first", "last"),
    [
        (0, "hour", "2026-01-02 03:00", "2026-01-02 03:00"),
        (3, "day", "2026-01-02", "2026-01-05"),
        (90, "week", "week of 2025-12-29", "week of 2026-03-30"),
        (800, "month", "2026-01", "2028-03"),
        (4000, "year", "2026", "2036"),
        (40_000, "10 years", "2020-2029", "2130-2139"),
        (400_000, "100 years", "2000-2099", "3100-3199"),
        (2_900_000, "1,000 years", "2000-2999", "9000-9999"),
    ],
)
def test_spans_are_as_short_as_there_is_place_for(
    days: int, unit: str, first: str, last: str
) -> None:
    line = by_time([audit(created_at=MOMENT), audit(created_at=MOMENT + timedelta(days=days))])

    assert (line.unit, line.spans[0].label, line.spans[-1].label) == (unit, first, last)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_any_times_have_no_more_than_sixty_spans_and_none_is_lost(moments: list[datetime]) -> None:
    line = by_time([audit(created_at=moment) for moment in moments])

    assert 1 <= len(line.spans) <= 60
    assert sum(span.sessions for span in line.spans) == len(moments)


def test_no_times_are_no_spans() -> None:
    assert by_time([unread()]) == Timeline("hour", [], 1)


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_are_in_it(year: int) -> None:
    offset = timezone(timedelta(hours=5 if year == 1 else -5))
    moment = (
        datetime(year, 1, 1, tzinfo=offset)
        if year == 1
        else datetime(year, 12, 31, 23, tzinfo=offset)
    )

    assert len(by_time([audit(created_at=moment)]).spans) == 1


def test_each_size_has_its_class_and_those_between_are_there() -> None:
    sizes = [0, 1023, 1024, 4095, 4096, 1 << 20]

    assert by_size([audit(size_bytes=size) for size in sizes]) == [
        SizeClass("under 1 K", 2, 1023),
        SizeClass("1 K to 4 K", 2, 5119),
        SizeClass("4 K to 16 K", 1, 4096),
        SizeClass("16 K to 64 K", 0, 0),
        SizeClass("64 K to 256 K", 0, 0),
        SizeClass("256 K to 1 M", 0, 0),
        SizeClass("1 M to 4 M", 1, 1 << 20),
    ]
    assert by_size([]) == []
