"""``--state`` and ``--since`` -> which sessions are meant, where no id says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sessiontail.format.lifecycle import SessionState
from sessiontail.session.meta import PersistedSessionMeta

__all__ = ["RUNNING", "Choice"]

#: What runs, as far as is known: a writer may be in another container, and would not show.
RUNNING = frozenset({SessionState.LIVE, SessionState.UNKNOWN})


@dataclass(frozen=True)
class Choice:
    """Which sessions of a directory are meant."""

    #: In one of these states; none: those that run.
    states: Collection[str] = ()
    #: Created at or after this moment.
    since: datetime | None = None

    @property
    def made(self) -> bool:
        """Whether anything was chosen; else what runs is meant."""
        return bool(self.states) or self.since is not None

    def takes(self, meta: PersistedSessionMeta) -> bool:
        """Say whether a session is meant."""
        return meta.state in (self.states or RUNNING) and not self.is_too_old(meta.created_at)

    def is_too_old(self, created_at: datetime) -> bool:
        """Say whether a session was created before those that are meant."""
        return self.since is not None and created_at < self.since
