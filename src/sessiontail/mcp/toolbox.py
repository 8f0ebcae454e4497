"""a store, and how a call is answered -> what every tool needs: the session that is meant, and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID

from sessiontail.directory.naming import SessionNames, whole_id
from sessiontail.directory.newest import newest_first
from sessiontail.errors import (
    CursorInvalid,
    InvalidPattern,
    LineNotFound,
    PersistenceError,
    SessionNotFound,
)
from sessiontail.mcp.answers import ToolError
from sessiontail.mcp.bookmarks import Bookmarks
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore

__all__ = ["Progress", "Toolbox"]

# Is told the seconds that have gone by, of how many, and the cursor to go on from.
Progress: TypeAlias = Callable[[float, float, str], Awaitable[None]]

# Candidates of an ambiguous beginning, and ids that look like an unknown one.
_CANDIDATES = 8
_NEAR = 3


class Toolbox:
    """What the tools of one server work with.

    Args:
        store: whose sessions.
        progress_s: between two progress notifications of a wait: clients give up after a minute of
            silence.
    """

    def __init__(self, store: SessionStore, *, progress_s: float = 5.0) -> None:
        self.store = store
        self.progress_s = progress_s
        #: Cursors of all sessions.
        self.bookmarks = Bookmarks(store.directory)

    async def meant(self, text: str) -> UUID:
        """Return the id of the session that is meant; a whole id is taken as it is.

        Raises:
            ToolError: no session is called so, or several are.
        """
        whole = whole_id(text)
        if whole is not None:
            return whole
        metas = await self.store.scan().rest()
        found = SessionNames(metas).called(text)
        if not found:
            raise ToolError(self._unknown(text, metas))
        if len(found) > 1:
            newest = [meta for _, meta in newest_first(found.values())]
            told = ", ".join(f"{meta.id_text} ({meta.state})" for meta in newest[:_CANDIDATES])
            more = f", and {len(newest) - _CANDIDATES} more" if len(newest) > _CANDIDATES else ""
            raise ToolError(
                f"{text!r} begins the ids of {len(newest)} sessions; give more of one of them. The newest "
                f"first: {told}{more}"
            )
        return next(iter(found))

    async def explain(self, error: PersistenceError, session: str | None) -> str:
        """Return what a model is told of an error, with what it can do next.

        Args:
            error: what was raised.
            session: the session that the tool was asked about.
        """
        if isinstance(error, SessionNotFound) and session is not None:
            return self._unknown(session, await self.store.scan().rest())
        if isinstance(error, CursorInvalid):
            return (
                f"{error.message}. This cursor is of no use here any more: call again without it, or "
                "with last=20 for the newest records; list_sessions says which sessions there are"
            )
        if isinstance(error, LineNotFound):
            return f"{error.message}; last=1 gives the last record and its line"
        if isinstance(error, InvalidPattern):
            return f"{error.message}. regex=false searches for the text as it stands"
        return error.message

    @staticmethod
    def _unknown(text: str, metas: list[PersistedSessionMeta]) -> str:
        if not metas:
            return f"no session is called {text!r}: there is no session at all yet"
        near = SessionNames(metas).nearest(text, _NEAR)
        if near:
            return f"no session is called {text!r}; was it {', or '.join(map(str, near))}?"
        newest = [meta.id_text for _, meta in newest_first(metas)[:_NEAR]]
        return (
            f"no session is called {text!r}, and none nearly so; list_sessions has them all, the newest "
            f"are {', '.join(newest)}"
        )
