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
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.locks import LockTable
from sessiontail.system.mounts import filesystem_type
from sessiontail.system.paths import (
    SESSION_FILE_SUFFIX,
    SESSION_PARTIAL_SUFFIX,
    SessionPaths,
    path_paths,
    split_name,
)
from sessiontail.system.stamps import FileId

__all__ = [
    "TURN_WAIT_S",
    "DirectoryBusy",
    "Settled",
    "aside_of",
    "delete_both",
    "delete_file",
    "left_aside",
    "settle",
]

_ASIDE_SUFFIX = ".deleting"
# What an earlier version called it: the process and the inode, not the name.
_NAMELESS = re.compile(r"[0-9]+-[0-9]+")

# Another deletion needs the directory for 0.1 ms a file; who has it for so long is stopped.
TURN_WAIT_S = 5.0
_TURN_POLL_S = 0.0005
# A writer can close the session while it is deleted: its WAL is then the closed file.
_ATTEMPTS = 8


class DirectoryBusy(SessionBusy):
    """Another deletion has had the directory for all the time that was waited."""


class Aside(NamedTuple):
    """A file that a deletion has put aside."""

    path: Path
    #: The path that it had.
    origin: Path


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a file that an earlier deletion had left aside."""

    #: Where it lay.
    path: Path
    #: The path that it had before.
    origin: Path
    #: In a few words: "has its name back".
    what: str
    #: Whether nothing of it is aside any more.
    done: bool

    def __str__(self) -> str:
        return f"{self.path.name} {self.what}"

    @property
    def told(self) -> str:
        """The same, with what to do."""
        return str(self) if self.done else f"{self}: the next prune puts it right"


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


def left_aside(directory: Path) -> list[PersistenceError]:
    """Return the files that a deletion put aside and left, blocking, each with what to do."""
    if not _asides(directory):
        return []
    with suppress(DirectoryBusy), _turn(directory, 1.0):
        pass  # what another process has put aside just now is gone by then
    return [
        PersistenceError(
            "put aside by a deletion that did not end; "
            f"the next prune gives it its name back ({aside.origin.name}), or deleting it does",
            path=aside.path,
            reason="left-aside",
        )
        for aside in _asides(directory)
    ]


def settle(directory: Path, *, wait_s: float = TURN_WAIT_S) -> list[Settled]:
    """Put right what earlier deletions have left aside in a directory, blocking.

    Raises:
        DirectoryBusy: another deletion has the directory.
        PersistenceError: the directory cannot be read.
    """
    if not _asides(directory):
        return []
    settled = []
    with _turn(directory, wait_s):
        for aside in _asides(directory):
            try:
                settled.append(_put_right(aside))
            except FileNotFoundError:
                continue
            except OSError as error:
                why = explain(error, aside.path).message
                settled.append(Settled(*aside, f"stays aside: {why}", done=False))
    return settled


def _asides(directory: Path) -> list[Aside]:
    try:
        names = [
            name
            for name in os.listdir(directory)  # noqa: PTH208 - a tenth of the time of iterdir()
            if name.endswith(_ASIDE_SUFFIX) and name.startswith(".")
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, directory) from error
    return [_aside(directory, name) for name in sorted(names)]


def _aside(directory: Path, name: str) -> Aside:
    origin = name[1 : -len(_ASIDE_SUFFIX)]
    if _NAMELESS.fullmatch(origin):
        origin += SESSION_PARTIAL_SUFFIX  # what it was is not known: listed as unfinished
    return Aside(directory / name, directory / (origin or "unnamed"))


def aside_of(path: Path) -> Path:
    """Return where a file lies while it is deleted."""
    return path.with_name(f".{path.name}{_ASIDE_SUFFIX}")


# --- putting right


def _put_right(aside: Aside) -> Settled:
    """Give a file that was left aside its name back, or what else is due to it."""
    file = SessionFile(aside.path)
    try:
        held = False
        try:
            _refuse_writers(file.fd, aside.origin)
            _lock(file.fd, aside.origin)
        except PersistenceError:  # a writer, or no locks here: nobody knows
            held = True
        return _restore(aside, file.stat(), held=held)
    finally:
        _release(file)


def _restore(aside: Aside, status: os.stat_result, *, held: bool) -> Settled:
    """Do with a file that lies aside what would have become of it without us.

    Args:
        aside: where it lies, and its name.
        status: its status.
        held: whether somebody writes it, or may.
    """
    path, origin = aside
    final = path_paths(origin).final
    if any(_is(status, name) for name in (origin, final)):
        path.unlink()  # a second name: who gave it its name back was killed before this
        return Settled(*aside, "has its name already", done=True)
    # A WAL that the session left behind: continued now, it would be closed over what came later.
    outdated = origin != final and not held and _is_later(final, status)
    if not outdated:
        with suppress(FileExistsError):
            _rename_new(path, origin)
            return Settled(*aside, f"has its name back: {origin.name}", done=True)
    if held:
        why = f"{origin.name} is another file by now, and somebody may be writing this one"
        return Settled(*aside, f"stays aside: {why}", done=False)
    split = split_name(origin.name)
    if split is not None and not split[1] and _is_later(origin, status):
        path.unlink()  # a closed file is only ever replaced: that would have deleted this one
        return Settled(*aside, f"is deleted: a later {origin.name} is in its place", done=True)
    # The other file was begun because the name was free: neither is to lose its lines.
    for own in _own_names(origin, status.st_ino):
        with suppress(FileExistsError):
            _rename_new(path, own)
            return Settled(*aside, f"is called {own.name}: its name was taken", done=True)
    raise AssertionError("unreachable: there is no last name")


def _own_names(origin: Path, inode: int) -> Iterator[Path]:
    """Yield names that a listing shows, for a file that cannot have its own."""
    ending = ""
    for suffix in (SESSION_PARTIAL_SUFFIX, SESSION_FILE_SUFFIX):
        if origin.name.endswith(suffix):
            ending = suffix
            break
    stem = origin.name.removesuffix(ending)
    number = 0
    while True:
        yield origin.with_name(f"{stem}.{inode:x}{f'-{number}' * bool(number)}{ending}")
        number += 1


def _is(status: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


def _is_later(path: Path, status: os.stat_result) -> bool:
    """Say whether there is a file at ``path`` that was written after the other."""
    try:
        return path.lstat().st_mtime_ns >= status.st_mtime_ns
    except FileNotFoundError:
        return False


# --- deleting


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
        if not _is(self.status, self.aside.path):
            self.taken = False
            settled = _put_right(self.aside)
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
            _refuse_writers(self.file.fd, self.path)
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
            settled = _restore(self.aside, self.status, held=True)
            if not settled.done and not self.awaited:
                _release(self.file)
                settled = _put_right(self.aside)
        except OSError as error:
            why = explain(error, self.path).message
            settled = Settled(*self.aside, f"stays aside: {why}", done=False)
        self.taken = not settled.done
        return None if _is(self.status, self.path) else settled


def _delete(paths: Sequence[Path], expect: PersistedSessionMeta | None, wait_s: float) -> bool:
    try:
        with _turn(paths[0].parent, wait_s):
            for _ in range(_ATTEMPTS):
                try:
                    for path in paths:
                        _finish_earlier(path)
                    return _delete_all(paths, expect)
                except _Moved:
                    continue
    except OSError as error:
        where = Path(os.fsdecode(error.filename)) if error.filename is not None else paths[0]
        raise explain(error, where) from error
    raise SessionBusy("it changes while it is deleted; it is kept", path=paths[-1])


def _finish_earlier(path: Path) -> None:
    """Put right what an earlier deletion of this file has left aside."""
    try:
        settled = _put_right(Aside(aside_of(path), path))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR):
            return  # what follows says so of the file itself
        raise
    if not settled.done:
        raise SessionBusy(f"nothing was deleted: {settled}", path=path)


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
            _refuse_writers(target.file.fd, target.path)
            _lock(target.file.fd, target.path)
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
            _release(target.file)
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
    if LockTable.read().holder(status) is not None or _is_written(wal):
        raise SessionBusy("a writer has reopened the session; it is kept", path=path)


# --- what the system gives


def _rename_new(source: Path, target: Path) -> None:
    """Rename, never over another file.

    Raises:
        FileExistsError: there is one at ``target``.
    """
    if _renameat2(source, target):
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: looked at first, for want of better
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
    else:
        source.unlink()


if sys.platform == "linux":
    import ctypes

    _AT_FDCWD = -100
    _RENAME_NOREPLACE = 1
    # glibc since 2.28; musl and older ones leave it out.
    _libc_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

    def _renameat2(source: Path, target: Path) -> bool:
        """Rename where there is nothing; return False where the system cannot say that."""
        if _libc_renameat2 is None:
            return False
        old, new = os.fsencode(source), os.fsencode(target)
        if _libc_renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return False  # an old kernel or file system (NFS, FUSE), or a sandbox
        raise OSError(code, os.strerror(code), str(source), None, str(target))

else:

    def _renameat2(source: Path, target: Path) -> bool:  # noqa: ARG001 - as on Linux
        """Only Linux has this call."""
        return False


if sys.platform == "win32":

    @contextmanager
    def _turn(directory: Path, wait_s: float) -> Iterator[None]:  # noqa: ARG001 - as elsewhere
        """Windows puts nothing aside."""
        yield

    def _lock(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

    def _release(file: SessionFile) -> None:
        file.close()

    def _refuse_writers(fd: int, path: Path) -> None:
        """Windows itself refuses to delete a file that is open."""

    def _is_written(wal: Path) -> bool:  # noqa: ARG001 - as elsewhere
        """Windows has neither lease nor lock."""
        return False

else:
    import fcntl

    # A file system without locks, or one whose server has none to give. EBADF: NFS wants the file
    # open for writing, which would look like a writer.
    _SERVED = {"nfs", "nfs4", "cifs", "smb3"}
    _NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

    @contextmanager
    def _turn(directory: Path, wait_s: float) -> Iterator[None]:
        """Hold the directory against other deletions; the kernel lets go for who is killed."""
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            yield  # absent, or not to be read: what follows says so
            return
        try:
            until_s = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    # Not a blocking flock: a cancelled prune would wait for a stopped one.
                    if time.monotonic() >= until_s:
                        raise DirectoryBusy(
                            "another deletion in the directory does not end; it is kept",
                            path=directory,
                        ) from error
                    time.sleep(_TURN_POLL_S)
                except OSError:
                    break  # no locks on directories here (NFS): every rename is checked anyway
            yield
        finally:
            _unlock(fd)
            os.close(fd)

    def _lock(fd: int, path: Path) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another process holds it; it is kept", path=path) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            if error.errno == errno.EBADF:
                _let_go(fd)  # our own lease would stop us
                free = _lock_for_writing(path)
                _refuse_writers(fd, path)
                if free:
                    return
            _refuse_unlockable(path, error)

    def _lock_for_writing(path: Path) -> bool:
        """Try the lock on NFS, where it is given to who may write; say whether it is free."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SessionBusy("another process holds it; it is kept", path=path) from error
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def _refuse_unlockable(path: Path, error: OSError) -> None:
        # A closed file is not written: it needs no lock. Whether a WAL is, nobody can say.
        if path == path_paths(path).wal:
            raise PersistenceError(
                "this file system has no locks, so a writer would not show; it is kept: "
                "delete it by hand if nobody writes it",
                path=path,
            ) from error

    def _release(file: SessionFile) -> None:
        """Let go of the lock and the lease, said: a forked child may still have the file."""
        if file.fd >= 0:
            _let_go(file.fd)
        file.close()

    def _let_go(fd: int) -> None:
        # The lock before the lease: a writer that waits for the lease locks as soon as it is gone.
        _unlock(fd)
        if sys.platform == "linux":
            with suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def _unlock(fd: int) -> None:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _is_written(wal: Path) -> bool:
        """Say whether somebody has a WAL open for writing, or its lock."""
        try:
            file = SessionFile(wal)
        except OSError:
            return False
        try:
            written = _lease(file.fd, wal)
            if written is not None:
                return written  # without a lock, which a writer that is about to take it would meet
            fcntl.flock(file.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            _release(file)
        return False

    def _refuse_writers(fd: int, path: Path) -> None:
        """Take the lease: who opens the file for writing waits until it is let go."""
        if _lease(fd, path):
            raise SessionBusy("somebody has it open for writing", path=path)

    def _lease(fd: int, path: Path) -> bool | None:
        """Take a lease; say whether somebody has the file open for writing, None if none can."""
        # A read lease is given only while nobody has the file open for writing (fcntl(2)).
        if sys.platform != "linux":
            return None
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO would end this process
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            # EACCES: another owner's; EINVAL: a file system without leases. The lock stands.
            # A server that delegates no lease says EAGAIN too, whoever has the file.
            if error.errno == errno.EAGAIN and filesystem_type(path.parent) not in _SERVED:
                return True
            return None
        return False
