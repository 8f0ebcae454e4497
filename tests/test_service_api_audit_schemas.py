"""What ``/api/audit`` and ``/api/usage`` answer, as JSON schemas."""

from __future__ import annotations

from typing import Any

import pytest

from audits import HOSTILE, audit, tally, unread
from described import faults
from sessiontail import summarize
from sessiontail.format.findings import FINDINGS, finding
from sessiontail.service.api.audit_schemas import AUDIT_LINE, SUMMARY, USAGE

SESSIONS = [
    audit(1),
    audit(2, tokens=None, inherited=None),
    audit(3, *[finding(reason, HOSTILE, line=1, offset=0) for reason in FINDINGS]),
    audit(4, tally=tally(user=1, assistant=2, result=3, bash=(1, 2, 3)), origin_text=audit(1).id_text),
    unread(),
]  # fmt: skip


@pytest.mark.parametrize("one", SESSIONS)
def test_an_audit_is_as_it_is_described(one: Any) -> None:
    assert faults(one.to_dict(), AUDIT_LINE) == []


def test_a_sum_is_as_it_is_described() -> None:
    total = summarize(SESSIONS).to_dict()

    assert faults(total, SUMMARY) == []
    assert faults({"schema": 1, "summary": total, "undated": 0}, AUDIT_LINE) == []


def test_what_is_not_described_does_not_pass() -> None:
    assert faults({**SESSIONS[0].to_dict(), "path": "/home"}, AUDIT_LINE)
    assert faults({"schema": 1, "known": 1}, USAGE)
