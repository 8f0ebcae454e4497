"""Parameters that choose sessions -> which audits are meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from audits import MOMENT, audit, ident
from sessiontail.format.lifecycle import SessionState
from sessiontail.service.api.choosing import CHOOSING, Choice

ALL = {"session": (), "state": (), "since": None, "until": None}
AUDITS = [
    audit(1),
    audit(2, state=SessionState.LIVE),
    audit(3),
    audit(4, created_at=None),
]


@pytest.mark.parametrize(
    ("given", "numbers", "undated"),
    [
        ({}, [1, 2, 3, 4], 0),
        ({"session": (UUID(ident(2)), UUID(ident(9)))}, [2], 0),
        ({"state": ("closed",)}, [1, 3, 4], 0),
        ({"since": MOMENT + timedelta(hours=2)}, [2, 3], 1),
        ({"until": MOMENT + timedelta(hours=2)}, [1], 1),
        ({"since": MOMENT + timedelta(hours=2), "state": ("live",)}, [2], 0),
    ],
    ids=["all", "by id", "by state", "since", "until", "several"],
)
def test_what_is_chosen_fits_all_that_is_given(
    given: dict[str, Any], numbers: list[int], undated: int
) -> None:
    choice = Choice(ALL | given)

    assert [one.id_text for one in AUDITS if choice.takes(one)] == [*map(ident, numbers)]
    assert choice.undated == undated


def test_each_value_has_its_parameter() -> None:
    assert {one.name for one in CHOOSING} == set(ALL)
