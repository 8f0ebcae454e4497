"""What was last put or asked for is kept: so many at least, twice as many at most."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sessiontail.system.kept import Kept

KEYS = range(12)


def test_a_value_is_there_until_all_is_forgotten() -> None:
    kept: Kept[str, int] = Kept(2)
    kept.put("a", 1)
    kept.put("b", 2)
    kept.put("c", 3)
    found = [kept.get(key) for key in "abcd"]
    kept.clear()

    assert found == [1, 2, 3, None]
    assert [kept.get(key) for key in "abcd"] == [None] * 4


def test_what_is_asked_for_is_kept_longest() -> None:
    kept: Any = Kept(2)
    for i in range(10):
        kept.put(i, str(i))
        kept.get(0)

    assert [kept.get(i) for i in (0, 5, 9)] == ["0", None, "9"]


@pytest.mark.parametrize("others", range(6))
def test_a_value_that_is_put_again_is_the_later_one_for_good(others: int) -> None:
    kept: Kept[int, str] = Kept(3)
    kept.put(0, "before")
    for key in range(1, others + 1):
        kept.put(key, "another")
    kept.put(0, "after")
    kept.put(9, "another")

    assert kept.get(0) == "after"


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS))))
def test_the_last_that_were_put_or_found_are_there_and_never_twice_as_many_and_one(
    limit: int, steps: list[tuple[bool, int]]
) -> None:
    kept: Kept[int, int] = Kept(limit)
    values: dict[int, int] = {}
    used: list[int] = []
    for number, (puts, key) in enumerate(steps, 1):
        if puts:
            values[key] = number
            kept.put(key, number)
            used.append(key)
        elif kept.get(key) is not None:
            used.append(key)

        last = list(dict.fromkeys(reversed(used)))[:limit]
        found = {key: value for key in KEYS if (value := copy.deepcopy(kept).get(key)) is not None}
        assert {*last} <= {*found}
        assert len(found) <= 2 * limit
        assert found.items() <= values.items()
