"""A regular expression -> the tree that ``re`` makes of it, where it does."""

from __future__ import annotations

import pytest

from sessiontail.format.re_tree import tree_of


def test_a_tree_is_pairs_of_a_word_and_its_value() -> None:
    assert [(str(word), value) for word, value in tree_of("ab")] == [
        ("LITERAL", 97),
        ("LITERAL", 98),
    ]


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "(" * 9999, r"\p{L}"])
def test_what_re_refuses_has_none(pattern: str) -> None:
    assert tree_of(pattern) is None


def test_a_set_that_may_be_read_otherwise_one_day_warns_nobody() -> None:
    assert len(tree_of("[[a-z]--[b]")) == 4
