"""Something that takes long and gives what is there -> one round of it for all who ask meanwhile.

Who asks gets what a round gives that began after that: nothing that was there before is missed. While one
round runs, all who ask wait for the next one together (elsewhere this is called single flight). There is
no task: one of them goes round for all, and where it is cancelled another one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

__all__ = ["Rounds"]

_T = TypeVar("_T")


class Rounds(Generic[_T]):
    """Calls a function for all who ask.

    Args:
        function: gives what is there when it is called.
    """

    def __init__(self, function: Callable[[], Awaitable[_T]]) -> None:
        self._function = function
        self._lock = anyio.Lock()
        self._begun = 0
        # What the last round that came to its end has given, and which it was.
        self._done = 0
        self._found: list[_T] = []

    async def ask(self) -> _T:
        """Return what a round gives that begins after this.

        Raises:
            Exception: what the function raises, to the one who went round.
        """
        wanted = self._begun + 1
        async with self._lock:
            if self._done < wanted:
                self._begun += 1
                number = self._begun
                found = await self._function()
                self._done, self._found = number, [found]
            (last,) = self._found
            return last
