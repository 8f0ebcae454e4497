"""What the handlers of one application share: its store, its limits, and parts made when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio.abc import TaskGroup
from starlette.requests import HTTPConnection

from sessiontail.service.api.endpoints import Endpoint
from sessiontail.service.guard.tokens import Token
from sessiontail.store import SessionStore

__all__ = ["Context", "Limits", "context_of"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request, one client or all of them may ask for."""

    #: Of a query string, in bytes.
    query_bytes: int = 8 * 1024
    #: Of all headers together, in bytes: names, values.
    header_bytes: int = 32 * 1024
    #: Of a page of records, about so many bytes of JSON.
    page_bytes: int = 2 * 1024 * 1024
    #: Of a page of records that are searched for, so many bytes of file.
    page_scan_bytes: int = 32 * 1024 * 1024
    #: Pages that search, at once: each takes half a second of a processor at most.
    page_searches: int = 16
    #: Between two comment lines of a stream on which nothing happens.
    heartbeat_s: float = 15.0
    #: A client that takes nothing for so long is disconnected.
    send_timeout_s: float = 30.0
    #: A session that is not there yet is waited for so long at most.
    wait_s: float = 300.0
    #: Streams of all clients together.
    streams: int = 10_000
    #: Streams of one client's address.
    streams_per_client: int = 2_000
    #: Of large bodies that clients have not taken yet, all together: above it the oldest ones are cut.
    held_bytes: int = 256 * 1024 * 1024
    #: A search ends after so long, and says that it is not complete.
    search_s: float = 10.0
    #: Searches at once, and of these with regular expressions: each may take a gigabyte.
    searches: int = 4
    regex_searches: int = 2
    #: Answers made of an audit at once; they share the passes over the directory.
    audits: int = 16
    #: Answers about descent at once.
    lineages: int = 16
    #: Nodes of a lineage, which is one answer.
    lineage_nodes: int = 1000


@dataclass(eq=False)
class Context:
    """What the handlers of one application share."""

    store: SessionStore
    limits: Limits
    #: What clients must know; None: nothing.
    token: Token | None = None
    #: All rows of the API, for its description.
    endpoints: tuple[Endpoint, ...] = ()
    #: For tasks as long as the application; None where nobody runs its lifespan.
    tasks: TaskGroup | None = None
    _parts: dict[Callable[[Context], Any], Any] = field(default_factory=dict, repr=False)

    def part(self, make: Callable[[Context], _T]) -> _T:
        """Return what ``make(context)`` gives: it is made once for an application, when first asked.

        ``context.part(News)`` is this application's ``News``.
        """
        if make not in self._parts:
            self._parts[make] = make(self)
        part: _T = self._parts[make]
        return part


def context_of(request: HTTPConnection) -> Context:
    """Return the context of the application that answers a request."""
    context: Context = request.app.state.context
    return context
