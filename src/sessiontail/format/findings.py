"""what is odd about a session -> a finding: how bad, why, and where in the file.

Reasons are text, equal in every output; the reasons of damage are those of ``DamageReason``. What each
says, and how bad it is, stands in one table. Nothing here opens, waits or logs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from sessiontail.format.brief import brief
from sessiontail.format.records import Damage, DamageReason

__all__ = ["FINDINGS", "MOST_OF_A_REASON", "Finding", "Severity", "damage_finding", "finding"]

# Of one reason in one file: who reads a hundred has seen what there is, and a file of damage alone
# takes no memory. All of them are counted.
MOST_OF_A_REASON = 100


class Severity(StrEnum):
    """How bad a finding is."""

    #: Nothing is wrong; good to know.
    INFO = "info"
    #: Nothing is lost for sure, but the file is not as a writer that was left alone leaves it.
    WARNING = "warning"
    #: Something is lost, or cannot be read.
    ERROR = "error"

    @property
    def rank(self) -> int:
        """How bad it is as a number, from 1; 0 is left for nothing."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity, 1)}


#: Reason -> how bad it is.
FINDINGS: dict[str, Severity] = {
    **{str(reason): Severity.ERROR for reason in DamageReason},
    "no-header": Severity.ERROR,  # the file has no header: nothing in it is a record
    "unreadable": Severity.ERROR,  # the system does not give the file, or who read it died each time
    "no-trailer": Severity.ERROR,  # it has its final name, and no trailer
    "index-gap": Severity.WARNING,  # an index is higher than the next one
    "index-repeat": Severity.WARNING,  # an index is lower than the next one
    "count-mismatch": Severity.WARNING,  # the last trailer says another number of chunks
    "after-trailer": Severity.WARNING,  # chunks behind a trailer
    "second-trailer": Severity.WARNING,  # a trailer behind a trailer
    "name-differs": Severity.WARNING,  # the file is not named after the header's id
    "two-files": Severity.WARNING,  # a WAL beside a closed file of the same name
    "lineage-cycle": Severity.WARNING,  # a session that is its own ancestor
    "torn-tail": Severity.WARNING,  # bytes behind the last newline
    "missing-parent": Severity.INFO,  # agents and merges are never persisted
}


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that is odd about a session's file."""

    severity: Severity
    #: One of ``FINDINGS``.
    reason: str
    #: Counted from 1; None: it is of the whole file.
    line: int | None
    #: First byte of the line in the file, from 0; None: it is of the whole file.
    offset: int | None
    #: What exactly, in a few words.
    message: str

    def __repr__(self) -> str:
        where = "" if self.line is None else f"line {self.line}"
        return brief(self, str(self.severity), self.reason, where)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON has it."""
        return {**msgspec.structs.asdict(self), "severity": str(self.severity)}


def finding(
    reason: str, message: str, *, line: int | None = None, offset: int | None = None
) -> Finding:
    """Return a finding, as bad as the table says."""
    return Finding(FINDINGS[reason], reason, line, offset, message)


def damage_finding(damage: Damage) -> Finding:
    """Return what a damaged line is as a finding."""
    return finding(str(damage.reason), damage.message, line=damage.line, offset=damage.offset)
