"""arguments -> a refusal that names what is wrong with them, or nothing."""

from __future__ import annotations

import inspect
from datetime import timedelta

__all__ = [
    "age",
    "count",
    "no_plain_function",
    "one_of",
    "one_start",
    "plain_function",
    "positive",
    "several",
]


def positive(name: str, value: object, types: type | tuple[type, ...]) -> None:
    """Refuse what is no number above 0."""
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{name} is a number, not {type(value).__name__} {value!r}")
    if not value > 0:  # type: ignore[operator] # one of these types; and not NaN
        raise ValueError(f"{name} is more than 0, not {value!r}")


def count(name: str, value: object) -> None:
    """Refuse what is no count."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int, not {type(value).__name__} {value!r}")
    if value < 0:
        raise ValueError(f"{name} cannot be negative: {value}")


def several(name: str, value: object) -> None:
    """Refuse a text where several are asked for: it would count as its letters."""
    if isinstance(value, str):
        raise TypeError(f"{name}: give a collection, such as [{str(value)!r}]")


def one_start(after: object, last: object) -> None:
    """Refuse two places to begin at, and what is no number of records."""
    if last is not None:
        count("last", last)
        if after is not None:
            raise ValueError("give after= or last=, not both")


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is none of these words."""
    if value not in allowed:
        words = " or ".join(map(repr, allowed))
        raise ValueError(f"{name} is {words}, not {value!r}")


def age(older_than: object) -> None:
    """Refuse what is no age."""
    if not isinstance(older_than, timedelta):
        raise TypeError(f"older_than is a timedelta, not {type(older_than).__name__} {older_than}")
    if older_than < timedelta():
        raise ValueError(f"older_than cannot be negative: {older_than}")


def plain_function(name: str, function: object) -> None:
    """Refuse what gives an awaitable instead of an answer."""
    if inspect.iscoroutinefunction(function):
        raise no_plain_function(name)


def no_plain_function(name: str) -> TypeError:
    """Return the refusal, for what gives an awaitable though it did not look like that."""
    return TypeError(f"{name} is a plain function that returns at once, not an `async def`")
