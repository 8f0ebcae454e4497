"""surveys of a directory, one after another -> what differs, and whether events told it.

A survey is the look that no event asked for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import NamedTuple

from anyio.lowlevel import checkpoint

from sessiontail.system.calls import Call
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.survey import Survey, survey
from sessiontail.system.threads import NoThread

__all__ = ["Look", "Surveys"]

# How often the lock table is compared where events do not tell that a writer is gone.
LOCKS_INTERVAL_S = 1.0
# The same where they do.
TRUSTED_LOCKS_INTERVAL_S = 30.0

# A survey takes at most this part of a processor, however many sessions there are.
SWEEP_SHARE = 0.05
# The same where events are trusted.
TRUSTED_SWEEP_SHARE = 0.005

# Growth that stood still for so long, and of which no event told, was missed. The kernel tells of a
# write when it has ended; until then the file grows page by page, for as long as the disk takes.
GRACE_S = 1.0

# After so long the loop has its turn.
MAX_HOLD_S = 0.002


class Look(NamedTuple):
    """A survey under way."""

    call: Call[Survey | None]
    began_s: float
    #: What events told before it began; None: perhaps everything.
    told: set[str] | None
    whole: bool
    locks_due: bool
    #: The follower that wants all that was seen.
    stock_for: Subscription | None


class Surveys:
    """What the last survey saw, and what events told since.

    Args:
        directory: which is looked at.
        followers: are told what differs.
    """

    def __init__(self, directory: Path, followers: Followers) -> None:
        self._directory = directory
        self._followers = followers
        #: What events told since the last one; None: perhaps everything.
        self.told: set[str] | None = set()
        # Growth that a survey found and no event has told: when it was last seen to go on.
        self._untold: dict[str, float] = {}
        # Whether the last one was of everything; a mark of what was seen, a stem; and WALs that
        # were told to be unheld.
        self._whole = False
        self._marks: dict[str, int] = {}
        self._unheld: set[str] = set()
        # What surveys take, and what the last one took.
        self._cost_s = self._last_cost_s = 0.0
        self._taken_at_s = time.monotonic()
        self._compared_at_s = -math.inf

    def due_in_s(self, interval_s: float, *, trusted: bool) -> float:
        """Return how soon the next one is due.

        Args:
            interval_s: the least time between two.
            trusted: whether events tell what changes.
        """
        share = TRUSTED_SWEEP_SHARE if trusted else SWEEP_SHARE
        return self._taken_at_s + max(interval_s, self._cost_s / share) - time.monotonic()

    def compare_soon(self) -> None:
        """Compare the lock table in the next one, whenever that was done last."""
        self._compared_at_s = -math.inf

    def begin(
        self, *, whole: bool, polled: bool, trusted: bool, stock_for: Subscription | None
    ) -> Look:
        """Begin one, in a thread.

        Args:
            whole: look at everything, not only at those that are followed by name.
            polled: events are not used.
            trusted: events tell what changes.
            stock_for: the follower that wants all that is seen.
        """
        began_s = self._taken_at_s = time.monotonic()  # also where there is no thread for it
        told, self.told = self.told, set()
        for stats in self._followers.stats:
            stats.sweeps += 1
        interval_s = LOCKS_INTERVAL_S if polled else TRUSTED_LOCKS_INTERVAL_S
        locks_due = stock_for is None and began_s - self._compared_at_s >= interval_s
        try:
            call = self._call(
                whole=whole, locks_due=locks_due, trusted=trusted, stock_for=stock_for
            )
        except NoThread:
            self.told = None  # what was told before is forgotten
            raise
        return Look(call, began_s, told, whole, locks_due, stock_for)

    def _call(
        self, *, whole: bool, locks_due: bool, trusted: bool, stock_for: Subscription | None
    ) -> Call[Survey | None]:
        return Call(
            # Not among the reads: files that hang must not keep us from looking.
            f"surveys of {self._directory}",
            partial(
                survey,
                self._directory,
                self._followers.stems,
                self._marks,
                whole=whole,
                locks_due=locks_due,
                wanted=stock_for is not None,
                doubtful=not trusted,
            ),
        )

    def result(self, look: Look) -> Survey | None:
        """Return what a survey that is over has found; None: there is no directory."""
        self._taken_at_s = time.monotonic()
        found = look.call.result()
        if look.locks_due:
            self._compared_at_s = look.began_s
        if found is None:
            self._marks = {}
        return found

    async def pass_on(self, found: Survey) -> None:
        """Mark what differs; cut short, it goes on where it was."""
        paused_s = time.monotonic()
        while found.changed:
            if time.monotonic() - paused_s >= MAX_HOLD_S:
                await checkpoint()
                paused_s = time.monotonic()
            stem, may_have_ended = found.changed.popitem()
            self._unheld.discard(stem)
            self._followers.mark(stem, may_have_ended=may_have_ended, surveyed=True)
        if found.unheld is not None:
            for stem in found.unheld - self._unheld:
                self._followers.mark(stem, may_have_ended=True, surveyed=True)
            self._unheld = found.unheld
        self._marks = found.marks

    def missed(self, look: Look, found: Survey, *, trusted: bool) -> bool:
        """Note that one is dealt with; say whether it found growth that no event told.

        Neither before it nor behind that: call it once the events that are there are drained.
        """
        grown: Collection[str] = found.grown if look.whole and self._whole else ()
        self._whole = look.whole
        # One alone proves nothing: the collector may have run in it.
        self._cost_s = min(found.cost_s, self._last_cost_s)
        self._last_cost_s = found.cost_s
        if look.stock_for is not None:
            look.stock_for.stock, look.stock_for.has_stock = found.seen, True
        told = look.told
        if not trusted or told is None or self.told is None:
            self._untold.clear()
            return False
        now_s = time.monotonic()
        for stem in told | self.told:
            self._untold.pop(stem, None)
        for stem in grown:
            if stem not in told and stem not in self.told:
                self._untold[stem] = now_s
        if all(now_s - since_s < GRACE_S for since_s in self._untold.values()):
            return False
        self._untold.clear()
        return True
