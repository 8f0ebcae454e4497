"""directory -> what a deletion that was killed has left aside, and where it belongs.

To delete a file its name is taken away first: ``<name>`` becomes ``.<name>.deleting``. Who is
killed in between leaves one file aside. A listing shows it, and the next prune, or deleting it
again, does with it what would have become of it without us.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sessiontail.errors import PersistenceError, SessionBusy
from sessiontail.format.plain import plain
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.leases import DirectoryBusy, lock, refuse_writers, release, turn
from sessiontail.system.paths import (
    SESSION_FILE_SUFFIX,
    SESSION_PARTIAL_SUFFIX,
    path_paths,
    split_name,
)
from sessiontail.system.renaming import rename_new

__all__ = [
    "TURN_WAIT_S",
    "Aside",
    "Settled",
    "aside_of",
    "finish_earlier",
    "is_at",
    "left_aside",
    "put_right",
    "restore",
    "settle",
]


_ASIDE_SUFFIX = ".deleting"


# What an earlier version called it: the process and the inode, not the name.
_NAMELESS = re.compile(r"[0-9]+-[0-9]+")


# Another deletion needs the directory for 0.1 ms a file; who has it for so long is stopped.
TURN_WAIT_S = 5.0


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

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: ``file`` and ``origin`` are where it lies and where it lay."""
        paths = {"file": plain(self.path), "origin": plain(self.origin)}
        return {**paths, "what": self.what, "done": self.done}

    @property
    def told(self) -> str:
        """The same, with what to do."""
        return str(self) if self.done else f"{self}: the next prune puts it right"


def left_aside(directory: Path) -> list[PersistenceError]:
    """Return the files that a deletion put aside and left, blocking, each with what to do."""
    if not _asides(directory):
        return []
    with suppress(DirectoryBusy), turn(directory, 1.0):
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
    with turn(directory, wait_s):
        for aside in _asides(directory):
            try:
                settled.append(put_right(aside))
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


def put_right(aside: Aside) -> Settled:
    """Give a file that was left aside its name back, or what else is due to it."""
    file = SessionFile(aside.path)
    try:
        held = False
        try:
            refuse_writers(file.fd, aside.origin)
            lock(file.fd, aside.origin)
        except PersistenceError:  # a writer, or no locks here: nobody knows
            held = True
        return restore(aside, file.stat(), held=held)
    finally:
        release(file)


def restore(aside: Aside, status: os.stat_result, *, held: bool) -> Settled:
    """Do with a file that lies aside what would have become of it without us.

    Args:
        aside: where it lies, and its name.
        status: its status.
        held: whether somebody writes it, or may.
    """
    path, origin = aside
    final = path_paths(origin).final
    if any(is_at(status, name) for name in (origin, final)):
        path.unlink()  # a second name: who gave it its name back was killed before this
        return Settled(*aside, "has its name already", done=True)
    # A WAL that the session left behind: continued now, it would be closed over what came later.
    outdated = origin != final and not held and is_later(final, status)
    if not outdated:
        with suppress(FileExistsError):
            rename_new(path, origin)
            return Settled(*aside, f"has its name back: {origin.name}", done=True)
    if held:
        why = f"{origin.name} is another file by now, and somebody may be writing this one"
        return Settled(*aside, f"stays aside: {why}", done=False)
    split = split_name(origin.name)
    if split is not None and not split[1] and is_later(origin, status):
        path.unlink()  # a closed file is only ever replaced: that would have deleted this one
        return Settled(*aside, f"is deleted: a later {origin.name} is in its place", done=True)
    # The other file was begun because the name was free: neither is to lose its lines.
    for own in _own_names(origin, status.st_ino):
        with suppress(FileExistsError):
            rename_new(path, own)
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


def is_at(status: os.stat_result, path: Path) -> bool:
    """Say whether a file is found under a name. Blocks."""
    try:
        return os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


def is_later(path: Path, status: os.stat_result) -> bool:
    """Say whether there is a file at ``path`` that was written after the other."""
    try:
        return path.lstat().st_mtime_ns >= status.st_mtime_ns
    except FileNotFoundError:
        return False


def finish_earlier(path: Path) -> None:
    """Put right what an earlier deletion of this file has left aside."""
    try:
        settled = put_right(Aside(aside_of(path), path))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR):
            return  # what follows says so of the file itself
        raise
    if not settled.done:
        raise SessionBusy(f"nothing was deleted: {settled}", path=path)
