"""Requests that cost much -> a few of them at once; the others are told to come back."""

from __future__ import annotations

import pytest

from sessiontail.service.crowds import Crowd
from sessiontail.service.problems import Problem


def test_one_too_many_is_told_to_come_back_and_finds_room_when_one_has_left() -> None:
    crowd = Crowd("searches", 2)

    with crowd.one():
        with crowd.one(), pytest.raises(Problem) as refused, crowd.one():
            pass
        with crowd.one():
            inside = crowd.inside

    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    assert refused.value.detail == (
        "there are 2 searches at work, as many as there may be: ask again in a moment"
    )
    assert (inside, crowd.inside) == (2, 0)


def test_who_fails_inside_leaves_room() -> None:
    crowd = Crowd("searches", 1)

    with pytest.raises(ZeroDivisionError), crowd.one():
        raise ZeroDivisionError

    assert crowd.inside == 0
