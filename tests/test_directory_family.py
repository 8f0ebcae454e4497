"""A lineage -> trees to read: each session below the one that it goes on from."""

from __future__ import annotations

import pytest

from chats import name
from kinships import family
from sessiontail import Lineage
from sessiontail.directory.family import family_of

Parents = dict[int, list[int]]


def drawn(lineage: Lineage) -> list[object]:
    """A session as its number, then its children."""
    roots, children = family_of(lineage)

    def draw(one: str) -> list[object]:
        return [int(one[-12:]), *[draw(child) for child in children.get(one, [])]]

    return [draw(root) for root in roots]


@pytest.mark.parametrize(
    ("parents", "trees"),
    [
        ({}, []),
        ({1: [], 2: [1], 3: [1], 4: [2], 5: []}, [[1, [2, [4]], [3]], [5]]),
        ({1: [], 2: [], 3: [1, 2], 4: [2, 3]}, [[1, [3]], [2, [4]]]),
        ({1: [8], 2: [9], 3: [1, 9]}, [[1, [3]], [2]]),
        ({1: [], 2: [9], 3: [9]}, [[1], [9, [2], [3]]]),
        ({1: [1], 2: [1]}, [[1, [2]]]),
        ({2: [3], 3: [2], 4: [3], 5: [4]}, [[2, [3, [4, [5]]]]]),
    ],
)
def test_each_session_stands_below_one_and_a_parent_without_a_file_where_it_joins_two(
    parents: Parents, trees: list[object]
) -> None:
    assert drawn(family(parents)) == trees


def test_the_one_that_is_asked_about_is_shown_though_it_has_no_file() -> None:
    lineage = family({1: [9], 2: [1]})

    assert drawn(lineage.around(name(9))) == [[9, [1, [2]]]]
    assert drawn(lineage.around(name(9), descendants=False)) == [[9]]


def test_where_its_rows_are_found_a_session_stands_below_that() -> None:
    assert drawn(family({1: [], 2: [9], 3: [9, 1]}, found={2: 1})) == [[1, [2], [3]]]


def test_a_chain_of_thousands_is_no_problem() -> None:
    found = family_of(family({i: [i - 1] if i else [] for i in range(5000)}))

    assert (found.roots, len(found.children)) == ([name(0)], 4999)
