"""Who follows whom -> those that follow each other in a circle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from sessiontail.directory.circles import circles_in


@pytest.mark.parametrize(
    ("following", "circles"),
    [
        ({}, []),
        ({"a": "b", "b": "c"}, []),
        ({"a": "bc", "b": "d", "c": "d"}, []),
        ({"a": "a"}, [["a"]]),
        ({"c": "a", "a": "c"}, [["a", "c"]]),
        ({"a": "b", "b": "c", "c": "b"}, [["b", "c"]]),
        ({"a": "b", "b": "ac", "c": "d", "d": "c"}, [["c", "d"], ["a", "b"]]),
        ({"a": "bc", "b": "a", "c": "a"}, [["a", "b", "c"]]),
    ],
)
def test_each_circle_is_found_with_its_names_in_order(
    following: dict[str, str], circles: list[list[str]]
) -> None:
    assert circles_in("abcd", {name: [*others] for name, others in following.items()}) == circles


def test_a_circle_of_thousands_is_no_problem() -> None:
    names = [str(i) for i in range(5000)]
    following = {name: [names[(i + 1) % 5000]] for i, name in enumerate(names)}

    assert circles_in(names, following) == [names]


def led_to(start: str, following: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    rest = [*following[start]]
    while rest:
        one = rest.pop()
        if one not in found:
            found.add(one)
            rest += following[one]
    return found


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from("abcdefg")), min_size=7, max_size=7))
def test_names_are_in_a_circle_where_each_leads_to_the_other(rows: list[list[str]]) -> None:
    following = dict(zip("abcdefg", rows, strict=True))
    leads = {name: led_to(name, following) for name in following}

    circles = circles_in(following, following)

    together = {frozenset(b for b in leads[a] if a in leads[b]) for a in leads if a in leads[a]}
    assert {frozenset(circle) for circle in circles} == together
    assert len(circles) == len(together)
