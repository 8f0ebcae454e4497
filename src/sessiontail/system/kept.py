"""values by key -> those that were last put or asked for: a limited number."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Kept"]


_T = TypeVar("_T")


_K = TypeVar("_K")


class Kept(Generic[_K, _T]):
    """The values that were last put or asked for: a limited number.

    Args:
        limit: so many at least, twice as many at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[_K, _T] = {}
        self._old: dict[_K, _T] = {}

    def get(self, key: _K) -> _T | None:
        """Return a value, None where there is none any more."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: _K, value: _T) -> None:
        """Keep a value."""
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget all."""
        self._old, self._young = {}, {}
