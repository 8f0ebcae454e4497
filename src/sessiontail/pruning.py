"""metas -> a plan of what goes and what stays, and the plan applied.

Nothing is deleted on the word of a listing. Applying checks each file again (inode, size, mtime),
takes the writer's own exclusive lock without waiting, and deletes under it. A file that somebody
holds, has open for writing, or has changed since, stays and is reported.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.files import SessionFile, explain
from sessiontail.holders import LockTable
from sessiontail.layout import SessionPaths, path_paths
from sessiontail.session import PersistedSessionMeta, SessionState

__all__ = ["PrunePlan", "Pruned", "Verdict", "delete_both", "delete_file", "plan"]


@dataclass(frozen=True, slots=True)
class Verdict:
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
    #: Files that are no sessions, or cannot be read: they stay, and count nowhere.
    skipped: tuple[PersistenceError, ...] = ()

    @property
    def bytes_to_free(self) -> int:
        """Sum of the sizes of what goes."""
        return sum(verdict.meta.size_bytes for verdict in self.remove)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did."""

    #: Deleted, in this order.
    removed: tuple[PersistedSessionMeta, ...]
    #: Planned, but kept: with the reason found on the second look.
    kept: tuple[Verdict, ...]

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
        ValueError: no rule is given, or a number is negative.
    """
    if older_than is None and keep_last is None and max_total_bytes is None and states is None:
        raise ValueError("give a rule: older_than=, keep_last=, max_total_bytes= or states=")
    if (keep_last is not None and keep_last < 0) or (max_total_bytes or 0) < 0:
        raise ValueError("keep_last and max_total_bytes cannot be negative")
    allowed = None if states is None else {SessionState(state) for state in states}
    ordered = sorted(metas, key=lambda meta: (meta.created_at, meta.file))
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


def apply(verdicts: Sequence[Verdict]) -> Pruned:
    """Delete what a plan names, in its order, blocking; look at each file again first."""
    removed: list[PersistedSessionMeta] = []
    kept: list[Verdict] = []
    for verdict in verdicts:
        meta = verdict.meta
        try:
            if delete_file(meta.path, expect=meta):
                removed.append(meta)
            else:
                kept.append(Verdict(meta, "already gone"))
        except PersistenceError as error:
            kept.append(Verdict(meta, error.message))
    return Pruned(tuple(removed), tuple(kept))


def delete_both(paths: SessionPaths) -> bool:
    """Delete a session's WAL and closed file, blocking; return whether there was one.

    Raises:
        SessionBusy: a writer holds one of them; nothing was deleted.
        PersistenceError: one of the two is no file, and nothing was deleted; or as
            ``delete_file``.
    """
    for path in (paths.wal, paths.final):
        try:
            SessionFile(path).close()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise explain(error, path) from error
    # The WAL first: if it is held, the closed file beside it stays too.
    gone = delete_file(paths.wal)
    return delete_file(paths.final) or gone


def delete_file(path: Path, *, expect: PersistedSessionMeta | None = None) -> bool:
    """Delete one session file, blocking; return whether it was there.

    The file goes under the writer's own lock, and only while nobody has it open for writing: a
    writer that has opened the WAL and not yet locked it would go on writing into nothing.

    Args:
        path: the file.
        expect: refuse when the file is no longer as it was listed.

    Raises:
        SessionBusy: a writer holds it, or the WAL beside it.
        PersistenceError: it has changed since it was listed, or cannot be deleted.
    """
    try:
        file = SessionFile(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, path) from error
    try:
        _lock(file.fd, path)
        wal = path_paths(path).wal
        if wal != path:
            _check_wal(wal, path)
        status = file.stat()
        if expect is not None and (
            (status.st_dev, status.st_ino, status.st_mtime_ns) != expect.file_key
            or status.st_size != expect.size_bytes
        ):
            raise PersistenceError("changed since it was listed; list again", path=path)
        _refuse_writers(file.fd, path)
        _unlink(file, path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, path) from error
    finally:
        file.close()
    return True


def _unlink(file: SessionFile, path: Path) -> None:
    """Unlink a file that nobody had open for writing a moment ago.

    Until its name is gone, anybody can put another file there, or open this one for writing: a
    writer lets go of its lock before it renames, and one that opens a WAL now waits for our lease
    and then goes on with this very file. The name is therefore taken away first; if somebody came
    before that, it is given back.
    """
    aside = path.with_name(f".{os.getpid()}-{file.stat().st_ino}.deleting")
    path.rename(aside)
    try:
        _refuse_another(file, aside, path)
        _refuse_writers(file.fd, path)
    except PersistenceError:
        os.link(aside, path)  # where there is another file by now, this one stays aside
        aside.unlink()
        raise
    aside.unlink()


def _refuse_another(file: SessionFile, aside: Path, path: Path) -> None:
    moved, ours = aside.lstat(), file.stat()
    if (moved.st_dev, moved.st_ino) != (ours.st_dev, ours.st_ino):
        raise PersistenceError("replaced since it was opened; list again", path=path)


def _check_wal(wal: Path, path: Path) -> None:
    """Refuse to delete a closed file while its session, reopened, is being written."""
    try:
        status = wal.lstat()
    except OSError:
        return
    if LockTable.read().holder(status) is not None:
        raise SessionBusy("a writer has reopened the session; it is kept", path=path)


if sys.platform == "win32":

    def _lock(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

    def _refuse_writers(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

else:
    import fcntl

    def _lock(fd: int, path: Path) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another process holds it; it is kept", path=path) from error

    def _refuse_writers(fd: int, path: Path) -> None:
        # A read lease is given only while nobody has the file open for writing (fcntl(2)).
        if sys.platform != "linux":
            return
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO would end this process
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise SessionBusy("somebody has it open for writing", path=path) from error
            # EACCES: another owner's; EINVAL: a file system without leases. The lock stands.


def _span(span: timedelta) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(span.total_seconds(), length)
        if count and not rest:
            return f"{count:.0f} {unit}" + "s" * (count != 1)
    return str(span)
