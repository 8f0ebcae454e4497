"""Requests that cost much -> a few of them at once; the others are told to come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sessiontail.service.problems import Problem

__all__ = ["Crowd"]


class Crowd:
    """How many of one kind are inside.

    Args:
        what: they are, in the plural.
        most: at once.
    """

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        #: How many are inside.
        self.inside = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be inside.

        Raises:
            Problem: 429, there are as many as may be.
        """
        if self.inside >= self._most:
            raise Problem(
                429,
                f"there are {self._most} {self._what} at work, as many as there may be: "
                "ask again in a moment",
                headers={"Retry-After": "1"},
            )
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
