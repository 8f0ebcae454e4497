"""audits of sessions -> how many in each span of time, and of each size. Bounded, whatever they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import NamedTuple

from sessiontail.format.audit import SessionAudit
from sessiontail.format.audit_state import in_utc
from sessiontail.reports.amounts import size

__all__ = ["SizeClass", "Span", "Timeline", "by_size", "by_time"]

# Columns of a chart: on a narrow screen, each is five pixels wide.
_MOST_SPANS = 60


class Span(NamedTuple):
    """What began in a span of time."""

    label: str
    sessions: int
    own_rows: int
    #: The sum, and of how many sessions it is known.
    tokens: int
    known: int


class Timeline(NamedTuple):
    """Sessions over time, by when they were created, in UTC."""

    #: hour, day, week, month, year, 10 years, 100 years, 1,000 years.
    unit: str
    #: One behind the other, also those in which nothing began.
    spans: list[Span]
    #: Sessions whose time is unknown.
    undated: int


class SizeClass(NamedTuple):
    """Files of about one size."""

    label: str
    sessions: int
    size_bytes: int


def _years(count: int) -> tuple[str, Callable[[datetime], int], Callable[[int], str]]:
    unit = f"{count:,} years" if count > 1 else "year"

    def label(key: int) -> str:
        first = max(1, key * count)
        return f"{first:04}" if count == 1 else f"{first:04}-{key * count + count - 1:04}"

    return unit, lambda when: when.year // count, label


# Name, moment -> number, number -> label. The first that needs no more than so many is taken.
_UNITS: list[tuple[str, Callable[[datetime], int], Callable[[int], str]]] = [
    (
        "hour",
        lambda when: when.toordinal() * 24 + when.hour,
        lambda key: f"{date.fromordinal(key // 24)} {key % 24:02}:00",
    ),
    ("day", lambda when: when.toordinal(), lambda key: str(date.fromordinal(key))),
    (
        "week",
        lambda when: (when.toordinal() - 1) // 7,  # the first day of all was a Monday
        lambda key: f"week of {date.fromordinal(key * 7 + 1)}",
    ),
    (
        "month",
        lambda when: when.year * 12 + when.month - 1,
        lambda key: f"{key // 12:04}-{key % 12 + 1:02}",
    ),
    *(_years(count) for count in (1, 10, 100, 1000)),
]


def by_time(audits: Iterable[SessionAudit]) -> Timeline:
    """Return how many sessions began when, in spans that are as short as a chart has place for."""
    dated: list[tuple[datetime, SessionAudit]] = []
    undated = 0
    for one in audits:
        if one.created_at is None:
            undated += 1
        else:
            dated.append((in_utc(one.created_at), one))
    if not dated:
        return Timeline(_UNITS[0][0], [], undated)
    first, last = min(when for when, _ in dated), max(when for when, _ in dated)
    unit, key_of, label_of = next(
        one for one in _UNITS if one[1](last) - one[1](first) < _MOST_SPANS
    )
    begin, end = key_of(first), key_of(last)
    counts = {key: [0, 0, 0, 0] for key in range(begin, end + 1)}
    for when, one in dated:
        count = counts[key_of(when)]
        count[0] += 1
        count[1] += one.own_rows
        if one.usage is not None:
            count[2] += one.usage.total_tokens
            count[3] += 1
    spans = [Span(label_of(key), *count) for key, count in counts.items()]
    return Timeline(unit, spans, undated)


def by_size(audits: Iterable[SessionAudit]) -> list[SizeClass]:
    """Return how many files there are of each size, each class four times the one before."""
    counts: dict[int, list[int]] = {}
    for one in audits:
        count = counts.setdefault((one.size_bytes >> 10).bit_length() + 1 >> 1, [0, 0])
        count[0] += 1
        count[1] += one.size_bytes
    if not counts:
        return []
    return [
        SizeClass(_size_label(key), *counts.get(key, [0, 0]))
        for key in range(min(counts), max(counts) + 1)
    ]


def _size_label(key: int) -> str:
    if not key:
        return "under 1 K"
    least = 1024 << 2 * (key - 1)
    return f"{_whole(least)} to {_whole(least * 4)}"


def _whole(count: int) -> str:
    return size(count).replace(".0 ", " ")
