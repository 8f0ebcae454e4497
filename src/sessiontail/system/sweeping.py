"""surveys of a directory when they are due -> marks for what no event told.

Whoever is cancelled while a survey is under way, and asks again, gets the same: cut short again
and again, even one of 100,000 files comes to its end.
"""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from pathlib import Path

import anyio

from sessiontail.errors import PersistenceError
from sessiontail.system.signals import Signal
from sessiontail.system.subscriptions import Followers, Subscription
from sessiontail.system.survey import Survey
from sessiontail.system.surveying import Look, Surveys
from sessiontail.system.threads import NoThread
from sessiontail.system.watches import Watches

__all__ = ["Sweeper"]

logger = logging.getLogger("sessiontail")

# Surveys that found growth that no event told, before events are distrusted.
MOST_MISSES = 2


class Sweeper:
    """Takes the surveys of one directory.

    Args:
        directory: which.
        followers: are marked for what differs.
        watches: tell what changes in between.
        sweep_interval_s: how often to look where they are trusted.
        poll_interval_s: how often where they are not.
    """

    def __init__(
        self,
        directory: Path,
        *,
        followers: Followers,
        watches: Watches,
        sweep_interval_s: float,
        poll_interval_s: float,
    ) -> None:
        #: Whether the directory was there at the last look.
        self.present = True
        self._directory = directory
        self._followers = followers
        self._watches = watches
        self._sweep_interval_s = sweep_interval_s
        self._poll_interval_s = poll_interval_s
        self._surveys = Surveys(directory, followers)
        self._looking = anyio.Lock()
        # Whether the last survey failed, and the followers were told so.
        self._failed = False
        # A survey whose taker was cancelled.
        self._left: Look | None = None
        self._misses = 0
        # Set for a survey that is due at once.
        self._wanted = Signal()
        self._urgent = False

    @property
    def interval_s(self) -> float:
        """How long events may be relied on before a look is taken."""
        return self._sweep_interval_s if self._watches.trusted else self._poll_interval_s

    @property
    def told(self) -> set[str] | None:
        """What events told since the last survey; None: perhaps everything."""
        return self._surveys.told

    def mark_everything(self) -> None:
        """Mark everything for everybody: marks were lost."""
        self._surveys.told = None
        self._followers.mark_everything()

    def look_soon(self) -> None:
        """Take the next survey at once, and compare all locks: marks were lost."""
        self._surveys.compare_soon()
        self._urgent = True
        self._wanted.set()

    async def tend(self) -> None:
        """Take surveys when they are due, until this is cancelled."""
        while True:
            due_s = self._surveys.due_in_s(self.interval_s, trusted=self._watches.trusted)
            if due_s > 0 and not self._urgent:
                await self._wanted.wait(due_s)
                continue
            self._urgent = False
            try:
                await self.survey(whole=self._followers.want_all)
            except PersistenceError as error:
                cause = error.__cause__
                if isinstance(error, NoThread) or (
                    isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
                ):
                    continue  # somebody has all there are: the next one looks
                self._failed = True
                self._followers.fail(error)
            except Exception:
                # No thread to be had, say. Who gives up here leaves every follower deaf.
                logger.exception("cannot look at %s, will try again", self._directory)

    async def survey(self, *, whole: bool, stock_for: Subscription | None = None) -> None:
        """Look in a thread, and mark what differs from the look before.

        Args:
            whole: look at everything, not only at those that are followed by name.
            stock_for: the follower that gets all that is seen.

        Raises:
            PersistenceError: the directory cannot be read.
        """
        async with self._looking:
            left, self._left = self._left, None
            if left is not None:
                # Who asked is gone; what keeps this from looking now, the next look tells.
                with suppress(PersistenceError):
                    await self._take(left)
            # What was absent may be there by now.
            if stock_for is None or stock_for.stock is None:
                look = self._surveys.begin(
                    whole=whole,
                    polled=self._watches.polled_because is not None,
                    trusted=self._watches.trusted,
                    stock_for=stock_for,
                )
                await self._take(look)

    async def _take(self, look: Look) -> None:
        surveys, watches = self._surveys, self._watches
        try:
            await look.call.settled()
            found = surveys.result(look)
            if self._failed:  # and who did not come for that does not want it now
                self._failed = False
                self._followers.fail(None)
            was_present, self.present = self.present, found is not None
            if found is None:
                if was_present:
                    watches.forget_directory()
                    self.mark_everything()
                return
            self._watch_anew(found, was_present=was_present)
            await surveys.pass_on(found)
        except Exception:
            surveys.told = None  # what was told before is forgotten
            raise
        except BaseException:
            self._left = look
            raise
        watches.drain()
        if surveys.missed(look, found, trusted=watches.trusted):
            self._misses += 1
            for stats in self._followers.stats:
                stats.missed += 1
                stats.distrusted += self._misses == MOST_MISSES
            if self._misses >= MOST_MISSES:
                watches.polled_because = "events failed to come"

    def _watch_anew(self, found: Survey, *, was_present: bool) -> None:
        """Watch the directory that now has the name: one can be removed, renamed and made again."""
        watches = self._watches
        if watches.watch is not None and found.directory != watches.directory_id:
            watches.forget_directory()
        if watches.fit():
            self._surveys.told = None
            self._urgent = True  # for what happened before it was watched
        if not was_present:
            self.mark_everything()
