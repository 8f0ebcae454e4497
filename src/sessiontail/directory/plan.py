"""metas, and rules -> which sessions go and which stay, and why. Nothing is deleted here."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sessiontail import checks
from sessiontail.directory.scan import by_age
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import brief, quoted, short
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.plain import SCHEMA, plain_error
from sessiontail.session.meta import PersistedSessionMeta

__all__ = ["PruneDecision", "PrunePlan", "check_rules", "plan"]


class PruneDecision(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one session, and why."""

    meta: PersistedSessionMeta
    #: In a few words: "older than 30 days", "live".
    why: str

    def __repr__(self) -> str:
        return brief(self, short(self.meta.id_text), quoted(self.why))

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it, and ``why``."""
        return {**self.meta.to_dict(), "why": self.why}


@dataclass(frozen=True, slots=True, repr=False)
class PrunePlan:
    """What a prune would delete and keep. Nothing has happened yet.

    ``msgspec.json.encode(plan, enc_hook=str)`` takes it as it is: the hook is for the errors in
    ``skipped``. What ``to_dict`` gives needs none.
    """

    #: Goes, oldest first: the order of deletion.
    remove: tuple[PruneDecision, ...]
    #: Stays, oldest first.
    keep: tuple[PruneDecision, ...]
    #: Files that are no sessions, or cannot be read: they stay, and count nowhere. Those with the
    #: reason "left-aside" are put right when the plan is applied.
    skipped: tuple[PersistenceError, ...] = ()

    def __repr__(self) -> str:
        return brief(
            self,
            f"{len(self.remove)} go",
            f"{len(self.keep)} stay",
            f"{len(self.skipped)} skipped" if self.skipped else "",
            f"{self.bytes_to_free:,} bytes to free",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON has it (``format.plain``)."""
        return {
            "schema": SCHEMA,
            "bytes_to_free": self.bytes_to_free,
            "remove": [decision.to_dict() for decision in self.remove],
            "keep": [decision.to_dict() for decision in self.keep],
            "skipped": [plain_error(error) for error in self.skipped],
        }

    @property
    def bytes_to_free(self) -> int:
        """Sum of the sizes of what goes."""
        return sum(decision.meta.size_bytes for decision in self.remove)

    @property
    def left_aside(self) -> tuple[PersistenceError, ...]:
        """Those of ``skipped`` that a deletion which was killed has left."""
        return tuple(error for error in self.skipped if error.reason == "left-aside")


def plan(
    metas: Iterable[PersistedSessionMeta],
    *,
    now: datetime,
    older_than: timedelta | None = None,
    keep_last: int | None = None,
    max_total_bytes: int | None = None,
    states: Collection[SessionState | str] | None = None,
) -> PrunePlan:
    """Plan a prune.

    What is live stays, so do the ``keep_last`` newest, and what is not in ``states``. Of the rest
    goes what is older than ``older_than``, and then, oldest first, what exceeds
    ``max_total_bytes``; where neither of these two is given, all of it.

    Args:
        metas: the sessions, in any order.
        now: the time that ages are measured from, aware.
        older_than: age by ``created_at``.
        keep_last: how many of the newest sessions stay in any case.
        max_total_bytes: how much all sessions may take together.
        states: only sessions in these states go; by default all but live.

    Raises:
        ValueError: no rule is given, a number or the time is negative, or there is no such state.
        TypeError: a rule is of another type; ``states`` is a single one.
    """
    allowed = check_rules(older_than, keep_last, max_total_bytes, states)
    ordered = by_age(metas)
    total = sum(meta.size_bytes for meta in ordered)
    live_ids = {meta.id for meta in ordered if meta.state is SessionState.LIVE}
    remove: list[PruneDecision] = []
    keep: list[PruneDecision] = []
    for rank, meta in enumerate(ordered):
        if meta.id in live_ids:
            keep.append(PruneDecision(meta, "live"))
        elif allowed is not None and meta.state not in allowed:
            keep.append(PruneDecision(meta, f"{meta.state}, not {' or '.join(sorted(allowed))}"))
        elif keep_last is not None and rank >= len(ordered) - keep_last:
            keep.append(PruneDecision(meta, f"among the {keep_last} newest"))
        elif older_than is None and max_total_bytes is None:
            why = meta.state.value if keep_last is None else f"not among the {keep_last} newest"
            remove.append(PruneDecision(meta, why))
        elif older_than is not None and now - meta.created_at > older_than:
            remove.append(PruneDecision(meta, f"older than {_span(older_than)}"))
            total -= meta.size_bytes
        elif max_total_bytes is not None and total > max_total_bytes:
            remove.append(
                PruneDecision(meta, f"all together are more than {max_total_bytes} bytes")
            )
            total -= meta.size_bytes
        else:
            keep.append(PruneDecision(meta, "within the limits"))
    return PrunePlan(tuple(remove), tuple(keep))


def check_rules(
    older_than: timedelta | None,
    keep_last: int | None,
    max_total_bytes: int | None,
    states: Collection[SessionState | str] | None,
) -> set[SessionState] | None:
    """Refuse rules that cannot be meant, as ``plan`` does; return the states."""
    if older_than is None and keep_last is None and max_total_bytes is None and states is None:
        raise ValueError("give a rule: older_than=, keep_last=, max_total_bytes= or states=")
    if older_than is not None:
        checks.age(older_than)
    if keep_last is not None:
        checks.count("keep_last", keep_last)
    if max_total_bytes is not None:
        checks.count("max_total_bytes", max_total_bytes)
    checks.several("states", states)
    return None if states is None else {SessionState(state) for state in states}


def _span(span: timedelta) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(span.total_seconds(), length)
        if count and not rest:
            return f"{count:.0f} {unit}" + "s" * (count != 1)
    return str(span)
