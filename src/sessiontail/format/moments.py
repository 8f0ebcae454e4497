"""text that a person writes -> a span or a moment of time: 90s, 15m, 2h, 3d, or an ISO time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["moment_of", "span_of"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def span_of(text: str) -> timedelta | None:
    """Return a length of time: 90s, 15m, 2h, 3d, 1w; None for what is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        return None
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        return None


def moment_of(text: str, now: datetime) -> datetime | None:
    """Return a time, aware; None for what is none.

    Args:
        text: so long ago (2h, 3d), or an ISO date; without an offset it is local time.
        now: from when "ago" counts.
    """
    try:
        span = span_of(text)
        if span is not None:
            return now - span
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
