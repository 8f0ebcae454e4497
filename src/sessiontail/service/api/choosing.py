"""Parameters that choose sessions -> which audits are meant."""

from __future__ import annotations

from typing import Any

from sessiontail.format.audit import SessionAudit
from sessiontail.format.lifecycle import SessionState
from sessiontail.service.api.parameters import Parameter

__all__ = ["CHOOSING", "Choice"]

#: By id, state and creation.
CHOOSING = (
    Parameter(
        name="session", about="Only this session.", kind="session", repeated=True, most_values=100
    ),
    Parameter(
        name="state",
        about="Only sessions in this state.",
        choices=tuple(map(str, SessionState)),
        repeated=True,
    ),
    Parameter(
        name="since",
        about="Only sessions that were created at or after this moment, or so long ago.",
        kind="moment",
    ),
    Parameter(
        name="until",
        about="Only sessions that were created before this moment, or longer ago.",
        kind="moment",
    ),
)


class Choice:
    """Which sessions are meant; and how many cannot be placed in time.

    Args:
        values: of ``CHOOSING``.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._ids = frozenset(map(str, values["session"]))
        self._states = frozenset(values["state"])
        self._since, self._until = values["since"], values["until"]
        #: Left out because, without a header, nothing says when they were created.
        self.undated = 0

    def takes(self, one: SessionAudit) -> bool:
        """Say whether a session is meant."""
        if self._ids and one.id_text not in self._ids:
            return False
        if self._states and one.state not in self._states:
            return False
        if self._since is None and self._until is None:
            return True
        if one.created_at is None:
            self.undated += 1
            return False
        return (self._since is None or one.created_at >= self._since) and (
            self._until is None or one.created_at < self._until
        )
