"""arguments -> a refusal that names what is wrong with them, or nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches

__all__ = [
    "age",
    "count",
    "flag",
    "moment",
    "no_others",
    "no_plain_function",
    "one_line",
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
    """Refuse what is no collection, and a text: it would count as its letters."""
    if isinstance(value, (str, bytes)):
        shown = str(value) if isinstance(value, str) else value
        raise TypeError(f"{name}: give a collection, such as [{shown!r}]")
    if value is not None and not isinstance(value, Iterable):
        raise TypeError(f"{name}: give a collection, not {type(value).__name__} {value!r}")


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {type(value).__name__} {value!r}")


def moment(name: str, value: object) -> None:
    """Refuse what is no moment: without a time zone, a time is one of many. None passes."""
    if value is None:
        return
    if not isinstance(value, datetime):
        kind = type(value).__name__
        raise TypeError(f"{name} is a datetime with a time zone, not {kind} {value!r}")
    if value.utcoffset() is None:
        said = value.isoformat()
        raise ValueError(f"{name} has no time zone: {said}; give one, such as tzinfo=UTC")


def no_others(what: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse options that there are not, with the nearest that there is."""
    names = [*allowed]
    unknown = sorted(set(given) - set(names))
    if not unknown:
        return
    # A part of a name, as "case" of ignore_case, is half of its letters.
    near = get_close_matches(unknown[0], names, n=1, cutoff=0.5)
    more = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
    raise TypeError(f"{what} has no option {unknown[0]!r}; {more}")


def one_start(after: object, last: object) -> None:
    """Refuse two places to begin at, and what is no number of records."""
    if last is not None:
        count("last", last)
        if after is not None:
            raise ValueError("give after= or last=, not both")


def one_line(line: object, last: object) -> None:
    """Refuse what is no line of a file, from 1, and no number of lines before its end."""
    if (line is None) is (last is None):
        raise TypeError("give line= or last=, one of them")
    if last is not None:
        count("last", last)
    else:
        positive("line", line, int)


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
