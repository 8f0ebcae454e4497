"""the calls that are in flight -> one cancelled by its client, or all of them answered and ended.

A client that talks HTTP cancels a call with another request: what both have in common is the name that
the client was given and the number of the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from anyio import CancelScope

__all__ = ["Calls", "Ending", "InFlight"]


class Ending(Enum):
    """Why a call was ended before it had its answer."""

    #: Its client does not want it any more.
    CANCELLED = "cancelled"
    #: The server stops.
    STOPPING = "stopping"


@dataclass(eq=False)
class InFlight:
    """One call."""

    key: tuple[str, str]
    waits: bool
    scope: CancelScope = field(default_factory=CancelScope)
    ending: Ending | None = None
    #: Where a wait stands: from there it can be begun again.
    cursor: str | None = None

    def end(self, ending: Ending) -> None:
        """Cancel it, and say why; what was said first stays."""
        self.ending = self.ending or ending
        self.scope.cancel()


class Calls:
    """The calls of all clients that were not answered yet."""

    def __init__(self) -> None:
        self._calls: set[InFlight] = set()
        self._stopping: bool | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @contextmanager
    def running(self, client: str, number: str, *, waits: bool) -> Iterator[InFlight]:
        """Be in flight; cancelled by ``cancel`` or ``stop``, the block is left and ``ending`` says why.

        Args:
            client: whose call it is.
            number: as the client has numbered it.
            waits: whether it waits for what may never come.
        """
        call = InFlight((client, number), waits)
        self._calls.add(call)
        if self._stopping is not None and (waits or not self._stopping):
            call.end(Ending.STOPPING)
        try:
            with call.scope:
                yield call
        finally:
            self._calls.discard(call)

    def cancel(self, client: str, number: str | None = None) -> None:
        """End the call of a client that has this number, or all of that client's."""
        for call in [*self._calls]:
            if call.key[0] == client and number in (None, call.key[1]):
                call.end(Ending.CANCELLED)

    def stop(self, *, only_waits: bool = False) -> None:
        """End all calls, and those that come: each is answered with why.

        Args:
            only_waits: let those finish that wait for nothing.
        """
        self._stopping = only_waits
        for call in [*self._calls]:
            if call.waits or not only_waits:
                call.end(Ending.STOPPING)
