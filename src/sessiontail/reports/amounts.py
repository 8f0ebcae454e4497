"""numbers -> short text for people; what is unknown is "?", never 0."""

from __future__ import annotations

import math

__all__ = ["UNKNOWN", "number", "percent", "size"]

UNKNOWN = "?"

# Files may say numbers of any length; those that are longer fit no table.
_LONGEST = 10**18


def number(count: int | None) -> str:
    """Return a number with its thousands told apart: 1,234,567; above 10^18 about how many."""
    if count is None:
        return UNKNOWN
    if -_LONGEST < count < _LONGEST:
        return f"{count:,}"
    return f"about {'-' * (count < 0)}10^{int(math.log10(abs(count)))}"


def percent(part: int, whole: int) -> str:
    """Return a share: 3.3%; of nothing it is unknown, and a little is never none."""
    if not whole:
        return UNKNOWN
    share = 100 * part / whole
    return "<0.1%" if 0 < share < 0.1 else f"{share:.1f}%"


def size(count: int) -> str:
    """Return a number of bytes in three digits: 512 B, 1.4 K, 230 M; K is 1024."""
    if count < 1024:
        return f"{count} B"
    amount, units = count / 1024, "KMGTP"
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    unit = units[0]
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
