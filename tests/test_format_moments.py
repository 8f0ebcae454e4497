"""What a person writes for a time is that time, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sessiontail.format.moments import moment_of, span_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        (" 1.5h ", timedelta(minutes=90)),
        ("1w", timedelta(weeks=1)),
        ("1h30m", None),
        ("-1h", None),
        ("٣d", timedelta(days=3)),
        ("9" * 40 + "d", None),
        ("", None),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta | None) -> None:
    assert span_of(text) == span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("2026-01-31T08:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
        ("999999d", None),  # before the year 1
        ("0001-01-01T00:00+14:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_moment_is_so_long_ago_or_a_date(text: str, moment: datetime | None) -> None:
    assert moment_of(text, NOW) == moment
