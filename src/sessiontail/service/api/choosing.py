"""Parameters that choose sessions by id, state and creation -> which audits are meant."""

from __future__ import annotations

from typing import Any

from sessiontail.directory.selecting import Selection
from sessiontail.format.audit import SessionAudit
from sessiontail.format.lifecycle import SessionState
from sessiontail.service.api.parameters import Parameter

__all__ = ["CHOOSING", "STATED", "Choice"]

#: By state and creation.
STATED = (
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
#: By id, too.
CHOOSING = (
    Parameter(
        name="session", about="Only this session.", kind="session", repeated=True, most_values=100
    ),
    *STATED,
)


class Choice:
    """Which sessions are meant; and how many cannot be placed in time.

    Args:
        values: of ``CHOOSING``.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._selection = Selection(
            ids=frozenset(map(str, values["session"])),
            states=values["state"],
            since=values["since"],
            until=values["until"],
        )
        #: Left out because, without a header, nothing says when they were created.
        self.undated = 0

    def takes(self, one: SessionAudit) -> bool:
        """Say whether a session is meant."""
        self.undated += self._selection.cannot_place(one)
        return self._selection.takes(one)
