"""Requests that cost much -> a slot for each, while there is one; else 429, and when to come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sessiontail.service.problems import Problem

__all__ = ["Slots"]


class Slots:
    """Slots for requests of one kind.

    Args:
        what: they are, in the plural.
        most: slots.
    """

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        #: How many are taken.
        self.taken = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold one meanwhile.

        Raises:
            Problem: 429, all are taken.
        """
        if self.taken >= self._most:
            raise Problem(
                429,
                f"there are {self._most} {self._what} at work, as many as there may be: "
                "ask again in a moment",
                headers={"Retry-After": "1"},
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
