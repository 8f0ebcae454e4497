"""Arguments that cannot be meant are refused by name; all others pass."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessiontail import checks


async def coroutine_function(_: object) -> bool:
    return True


class Pages(int):
    """A count by another name."""


NUMBER = (int, float)

# What is checked, and what is said of it; None: it passes.
CASES: list[tuple[Any, str | None]] = [
    (lambda: checks.positive("n", 1, int), None),
    (lambda: checks.positive("n", Pages(1), int), None),
    (lambda: checks.positive("n", 0.001, NUMBER), None),
    (lambda: checks.positive("n", float("inf"), NUMBER), None),
    (lambda: checks.positive("n", 0, int), "n is more than 0, not 0"),
    (lambda: checks.positive("n", -0.5, NUMBER), "n is more than 0, not -0.5"),
    (lambda: checks.positive("n", float("nan"), NUMBER), "n is more than 0, not nan"),
    (lambda: checks.positive("n", 1.5, int), "n is a number, not float 1.5"),
    (lambda: checks.positive("n", "1", int), "n is a number, not str '1'"),
    (lambda: checks.positive("n", True, int), "n is a number, not bool True"),
    (lambda: checks.positive("n", None, NUMBER), "n is a number, not NoneType None"),
    (lambda: checks.count("n", 0), None),
    (lambda: checks.count("n", 10**30), None),
    (lambda: checks.count("n", -1), "n cannot be negative: -1"),
    (lambda: checks.count("n", 1.0), "n is an int, not float 1.0"),
    (lambda: checks.count("n", False), "n is an int, not bool False"),
    (lambda: checks.count("n", None), "n is an int, not NoneType None"),
    (lambda: checks.several("kinds", None), None),
    (lambda: checks.several("kinds", []), None),
    (lambda: checks.several("kinds", ["user"]), None),
    (lambda: checks.several("kinds", "user"), "kinds: give a collection, such as ['user']"),
    (lambda: checks.several("kinds", ""), "kinds: give a collection, such as ['']"),
    (lambda: checks.several("tools", b"rm"), "tools: give a collection, such as [b'rm']"),
    (lambda: checks.several("tools", 5), "tools: give a collection, not int 5"),
    (lambda: checks.flag("f", False), None),
    (lambda: checks.flag("f", 1), "f is True or False, not int 1"),
    (lambda: checks.flag("f", None), "f is True or False, not NoneType None"),
    (lambda: checks.moment("since", None), None),
    (lambda: checks.moment("since", datetime.now(UTC)), None),
    (
        lambda: checks.moment("since", datetime(2026, 1, 31)),  # noqa: DTZ001 - what is refused
        "since has no time zone: 2026-01-31T00:00:00; give one, such as tzinfo=UTC",
    ),
    (lambda: checks.moment("since", "2h"), "since is a datetime with a time zone, not str '2h'"),
    (lambda: checks.no_others("search", {"kinds"}, ("kinds", "ignore_case")), None),
    (
        lambda: checks.no_others("search", {"kind"}, ("kinds", "ignore_case")),
        "search has no option 'kind'; did you mean 'kinds'?",
    ),
    (
        lambda: checks.no_others("search", {"case"}, ("kinds", "ignore_case")),
        "search has no option 'case'; did you mean 'ignore_case'?",
    ),
    (
        lambda: checks.no_others("search", {"z"}, ("kinds", "ignore_case")),
        "search has no option 'z'; it has kinds, ignore_case",
    ),
    (lambda: checks.one_start(None, None), None),
    (lambda: checks.one_start("cursor", None), None),
    (lambda: checks.one_start(None, 0), None),
    (lambda: checks.one_start("", 0), "give after= or last=, not both"),
    (lambda: checks.one_start("cursor", -1), "last cannot be negative: -1"),
    (lambda: checks.one_start(None, "3"), "last is an int, not str '3'"),
    (lambda: checks.one_line(1, None), None),
    (lambda: checks.one_line(None, 0), None),
    (lambda: checks.one_line(None, None), "give line= or last=, one of them"),
    (lambda: checks.one_line(1, 1), "give line= or last=, one of them"),
    (lambda: checks.one_line(0, None), "line is more than 0, not 0"),
    (lambda: checks.one_line(True, None), "line is a number, not bool True"),
    (lambda: checks.age(timedelta()), None),
    (lambda: checks.age(timedelta.max), None),
    (lambda: checks.age(timedelta(-1)), "older_than cannot be negative: -1 day, 0:00:00"),
    (lambda: checks.age(30), "older_than is a timedelta, not int 30"),
    (lambda: checks.age(None), "older_than is a timedelta, not NoneType None"),
    (lambda: checks.plain_function("f", bool), None),
    (lambda: checks.plain_function("f", lambda _: True), None),
    (
        lambda: checks.plain_function("f", coroutine_function),
        "f is a plain function that returns at once, not an `async def`",
    ),
    (
        lambda: checks.plain_function("f", functools.partial(coroutine_function, 1)),
        "f is a plain function that returns at once, not an `async def`",
    ),
]


@pytest.mark.parametrize(("check", "said"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_what_cannot_be_meant_is_refused_by_name_and_the_rest_passes(
    check: Any, said: str | None
) -> None:
    if said is None:
        assert check() is None
        return
    with pytest.raises((TypeError, ValueError)) as caught:
        check()

    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("check", "value", "error"),
    [
        (checks.count, -1, ValueError),
        (checks.count, "1", TypeError),
        (checks.several, "user", TypeError),
        (checks.plain_function, coroutine_function, TypeError),
    ],
)
def test_a_wrong_type_and_a_wrong_value_are_told_apart(
    check: Any, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        check("name", value)


def test_the_refusal_of_what_turned_out_to_be_awaitable_is_the_same() -> None:
    with pytest.raises(TypeError) as caught:
        checks.plain_function("predicate", coroutine_function)

    assert str(checks.no_plain_function("predicate")) == str(caught.value)


def test_a_word_that_is_none_of_those_allowed_is_refused_with_them() -> None:
    checks.one_of("inherited", "skip", ("include", "skip"))

    with pytest.raises(ValueError, match="inherited is 'include' or 'skip', not 'hide'"):
        checks.one_of("inherited", "hide", ("include", "skip"))
