"""metas -> a plan of what goes and what stays, and the plan applied.

Nothing is deleted on the word of a listing. Applying checks each file again (inode, size, mtime),
and deletes it as ``deleting`` does: a file that somebody holds, has open for writing, or has
changed since, stays and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from sessiontail.directory.scan import by_age
from sessiontail.errors import PersistenceError
from sessiontail.format.lifecycle import SessionState
from sessiontail.session.asides import TURN_WAIT_S, Settled, settle
from sessiontail.session.deleting import delete_file
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.leases import DirectoryBusy

__all__ = ["PrunePlan", "Pruned", "Verdict", "apply", "plan"]


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one session, and why."""

    meta: PersistedSessionMeta
    #: In a few words: "older than 30 days", "live".
    why: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune would delete and keep. Nothing has happened yet."""

    #: Goes, oldest first: the order of deletion.
    remove: tuple[Verdict, ...]
    #: Stays, oldest first.
    keep: tuple[Verdict, ...]
    #: Files that are no sessions, or cannot be read: they stay, and count nowhere. Those with the
    #: reason "left-aside" are put right when the plan is applied.
    skipped: tuple[PersistenceError, ...] = ()

    @property
    def bytes_to_free(self) -> int:
        """Sum of the sizes of what goes."""
        return sum(verdict.meta.size_bytes for verdict in self.remove)

    @property
    def left_aside(self) -> tuple[PersistenceError, ...]:
        """Those of ``skipped`` that a deletion which was killed has left."""
        return tuple(error for error in self.skipped if error.reason == "left-aside")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did."""

    #: Deleted, in this order.
    removed: tuple[PersistedSessionMeta, ...]
    #: Planned, but kept: with the reason found on the second look.
    kept: tuple[Verdict, ...]
    #: Files that a deletion which was killed had left aside, and what became of them.
    settled: tuple[Settled, ...] = ()
    #: Whether another deletion had the directory for longer than was waited.
    waited_in_vain: bool = False

    @property
    def removed_ids(self) -> list[UUID]:
        """Ids of what was deleted, in this order."""
        return [meta.id for meta in self.removed]

    @property
    def freed_bytes(self) -> int:
        """Sum of the sizes of what was deleted."""
        return sum(meta.size_bytes for meta in self.removed)


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
    remove: list[Verdict] = []
    keep: list[Verdict] = []
    for rank, meta in enumerate(ordered):
        if meta.id in live_ids:
            keep.append(Verdict(meta, "live"))
        elif allowed is not None and meta.state not in allowed:
            keep.append(Verdict(meta, f"{meta.state}, not {' or '.join(sorted(allowed))}"))
        elif keep_last is not None and rank >= len(ordered) - keep_last:
            keep.append(Verdict(meta, f"among the {keep_last} newest"))
        elif older_than is None and max_total_bytes is None:
            why = meta.state.value if keep_last is None else f"not among the {keep_last} newest"
            remove.append(Verdict(meta, why))
        elif older_than is not None and now - meta.created_at > older_than:
            remove.append(Verdict(meta, f"older than {_span(older_than)}"))
            total -= meta.size_bytes
        elif max_total_bytes is not None and total > max_total_bytes:
            remove.append(Verdict(meta, f"all together are more than {max_total_bytes} bytes"))
            total -= meta.size_bytes
        else:
            keep.append(Verdict(meta, "within the limits"))
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
        check_age(older_than)
    if keep_last is not None:
        not_negative("keep_last", keep_last)
    if max_total_bytes is not None:
        not_negative("max_total_bytes", max_total_bytes)
    refuse_single("states", states)
    return None if states is None else {SessionState(state) for state in states}


def check_age(older_than: object) -> None:
    """Refuse what is no age."""
    if not isinstance(older_than, timedelta):
        raise TypeError(f"older_than is a timedelta, not {type(older_than).__name__} {older_than}")
    if older_than < timedelta():
        raise ValueError(f"older_than cannot be negative: {older_than}")


def apply(
    verdicts: Sequence[Verdict],
    *,
    settle_in: Path | None = None,
    go_on: Callable[[], bool] = lambda: True,
    wait_s: float = TURN_WAIT_S,
) -> Pruned:
    """Delete what a plan names, in its order, blocking; look at each file again first.

    Args:
        verdicts: what goes.
        settle_in: the directory in which to put right first what was left aside.
        go_on: asked before each file; False ends it there.
        wait_s: for how long to wait for another deletion in the directory. Who has waited in vain
            waits no more.
    """
    removed: list[PersistedSessionMeta] = []
    kept: list[Verdict] = []
    settled: list[Settled] = []
    if settle_in is not None:
        try:
            settled = settle(settle_in, wait_s=wait_s)
        except DirectoryBusy:
            wait_s = 0
    for verdict in verdicts:
        meta = verdict.meta
        if not go_on():
            break
        try:
            if delete_file(meta.path, expect=meta, wait_s=wait_s):
                removed.append(meta)
            else:
                kept.append(Verdict(meta, "already gone"))
        except PersistenceError as error:
            kept.append(Verdict(meta, error.message))
            if isinstance(error, DirectoryBusy):
                wait_s = 0
    return Pruned(tuple(removed), tuple(kept), tuple(settled), waited_in_vain=wait_s == 0)


def not_negative(name: str, value: object) -> None:
    """Refuse what is no count."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int, not {type(value).__name__} {value!r}")
    if value < 0:
        raise ValueError(f"{name} cannot be negative: {value}")


def refuse_single(name: str, value: object) -> None:
    """Refuse a text where several are asked for: it would count as its letters."""
    if isinstance(value, str):
        raise TypeError(f"{name}: give a collection, such as [{str(value)!r}]")


def _span(span: timedelta) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(span.total_seconds(), length)
        if count and not rest:
            return f"{count:.0f} {unit}" + "s" * (count != 1)
    return str(span)
