"""Requests that cost much -> a slot for each, while there is one; else 429, and when to come back."""

from __future__ import annotations

import pytest

from sessiontail.service.api.slots import Slots
from sessiontail.service.problems import Problem


def test_one_too_many_is_told_to_come_back_and_finds_room_when_one_has_left() -> None:
    slots = Slots("searches", 2)

    with slots.hold():
        with slots.hold(), pytest.raises(Problem) as refused, slots.hold():
            pass
        with slots.hold():
            taken = slots.taken

    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    assert refused.value.detail == (
        "there are 2 searches at work, as many as there may be: ask again in a moment"
    )
    assert (taken, slots.taken) == (2, 0)


def test_who_fails_inside_leaves_room() -> None:
    slots = Slots("searches", 1)

    with pytest.raises(ZeroDivisionError), slots.hold():
        raise ZeroDivisionError

    assert slots.taken == 0
