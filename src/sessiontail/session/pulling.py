"""a stream of ours, used as what it is not -> an error that says what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from anyio import BusyResourceError

from sessiontail.errors import PersistenceError

__all__ = ["AsyncEntered", "AsyncPulled", "OneTask", "StreamBusy"]


class StreamBusy(PersistenceError, BusyResourceError):
    """Two tasks pull from one stream; an ``anyio.BusyResourceError`` too."""

    def __init__(self, stream: str = "stream") -> None:
        super().__init__(
            f"another task waits for this {stream}'s next: one task at a time; "
            "make one for each task, they share what they can"
        )


class OneTask:
    """Lets one task at a time into a ``with`` block; another one is told that it is busy.

    Args:
        stream: what is pulled from, as the error calls it.
    """

    __slots__ = ("_inside", "_stream")

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._inside = False

    def __enter__(self) -> None:
        if self._inside:
            raise StreamBusy(self._stream)
        self._inside = True

    def __exit__(self, *_: object) -> None:
        self._inside = False


class AsyncEntered:
    """Is entered with ``async with``, and says so."""

    if not TYPE_CHECKING:  # a checker refuses it as it is

        def __enter__(self) -> NoReturn:
            name = type(self).__name__
            raise TypeError(f"a {name} is entered with `async with`, not with `with`")

        def __exit__(self, *_: object) -> None:
            """Never called; ``with`` asks for it before it enters."""


class AsyncPulled:
    """Is read with ``async for``, and says so."""

    if not TYPE_CHECKING:  # a checker refuses it as it is

        def __iter__(self) -> NoReturn:
            name = type(self).__name__
            raise TypeError(
                f"a {name} is read with `async for`, not with `for`, inside an `async def`"
            )

        def __await__(self) -> NoReturn:
            name = type(self).__name__
            raise TypeError(
                f"a {name} is not awaited: read it with `async for`; "
                "a whole session is `await load_session(...)`, a whole list `await store.list()`"
            )
