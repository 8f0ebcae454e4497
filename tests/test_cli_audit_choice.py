"""Which sessions are meant, in which order, and what is said of those that are not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audits import MOMENT, audit, family, ident, tally, unread
from sessiontail.cli.audit_choice import SORTS, chosen_of, ordered
from sessiontail.format.audit import SessionAudit


def numbers(audits: list[SessionAudit]) -> list[int]:
    return [int((one.id_text or "")[:8]) for one in audits]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("findings", [3, 9, 2, 1]),
        ("created", [3, 2, 1, 9]),
        ("size", [9, 3, 2, 1]),
        ("rows", [1, 2, 3, 9]),
        ("calls", [1, 2, 3, 9]),
        ("failed", [1, 3, 2, 9]),
        ("tokens", [2, 1, 3, 9]),
        ("state", [2, 1, 3, 9]),
        ("id", [1, 2, 3, 9]),
    ],
)
def test_each_order_begins_with_what_is_looked_for(sort: str, order: list[int]) -> None:
    assert numbers(ordered(family(), sort, reverse=False)) == order
    assert numbers(ordered(family(), sort, reverse=True)) == order[::-1]
    assert sort in SORTS


def test_all_orders_are_known() -> None:
    for sort in SORTS:
        assert len(ordered(family(), sort, reverse=False)) == 4


def test_sessions_are_chosen_by_state_and_time(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    second = MOMENT + timedelta(hours=2)

    assert numbers(chosen_of(family(), ("abandoned", "unknown"), None, None)) == [3, 9]
    assert numbers(chosen_of(family(), ("closed",), None, second)) == [1]
    assert capsysbinary.readouterr().err == b""


def test_a_session_without_a_time_is_not_left_out_silently(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    second = MOMENT + timedelta(hours=2)

    assert numbers(chosen_of(family(), (), second, None)) == [2, 3]
    assert capsysbinary.readouterr().err == (
        b"sessiontail: 1 session left out: without a header, nothing says when it was created\n"
    )


def test_equal_sessions_keep_the_newest_first() -> None:
    same = [audit(number, size_bytes=5, tally=tally()) for number in (1, 3, 2)]

    assert numbers(ordered([*same, unread()], "size", reverse=False)) == [9, 3, 2, 1]
    assert ordered(same, "size", reverse=False)[0].id_text == ident(3)
