"""what changed in a directory -> marks, for each of those who follow it.

A mark only names a session; truth is a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from anyio.lowlevel import checkpoint

from sessiontail.errors import PersistenceError
from sessiontail.system.signals import Signal
from sessiontail.system.stats import StoreStats
from sessiontail.system.survey import Seen

__all__ = ["Followers", "Subscription"]


class Subscription:
    """One follower's marks: which sessions have changed since it last looked.

    However much happens, it holds one mark a session: a slow follower is late, not lossy, and
    holds no memory.
    """

    __slots__ = (
        "_leave",
        "dirty",
        "error",
        "everything",
        "has_stock",
        "signal",
        "stats",
        "stem",
        "stock",
    )

    def __init__(
        self,
        stem: str | None,
        stats: StoreStats,
        *,
        leave: Callable[[Subscription], None] = lambda _: None,
    ) -> None:
        self._leave = leave
        #: Whose changes are marked; None: everybody's.
        self.stem = stem
        self.stats = stats
        #: Stems that changed -> whether they may have ended.
        self.dirty: dict[str, bool] = {}
        #: Whether marks were lost, so that everything may have changed.
        self.everything = False
        #: Whether it knows what lay there, so that it is to be told what differs from that.
        self.has_stock = stem is not None
        #: What lay there, until it is taken.
        self.stock: dict[str, Seen] | None = None
        #: Why the last survey failed; None where it did not.
        self.error: PersistenceError | None = None
        #: Wakes the follower, for a mark or for what else it waits for.
        self.signal = Signal()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a mark or another signal, or for so long; return whether there is a mark."""
        if self.dirty or self.everything:
            await checkpoint()
        else:
            await self.signal.wait(timeout_s)
        return bool(self.dirty or self.everything)

    def take(self) -> tuple[dict[str, bool], bool]:
        """Return ``dirty`` and ``everything``, and begin anew."""
        taken = self.dirty, self.everything
        self.dirty, self.everything = {}, False
        return taken

    def mark(self, stem: str, *, may_have_ended: bool) -> None:
        """Note that a session has changed."""
        self.dirty[stem] = may_have_ended or self.dirty.get(stem, False)
        self.signal.set()

    def mark_everything(self) -> None:
        """Note that marks were lost."""
        self.everything = True
        self.signal.set()

    def fail(self, error: PersistenceError | None) -> None:
        """Note that the directory cannot be looked at, or with None that it can be."""
        self.error = error
        if error is not None:
            self.signal.set()

    def close(self) -> None:
        """Get no more marks; again is no error, and any thread may."""
        self._leave(self)


class Followers:
    """Those who follow one directory: one session each, or all of them."""

    __slots__ = ("_all", "_by_stem", "_counts", "stats")

    def __init__(self) -> None:
        self._by_stem: dict[str, list[Subscription]] = {}
        self._all: list[Subscription] = []
        #: Into what they count, each once.
        self.stats: tuple[StoreStats, ...] = ()
        self._counts: dict[int, tuple[StoreStats, int]] = {}

    def __iter__(self) -> Iterator[Subscription]:
        return iter([*self._all, *(one for those in self._by_stem.values() for one in those)])

    @property
    def stems(self) -> list[str]:
        """The sessions that somebody follows by name."""
        return list(self._by_stem)

    @property
    def want_all(self) -> bool:
        """Whether somebody follows every session."""
        return bool(self._all)

    def follow(self, stem: str) -> int:
        """Return how many follow a session by its name."""
        return len(self._by_stem.get(stem, ()))

    def add(self, subscription: Subscription) -> None:
        """Mark for a follower from now on."""
        if subscription.stem is None:
            self._all.append(subscription)
        else:
            self._by_stem.setdefault(subscription.stem, []).append(subscription)

    def remove(self, subscription: Subscription) -> bool:
        """Mark no longer for a follower; return whether that was done until now."""
        stem = subscription.stem
        others = self._all if stem is None else self._by_stem.get(stem, [])
        if subscription not in others:
            return False
        others.remove(subscription)
        if stem is not None and not others:
            del self._by_stem[stem]
        return True

    def mark(self, stem: str, *, may_have_ended: bool, surveyed: bool = False) -> None:
        """Mark that a session has changed, for those who follow it.

        Args:
            stem: which.
            may_have_ended: whether it may have ended.
            surveyed: whether a survey found it: it is news to those who know what lay there.
        """
        for subscription in self._by_stem.get(stem, ()):
            subscription.mark(stem, may_have_ended=may_have_ended)
        for subscription in self._all:
            if subscription.has_stock or not surveyed:
                subscription.mark(stem, may_have_ended=may_have_ended)

    def mark_everything(self) -> None:
        """Mark everything for everybody: marks were lost."""
        for subscription in self:
            subscription.mark_everything()

    def fail(self, error: PersistenceError | None) -> None:
        """Tell everybody that the directory cannot be looked at, or with None that it can be."""
        for subscription in self:
            subscription.fail(error)

    def count_into(self, stats: StoreStats, change: int) -> None:
        """Count into these for one follower more, or less."""
        _, count = self._counts.get(id(stats), (stats, 0))
        if count + change:
            self._counts[id(stats)] = stats, count + change
        else:
            del self._counts[id(stats)]
        self.stats = tuple(stats for stats, _ in self._counts.values())
