"""audits of sessions -> the same, in the order in which people look at them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sessiontail.format.audit import SessionAudit
from sessiontail.format.findings import FINDINGS, Severity

__all__ = ["SEVERITIES", "newest_first", "reasons_of", "worst_first"]

#: The worst first.
SEVERITIES = tuple(Severity)[::-1]
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def newest_first(audits: Iterable[SessionAudit]) -> list[SessionAudit]:
    """Return the sessions, the newest first; those whose time is unknown come last."""
    ordered = sorted(audits, key=lambda one: one.file)
    ordered.sort(
        key=lambda one: (one.created_at is not None, one.created_at or _LONG_AGO), reverse=True
    )
    return ordered


def worst_first(audits: Iterable[SessionAudit]) -> list[SessionAudit]:
    """Return the sessions, those with the worst finding first, and the newest of these."""
    return sorted(
        newest_first(audits),
        key=lambda one: one.severity.rank if one.severity else 0,
        reverse=True,
    )


def reasons_of(findings_by_reason: dict[str, int]) -> list[tuple[Severity, str, int]]:
    """Return how bad, why and how often, the worst and then the most frequent first."""
    known = [
        (FINDINGS.get(reason, Severity.ERROR), reason, count)
        for reason, count in findings_by_reason.items()
    ]
    return sorted(known, key=lambda one: (-one[0].rank, -one[2], one[1]))
