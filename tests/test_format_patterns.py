"""Where a pattern is in a text; what is no pattern; and what takes too long."""

from __future__ import annotations

import sys
import time

import pytest

from sessiontail import InvalidPattern, MissingExtra
from sessiontail.format.patterns import TextPattern, TooSlow, text_pattern


def made(pattern: str, *, literal: bool = False, ignore_case: bool = False) -> TextPattern:
    return text_pattern(pattern, literal=literal, ignore_case=ignore_case, clock=time.monotonic)


def spans(pattern: TextPattern, text: str) -> list[tuple[int, int]]:
    find, found, at = pattern.finder(text), [], 0
    while (span := find(at)) is not None:
        found.append(span)
        at = max(span[1], span[0] + 1)
        if at > len(text):
            break
    return found


def test_a_literal_is_what_it_says() -> None:
    assert spans(made("a.c", literal=True), "abc a.c A.C") == [(4, 7)]
    assert spans(made("a.c", literal=True, ignore_case=True), "abc a.c A.C") == [(4, 7), (8, 11)]
    assert spans(made("ß", literal=True, ignore_case=True), "ss ß") == [(3, 4)]


@pytest.mark.parametrize("ignore_case", [False, True])
def test_a_literal_is_found_across_the_steps_of_a_search(*, ignore_case: bool) -> None:
    for before in range(64 * 1024 - 4, 64 * 1024 + 2):
        found = spans(made("jazz", literal=True, ignore_case=ignore_case), "x" * before + "jazz")

        assert found == [(before, before + 4)]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a.c", "abc a\nc", [(0, 3)]),
        ("^b", "b\nb", [(0, 1), (2, 3)]),
        ("a$", "a\na", [(0, 1), (2, 3)]),
        (r"(?<=x)\w", "xy y", [(1, 2)]),
        ("x*", "ax", [(0, 0), (1, 2), (2, 2)]),
        (r"(\w)\1", "abbc", [(1, 3)]),
        (r"[a-c]{2}", "abxbc", [(0, 2), (3, 5)]),
        (r"(?P<one>a)(?P=one)", "aa", [(0, 2)]),
    ],
)
def test_a_regular_expression_means_what_it_means_to_python(
    pattern: str, text: str, found: list[tuple[int, int]]
) -> None:
    assert spans(made(pattern), text) == found


@pytest.mark.parametrize("pattern", ["(", "a{e<=", "[", "*", "(?P<a>x)(?P<a>"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match="is no regular expression"):
        made(pattern)


def test_repeats_that_take_gigabytes_to_write_out_are_refused_before_they_do() -> None:
    with pytest.raises(InvalidPattern) as caught:
        made("((((a){50}){50}){50}){50}")

    assert caught.value.message == (
        "'((((a){50}){50}){50}){50}' has some 12,755,101 pieces when its repeats are written out, "
        "50,000 at most: repeat fewer times, or with * and +"
    )


def test_a_set_that_python_may_read_otherwise_one_day_is_searched_without_a_warning() -> None:
    assert spans(made("[[a]x"), "[x") == [(0, 2)]


def test_an_empty_pattern_is_refused() -> None:
    with pytest.raises(InvalidPattern) as caught:
        made("")

    assert isinstance(caught.value, ValueError)


def test_without_the_package_only_texts_are_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regex", None)

    assert spans(made("jazz"), "jazz") == [(0, 4)]
    assert spans(made("a.c", literal=True), "a.c") == [(0, 3)]
    with pytest.raises(MissingExtra) as caught:
        made("a.c")
    assert str(caught.value) == (
        "regular expressions need the package regex: pip install regex; "
        "without it, search for a literal text (-F, literal=True)"
    )


@pytest.mark.slow
def test_a_pattern_that_takes_all_memory_that_it_may_have_is_stopped() -> None:
    find = made("(a|aa)+$").finder("a" * 10_000_000 + "b", most_s=60)

    with pytest.raises(TooSlow) as caught:
        find(0)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_a_pattern_that_explodes_is_stopped() -> None:
    find = made("(a|aa)+$").finder("a" * 60 + "b", most_s=0.05)

    with pytest.raises(TooSlow):
        find(0)


def test_all_that_a_text_takes_counts() -> None:
    moments = iter(range(0, 100, 1))
    pattern = text_pattern("a.", literal=False, ignore_case=False, clock=lambda: next(moments))
    find = pattern.finder("ab" * 9, most_s=2.5)

    assert [find(0), find(2), find(4)] == [(0, 2), (2, 4), (4, 6)]
    with pytest.raises(TooSlow):
        find(6)
