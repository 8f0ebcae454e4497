"""In which order people look at sessions: the worst first, and nothing lost."""

from __future__ import annotations

from audits import audit, unread
from sessiontail.format.findings import Severity, finding
from sessiontail.reports.order import SEVERITIES, newest_first, reasons_of, worst_first

TORN = finding("torn-tail", "")
BAD = finding("invalid-json", "")
MISSING = finding("missing-parent", "")


def test_the_worst_comes_first_and_of_those_the_newest() -> None:
    fine, info = audit(6), audit(5, MISSING)
    torn, torn_later, bad, no_time = audit(1, TORN), audit(4, TORN), audit(2, BAD, TORN), unread()

    ordered = worst_first([fine, torn, no_time, info, torn_later, bad])

    assert ordered == [bad, no_time, torn_later, torn, info, fine]


def test_sessions_of_one_moment_have_an_order_that_stays() -> None:
    one, two = audit(1), audit(2, created_at=audit(1).created_at)

    assert newest_first([one, two]) == newest_first([two, one])


def test_reasons_come_by_how_bad_and_then_how_many_they_are() -> None:
    counts = {"missing-parent": 9, "torn-tail": 1, "index-gap": 3, "invalid-json": 1}

    assert SEVERITIES == (Severity.ERROR, Severity.WARNING, Severity.INFO)
    assert reasons_of(counts) == [
        (Severity.ERROR, "invalid-json", 1),
        (Severity.WARNING, "index-gap", 3),
        (Severity.WARNING, "torn-tail", 1),
        (Severity.INFO, "missing-parent", 9),
    ]
