"""session files -> gone, all that were named or none.

A file goes only while nobody has it open for writing, and under the writer's own lock. The lease
that tells the one comes before the other: who opens the file meanwhile waits for the lease, and so
does not meet our lock, which would refuse it for good. Linux can neither delete by inode nor
compare a name before it deletes it, so the name is taken away first:
``<name>`` becomes ``.<name>.deleting``. What lies there is looked at again, and then deleted, or
given its name back:

    open, lease, lock, look -> rename aside -> is it that file, still unwritten? -> unlink
                                        no -> rename back, never over another file

Who is killed in between leaves one file aside. A listing shows it, and the next prune, or
deleting it again, puts it right (``put_right``). Deletions in one directory take turns, by a lock
on the directory that no reader or writer takes: what lies aside while it is held is nobody's work.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sessiontail.errors import DamagedSession, PersistenceError, SessionBusy, SessionNotFound
from sessiontail.session.asides import (
    TURN_WAIT_S,
    Aside,
    Settled,
    aside_of,
    finish_earlier,
    is_at,
    put_right,
    restore,
)
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.session.summary import Detail, read_meta
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.leases import is_written, lock, refuse_writers, release, turn
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SessionPaths, path_paths, split_name
from sessiontail.system.stamps import FileId

__all__ = ["delete_both", "delete_file", "delete_session_file"]


# A writer can close the session while it is deleted: its WAL is then the closed file.
_ATTEMPTS = 8


def delete_both(paths: SessionPaths) -> bool:
    """Delete a session's WAL and closed file, blocking; return whether there was one.

    Raises:
        SessionBusy: a writer holds one of them; nothing was deleted.
        PersistenceError: one of the two is no file or cannot be deleted. Nothing was deleted,
            unless the message names what was.
    """
    return _delete((paths.wal, paths.final), None, TURN_WAIT_S)


def delete_file(
    path: Path, *, expect: PersistedSessionMeta | None = None, wait_s: float = TURN_WAIT_S
) -> bool:
    """Delete one session file, blocking; return whether it was there.

    Args:
        path: the file.
        expect: refuse when the file is no longer as it was listed.
        wait_s: for how long to wait for another deletion in the directory.

    Raises:
        SessionBusy: a writer holds it, or the WAL beside it.
        PersistenceError: it has changed since it was listed, or cannot be deleted.
    """
    return _delete((path,), expect, wait_s)


def delete_session_file(path: Path) -> bool:
    """Delete a file that is a session's by its name or, however damaged else, by its header."""
    if split_name(path.name) is None:
        try:
            read_meta(path, LockTable(None), detail=Detail.ENDS)
        except SessionNotFound:
            pass  # what a deletion left aside is another matter
        except DamagedSession as error:
            raise PersistenceError(
                "no session file, neither by its name (.jsonl) nor by its first line; it is kept",
                path=path,
                reason=error.reason,
            ) from error
    return delete_file(path)


class _Moved(Exception):
    """A file that was open has lost its name: its writer closed it, or it was deleted."""


class _Target:
    """One file that is to go: open, locked, and perhaps aside already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.aside = Aside(aside_of(path), path)
        self.taken = False
        # Whether a writer waits for our lease: it is to have the file, not to be refused.
        self.awaited = False
        self.file = SessionFile(path)
        self.status = self.file.stat()

    def take(self) -> None:
        """Take the name away and see that it led to this file.

        Raises:
            _Moved: the name is gone.
            PersistenceError: it led to another file, which has it back.
        """
        if sys.platform == "win32":
            return  # it refuses to delete what is open, and to rename it too
        try:
            _refuse_existing(self.aside.path)
            # What comes between this look and the rename is put back; a writer that closes in just
            # that moment finds no WAL to rename. 48 of 84,000 deletions before this look was here.
            if not os.path.samestat(self.status, self.path.lstat()):
                raise PersistenceError("replaced since it was opened; list again", path=self.path)
            self.path.rename(self.aside.path)
        except FileNotFoundError as error:
            raise _Moved from error
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise PersistenceError(
                "its name is too long to be put aside: shorten it first", path=self.path
            ) from error
        self.taken = True
        if not is_at(self.status, self.aside.path):
            self.taken = False
            settled = put_right(self.aside)
            note = "" if settled.done else f"; {settled.told}"
            raise PersistenceError(
                f"replaced since it was opened; list again{note}", path=self.path
            )

    def share(self, other: _Target) -> None:
        """Use the other's open file where both names lead to it: it can be locked but once."""
        if os.path.samestat(self.status, other.status):
            self.file.close()
            self.file = other.file

    def look_again(self) -> None:
        """Refuse if somebody came between the first look and the moment when the name went."""
        try:
            refuse_writers(self.file.fd, self.path)
        except SessionBusy:
            self.awaited = True
            raise
        # Who is stopped for longer than /proc/sys/fs/lease-break-time has lost its lease, and a
        # writer may have come and gone.
        now = self.file.stat()
        if (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise SessionBusy("written while it was deleted; it is kept", path=self.path)

    def remove(self) -> None:
        """Delete it, for good."""
        if sys.platform == "win32":
            self.file.close()
            self.path.unlink()
        else:
            self.aside.path.unlink()
        self.taken = False

    def give_back(self) -> Settled | None:
        """Give the name back where it was taken; a writer that waits goes on with this file.

        Returns:
            What became of it, if it has not its name back.
        """
        if not self.taken:
            return None
        try:
            # Before our lease goes: who waits for it finds the file where it was.
            settled = restore(self.aside, self.status, held=True)
            if not settled.done and not self.awaited:
                release(self.file)
                settled = put_right(self.aside)
        except OSError as error:
            why = explain(error, self.path).message
            settled = Settled(*self.aside, f"stays aside: {why}", done=False)
        self.taken = not settled.done
        return None if is_at(self.status, self.path) else settled


def _delete(paths: Sequence[Path], expect: PersistedSessionMeta | None, wait_s: float) -> bool:
    try:
        with turn(paths[0].parent, wait_s):
            for _ in range(_ATTEMPTS):
                try:
                    for path in paths:
                        finish_earlier(path)
                    return _delete_all(paths, expect)
                except _Moved:
                    continue
    except OSError as error:
        where = Path(os.fsdecode(error.filename)) if error.filename is not None else paths[0]
        raise explain(error, where) from error
    raise SessionBusy("it changes while it is deleted; it is kept", path=paths[-1])


def _delete_all(paths: Sequence[Path], expect: PersistedSessionMeta | None) -> bool:
    """Delete these files, or none of them; return whether there was one."""
    targets: list[_Target] = []
    try:
        for path in paths:
            with suppress(FileNotFoundError):
                targets.append(_Target(path))
        if not targets:
            return False
        for target in targets[1:]:
            target.share(targets[0])
        for target in targets:
            refuse_writers(target.file.fd, target.path)
            lock(target.file.fd, target.path)
            wal = path_paths(target.path).wal
            if wal not in paths:
                _check_wal(wal, target.path)
            # Again, under the lease and the lock.
            target.status = target.file.stat()
            if expect is not None:
                _refuse_changed(target, expect)
        _take_and_remove(targets)
    finally:
        for target in targets:
            release(target.file)
    return True


def _take_and_remove(targets: list[_Target]) -> None:
    removed: list[str] = []
    try:
        for target in targets:
            target.take()
        for target in targets:
            target.look_again()
        for target in targets:
            target.remove()
            removed.append(target.path.name)
    except BaseException as error:
        # The newest first: as if the last step had not been.
        settled = [target.give_back() for target in reversed(targets)]
        notes = [one.told for one in settled if one is not None]
        if removed:
            notes.append(f"{' and '.join(removed)} was deleted before that, the rest stays")
        if not notes or not isinstance(error, (OSError, PersistenceError)):
            raise
        if isinstance(error, OSError):
            error = explain(error, targets[len(removed)].path)
        raise type(error)("; ".join([error.message, *notes]), path=error.path) from error


def _refuse_changed(target: _Target, expect: PersistedSessionMeta) -> None:
    status = target.status
    was = (expect.file_id, expect.mtime_ns, expect.size_bytes)
    if (FileId.of(status), status.st_mtime_ns, status.st_size) != was:
        raise PersistenceError("changed since it was listed; list again", path=target.path)


def _refuse_existing(aside: Path) -> None:
    # Only without a lock on the directory: rename() would delete what another has put there.
    if os.path.lexists(aside):
        raise SessionBusy("another process is deleting it; it is kept", path=aside)


def _check_wal(wal: Path, path: Path) -> None:
    """Refuse to delete a closed file while its session, reopened, is being written."""
    try:
        status = wal.lstat()
    except OSError:
        return
    # The table hides other pid namespaces, and other systems have none.
    if LockTable.read().holder(status) is not None or is_written(wal):
        raise SessionBusy("a writer has reopened the session; it is kept", path=path)
