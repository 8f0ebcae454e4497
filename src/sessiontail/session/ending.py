"""evidence -> how a session ended, or when to look again.

First the reader meets the end of the file; then evidence is gathered; and only if the file, read
again, has nothing more, is the verdict the outcome: what was written before the writer let go is
delivered before the end. Nothing here looks at a file or a clock: both come as arguments.

    where it is   trailer  writer              else                                 verdict
    anywhere      -        -                   shorter than was read, or rewritten  REPLACED
    final name    read     -                   -                                    CLOSED
    final name    none     none                2 s of quiet, or it was always old   ABANDONED
    WAL           any      holds the lock      -                                    none
    WAL           any      no table, ever      -                                    none
    WAL           none     seen, and gone      -                                    ABANDONED
    WAL           none     never seen          60 s of quiet, or 10 minutes old     ABANDONED
    WAL           read     gone, as above      2 s without the rename               ABANDONED
    WAL, empty    -        gone, as above      2 s without a lock                   ABANDONED
    nowhere       -        -                   no links left                        DELETED
    nowhere       -        none                linked elsewhere, at three looks     DELETED

DELETED is REPLACED where another file has one of the names. Where the next look is not told by an
event, the answer says when it is due; where it wants the lock table, it asks. On another machine
sizes and names are cached for a while: a lock that is gone proves nothing there, and 60 s of quiet
are waited for under either name.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from sessiontail.format.lifecycle import Outcome

__all__ = ["FAR_S", "EndDetector", "Evidence", "LookAgain", "Where", "Writer"]

#: Under which name a file is found.
Where: TypeAlias = Literal["wal", "final", "nowhere"]

# A WAL without a known writer is abandoned once it was seen quiet for so long.
QUIET_S = 60.0
# Its own time counts only when it lies so far back: clocks of a file server and a host differ by
# seconds to minutes.
FAR_S = 600.0
# A closing writer writes the trailer, lets go of the lock, closes, and renames. A WAL that is
# whole and not held is therefore given this long to get its name.
RENAME_GRACE_S = 2.0
# Who copies a session, or writes it straight under its final name, is given this long between two
# writes.
TRAILER_GRACE_S = 2.0
# How often what is given a grace is looked at.
GRACE_LOOK_S = 0.1
# A dying writer's file is closed, and told of, just before its lock is gone (Linux, __fput).
FIRST_RECHECK_S = 0.005
# No recheck of a held file waits longer: the next one is told, or found by a survey.
LAST_RECHECK_S = 1.0
# Looks that find a linked file under neither name before it counts as moved away.
ABSENT_LOOKS = 3
# How often a file on another machine is looked at again: its last bytes, or its name, may be
# there and not shown to us yet.
REMOTE_RECHECK_S = 1.0
# A writer that did not show, and writes, is looked for again after so long, and ever more seldom:
# a file is there before its lock, and only who was seen is known to be gone.
FIRST_DOUBT_S = 0.05
# When the lock table is asked for again that could not be read.
FAILED_RECHECK_S = 1.0
# No look is due sooner for the time that is left of a quiet.
LEAST_RECHECK_S = 0.05


class Writer(Enum):
    """What the lock table says of a file's writer."""

    #: Nothing: it was not asked for.
    NOT_ASKED = "not asked"
    #: It could not be read now.
    FAILED = "failed"
    #: This system has none.
    UNKNOWN = "unknown"
    #: Nobody shows.
    NONE = "none"
    HOLDS = "holds"


class Evidence(NamedTuple):
    """What was seen of a file whose end was met."""

    #: Which of its names leads to it.
    place: Where
    #: Whether another file has one of its names.
    usurped: bool
    #: How many names it has, anywhere.
    links: int
    #: Bytes.
    size: int
    #: When it was written last, by its own clock, in nanoseconds since 1970.
    mtime_ns: int
    #: Bytes of it that were read, up to a newline.
    read: int
    #: Whether what was read is no longer what is there.
    rewritten: bool
    #: Whether a trailer was read.
    trailer: bool
    writer: Writer


class LookAgain(Struct, frozen=True, gc=False):
    """No verdict yet; one is due though nothing is told."""

    #: On the monotonic clock.
    at_s: float


#: An outcome; a time to look again; "ask" for the lock table; None: wait for what is told.
Decision: TypeAlias = Outcome | LookAgain | Literal["ask"] | None


class EndDetector:
    """Decides how one file of a session ends; it remembers what it was shown.

    Args:
        remote: whether the file is on another machine.
        now_s: the time, on the monotonic clock.
    """

    __slots__ = (
        "_absent_looks",
        "_doubt_s",
        "_doubt_until_s",
        "_grew",
        "_quiet_since_s",
        "_recheck_after_s",
        "_remote",
        "_seen_writer",
        "_unheld_since_s",
        "in_doubt",
        "renamed",
        "stamp",
    )

    def __init__(self, *, remote: bool, now_s: float) -> None:
        #: Size and time as last shown; None: nothing was yet.
        self.stamp: tuple[int, int] | None = None
        #: Whether the file had its final name when last shown: no writer comes back to it.
        self.renamed = False
        #: Whether a writer did not show, who is to be looked for once it writes: see ``wrote``.
        self.in_doubt = False
        self._remote = remote
        # Whether it changed while it was watched; and since when it has not.
        self._grew = False
        self._quiet_since_s = now_s
        # Whether a writer was seen; since when there is none of what is whole, or empty.
        self._seen_writer = False
        self._unheld_since_s: float | None = None
        # How soon a lock that may go at any moment is looked at again.
        self._recheck_after_s: float | None = None
        # For how long, and until when, a writer that did not show is not looked for.
        self._doubt_s: float | None = None
        self._doubt_until_s = 0.0
        self._absent_looks = 0

    @property
    def writer_seen(self) -> bool:
        """Whether its writer showed, since it was opened or came back."""
        return self._seen_writer

    def expect_end(self) -> None:
        """Note that the file was closed, renamed or unlinked: its lock may go at any moment."""
        self._recheck_after_s = FIRST_RECHECK_S

    def wrote(self, now_s: float) -> LookAgain | None:
        """Note that a record came; say when to look for a writer who did not show."""
        if not self.in_doubt:
            return None
        self.in_doubt = False
        return LookAgain(max(now_s, self._doubt_until_s))

    def held(self, now_s: float) -> LookAgain | None:
        """Note that the writer holds the WAL; say when to look again, if it may let go."""
        self._seen_writer = True
        self._doubt_s, self.in_doubt = None, False
        self._unheld_since_s = None
        after_s = self._recheck_after_s
        if after_s is None:
            return None
        self._recheck_after_s = 4 * after_s if 4 * after_s <= LAST_RECHECK_S else None
        return LookAgain(now_s + after_s)

    def resumed(self) -> None:
        """Note that a record came behind an end that was told: another writer is at it."""
        self._seen_writer = False
        self._unheld_since_s = None

    def missing(self, *, others: bool, now_s: float) -> Outcome | LookAgain:
        """Decide on a file that is not held, and that none of its names leads to.

        Args:
            others: whether another file has one of them.
            now_s: the time, on the monotonic clock.
        """
        self._absent_looks += 1
        if self._absent_looks < ABSENT_LOOKS:
            return LookAgain(now_s + GRACE_LOOK_S)  # it may be put aside for a moment
        return Outcome.REPLACED if others else Outcome.DELETED

    def found(self) -> None:
        """Note that one of its names leads to the file."""
        self._absent_looks = 0

    def decide(self, seen: Evidence, *, now_s: float, wall_s: float) -> Decision:
        """Decide on what was seen of the file after its end was met.

        Args:
            seen: what it was.
            now_s: the time, on the monotonic clock.
            wall_s: the time, in seconds since 1970.
        """
        if seen.rewritten or seen.size < seen.read:
            return Outcome.REPLACED
        stamp = seen.size, seen.mtime_ns
        if stamp != self.stamp:
            self._grew = self.stamp is not None
            self._quiet_since_s, self.stamp = now_s, stamp
        self.renamed = seen.place == "final"
        if seen.place == "nowhere":
            return self._without_name(seen, now_s)
        self._absent_looks = 0
        if seen.place == "final":
            return self._under_final_name(seen, now_s, wall_s)
        return self._under_wal_name(seen, now_s, wall_s)

    def _under_final_name(self, seen: Evidence, now_s: float, wall_s: float) -> Decision:
        if seen.trailer:
            return Outcome.CLOSED
        left_s = (QUIET_S if self._remote else TRAILER_GRACE_S) - (now_s - self._quiet_since_s)
        # Its own time says nothing once it was seen written: who copies sets it.
        old = wall_s - seen.mtime_ns / 1e9 >= FAR_S and not self._grew
        if left_s > 0 and (self._remote or not old):
            return self._when_quiet(now_s, left_s)
        if seen.writer is Writer.NOT_ASKED:
            return "ask"
        if seen.writer in (Writer.FAILED, Writer.HOLDS):
            return LookAgain(now_s + FAILED_RECHECK_S)
        return Outcome.ABANDONED

    def _under_wal_name(self, seen: Evidence, now_s: float, wall_s: float) -> Decision:
        if seen.writer is Writer.NOT_ASKED:
            return "ask"
        if seen.writer is Writer.HOLDS:
            return self.held(now_s)
        if seen.writer is Writer.FAILED:
            return LookAgain(now_s + FAILED_RECHECK_S)
        if seen.writer is Writer.UNKNOWN:
            return None
        quiet_s = now_s - self._quiet_since_s
        seen_to_go = self._seen_writer and not self._remote
        if not (seen_to_go or quiet_s >= QUIET_S or wall_s - seen.mtime_ns / 1e9 >= FAR_S):
            self._doubt(now_s)
            return self._when_quiet(now_s, QUIET_S - quiet_s)
        if (seen.trailer or not seen.size) and quiet_s < QUIET_S:
            # About to be renamed; or just created, and about to be locked.
            if self._unheld_since_s is None:
                self._unheld_since_s = now_s
            if now_s - self._unheld_since_s < RENAME_GRACE_S:
                return LookAgain(now_s + GRACE_LOOK_S)
        return Outcome.ABANDONED

    def _without_name(self, seen: Evidence, now_s: float) -> Decision:
        gone = Outcome.REPLACED if seen.usurped else Outcome.DELETED
        if not seen.links:
            return gone
        # Linked under a name that is not ours: moved away, or looked at in the midst of it.
        if seen.writer is Writer.NOT_ASKED:
            return "ask"
        if seen.writer is Writer.FAILED:
            return LookAgain(now_s + FAILED_RECHECK_S)
        self._absent_looks += 1
        if self._absent_looks < ABSENT_LOOKS:
            return LookAgain(now_s + GRACE_LOOK_S)
        if seen.usurped or seen.writer is not Writer.HOLDS:
            return gone  # the name is another's, or nobody writes what was moved away
        return LookAgain(now_s + LAST_RECHECK_S)  # no event tells when it lets go

    def _doubt(self, now_s: float) -> None:
        if not self._seen_writer:
            before_s = self._doubt_s
            self._doubt_s = FIRST_DOUBT_S if before_s is None else min(2 * before_s, QUIET_S)
            self._doubt_until_s = now_s + self._doubt_s
            self.in_doubt = True

    def _when_quiet(self, now_s: float, left_s: float) -> LookAgain:
        due_s = max(LEAST_RECHECK_S, left_s)
        return LookAgain(now_s + (min(due_s, REMOTE_RECHECK_S) if self._remote else due_s))
