"""a plan of what goes -> files deleted, in its order, and what became of each.

Nothing is deleted on the word of a listing. Each file is looked at again (inode, size, mtime) and
deleted as ``deleting`` does: a file that somebody holds, has open for writing, or has changed
since, stays and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

from anyio.from_thread import check_cancelled

from sessiontail.directory.plan import PruneDecision, PrunePlan
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import brief
from sessiontail.format.plain import SCHEMA
from sessiontail.session.asides import TURN_WAIT_S, Settled, settle
from sessiontail.session.deleting import delete_file
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import change
from sessiontail.system.leases import DirectoryBusy

__all__ = ["Pruned", "apply", "prune"]

# A deletion takes 0.1 ms, a hop into a thread 0.2 ms.
PER_HOP = 64


@dataclass(frozen=True, slots=True, repr=False)
class Pruned:
    """What a prune did.

    ``msgspec.json.encode(pruned, enc_hook=str)`` takes it as it is: the hook is for the paths in
    ``settled``. What ``to_dict`` gives needs none.
    """

    #: Deleted, in this order.
    removed: tuple[PersistedSessionMeta, ...]
    #: Planned, but kept: with the reason found on the second look.
    kept: tuple[PruneDecision, ...]
    #: Files that a deletion which was killed had left aside, and what became of them.
    settled: tuple[Settled, ...] = ()
    #: Whether another deletion had the directory for longer than was waited.
    waited_in_vain: bool = False

    def __repr__(self) -> str:
        return brief(
            self,
            f"{len(self.removed)} removed",
            f"{len(self.kept)} kept",
            f"{len(self.settled)} settled" if self.settled else "",
            f"{self.freed_bytes:,} bytes freed",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what was done as JSON has it (``format.plain``)."""
        return {
            "schema": SCHEMA,
            "freed_bytes": self.freed_bytes,
            "removed": [meta.to_dict() for meta in self.removed],
            "kept": [decision.to_dict() for decision in self.kept],
            "settled": [one.to_dict() for one in self.settled],
            "waited_in_vain": self.waited_in_vain,
        }

    @property
    def removed_ids(self) -> list[UUID]:
        """Ids of what was deleted, in this order."""
        return [meta.id for meta in self.removed]

    @property
    def freed_bytes(self) -> int:
        """Sum of the sizes of what was deleted."""
        return sum(meta.size_bytes for meta in self.removed)


async def prune(
    plan: PrunePlan, directory: Path, *, progress: Callable[[int], None] | None = None
) -> Pruned:
    """Apply a plan in a thread; cancelled, it stops between two files.

    Args:
        plan: what goes.
        directory: where it lies; what an earlier deletion has left aside is put right first.
        progress: called now and then with the number of files that are dealt with.
    """
    removed: list[PersistedSessionMeta] = []
    kept: list[PruneDecision] = []
    settled: tuple[Settled, ...] = ()
    left = Event()
    wait_s = TURN_WAIT_S

    def go_on() -> bool:
        check_cancelled()
        return not left.is_set()  # a native cancellation leaves the thread behind

    try:
        for start in range(0, max(1, len(plan.remove)), PER_HOP):
            decisions = plan.remove[start : start + PER_HOP]
            settle_in = None if start else directory
            part = await change(
                partial(apply, decisions, settle_in=settle_in, go_on=go_on, wait_s=wait_s)
            )
            removed += part.removed
            kept += part.kept
            settled += part.settled
            if part.waited_in_vain:
                wait_s = 0
            if progress is not None:
                progress(start + len(decisions))
    finally:
        left.set()
    return Pruned(tuple(removed), tuple(kept), settled, waited_in_vain=wait_s == 0)


def apply(
    decisions: Sequence[PruneDecision],
    *,
    settle_in: Path | None = None,
    go_on: Callable[[], bool] = lambda: True,
    wait_s: float = TURN_WAIT_S,
) -> Pruned:
    """Delete what a plan names, in its order, blocking; look at each file again first.

    Args:
        decisions: what goes.
        settle_in: the directory in which to put right first what was left aside.
        go_on: asked before each file; False ends it there.
        wait_s: for how long to wait for another deletion in the directory. Who has waited in vain
            waits no more.
    """
    removed: list[PersistedSessionMeta] = []
    kept: list[PruneDecision] = []
    settled: list[Settled] = []
    if settle_in is not None:
        try:
            settled = settle(settle_in, wait_s=wait_s)
        except DirectoryBusy:
            wait_s = 0
    for decision in decisions:
        meta = decision.meta
        if not go_on():
            break
        try:
            if delete_file(meta.path, expect=meta, wait_s=wait_s):
                removed.append(meta)
            else:
                kept.append(PruneDecision(meta, "already gone"))
        except PersistenceError as error:
            kept.append(PruneDecision(meta, error.message))
            if isinstance(error, DirectoryBusy):
                wait_s = 0
    return Pruned(tuple(removed), tuple(kept), tuple(settled), waited_in_vain=wait_s == 0)
