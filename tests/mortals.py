"""A deletion that dies at every step, with the world beside it: what is left, and is it put right?

Runs in a process of its own, which forks a child for each life. The interpreter's audit events are
the steps: one comes before each system call that opens, locks, leases, renames or removes. At step
``act_at`` the world does something, at step ``die_at`` the child kills itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import PersistenceError
from sessiontail.directory.names import session_names
from sessiontail.directory.plan import PruneDecision
from sessiontail.directory.prune import apply
from sessiontail.session.asides import left_aside, settle
from sessiontail.session.deleting import delete_both, delete_file
from sessiontail.session.summary import read_meta
from sessiontail.system import renaming
from sessiontail.system.locks import LockTable
from sessiontail.system.paths import SessionPaths, session_paths

STEPS = {"open", "fcntl.flock", "fcntl.fcntl", "os.rename", "os.remove", "os.link", "os.listdir"}
OLD, NEW = "what was there before", "what somebody wrote meanwhile"


# --- the child


def delete_wal(paths: SessionPaths) -> object:
    return delete_file(paths.wal)


def delete_final(paths: SessionPaths) -> object:
    return delete_file(paths.final)


def prune(paths: SessionPaths) -> object:
    """Apply a plan that was made before the world came."""
    return apply(_plans[paths], settle_in=paths.directory)


_plans: dict[SessionPaths, list[PruneDecision]] = {}
DEEDS: dict[str, Callable[[SessionPaths], object]] = {
    "delete": delete_both,
    "delete_wal": delete_wal,
    "delete_final": delete_final,
    "prune": prune,
}


def live(deed: str, paths: SessionPaths, at: tuple[int, int], tell: int, go: int) -> None:
    """Do the deed; tell "a" where the world is to act, "r" before a removal, "." for a step."""
    act_at, die_at = at
    step = 0
    armed = False

    def hook(event: str, _: tuple[object, ...]) -> None:
        nonlocal step, armed
        if not armed or event not in STEPS:
            return
        if step == act_at:
            os.write(tell, b"a")
            os.read(go, 1)
        if step == die_at:
            armed = False
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(tell, b"r" if event == "os.remove" else b".")
        step += 1

    sys.addaudithook(hook)
    armed = True
    with suppress(PersistenceError):
        DEEDS[deed](paths)
    armed = False
    os.write(tell, b"e")


# --- the world


class Resumed:
    """A writer that opens the WAL, locks it and writes a line; it is closed later."""

    def __init__(self, paths: SessionPaths, beside: int) -> None:
        told, tell = os.pipe()
        finish, self._finish = os.pipe()
        self._told = told
        self._answer = b""
        self._pid = os.fork()
        if not self._pid:
            os.close(self._finish)
            try:
                self._write(paths, tell, finish)
            finally:
                os._exit(0)
        os.close(tell)
        os.close(finish)
        os.set_blocking(told, False)
        while not self._hear() and not breaks_lease_of(beside):
            pass

    @staticmethod
    def _write(paths: SessionPaths, tell: int, finish: int) -> None:
        with paths.wal.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.write(tell, b"refused")
                return
            file.write(header_line() + chunk_line(0, NEW))
            file.flush()
            os.write(tell, b"written")
            os.read(finish, 1)
            file.write(trailer_line(1))
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)
        with suppress(FileNotFoundError):
            paths.wal.replace(paths.final)

    def _hear(self) -> bytes:
        with suppress(BlockingIOError):
            self._answer += os.read(self._told, 100)
        return self._answer

    def settled(self) -> bool:
        """Wait for its answer, once nobody stands in its way; say whether it has written."""
        os.set_blocking(self._told, True)
        while not self._answer:
            self._hear()
        return self._answer == b"written"

    @property
    def refused(self) -> bool:
        """Whether it met a lock, known once it is settled."""
        return self._answer == b"refused"

    def end(self) -> None:
        os.close(self._finish)
        os.waitpid(self._pid, 0)
        os.close(self._told)


def breaks_lease_of(pid: int) -> bool:
    lines = Path("/proc/locks").read_bytes().splitlines()
    return any(b"BREAKING" in line and b" %d " % pid in line for line in lines)


def closed(paths: SessionPaths, _: int) -> bool:
    """Another session of this id was written beside, and is closed onto the name."""
    return replaced_at(paths, paths.final)


def exchanged(paths: SessionPaths, _: int) -> bool:
    """Another file gets the WAL's name, whatever had it."""
    return replaced_at(paths, paths.wal)


def replaced_at(paths: SessionPaths, path: Path) -> bool:
    other = paths.directory / "other"
    other.write_bytes(header_line() + chunk_line(0, NEW) + trailer_line(1))
    other.replace(path)
    return True


def created(paths: SessionPaths, _: int) -> bool:
    """A new WAL where none is, by a writer that is gone again."""
    try:
        with paths.wal.open("xb") as file:
            file.write(header_line() + chunk_line(0, NEW))
    except FileExistsError:
        return False
    return True


WORLDS: dict[str, Callable[[SessionPaths, int], bool]] = {
    "nothing": lambda _paths, _pid: False,
    "closed": closed,
    "exchanged": exchanged,
    "created": created,
}


# --- one life


def directory(root: Path) -> SessionPaths:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    paths = session_paths(ID, root)
    paths.final.write_bytes(session_bytes(1))
    paths.wal.write_bytes(header_line() + chunk_line(0, OLD))
    os.utime(paths.final, (1, 1))
    os.utime(paths.wal, (2, 2))
    locks = LockTable(b"")
    _plans.clear()
    _plans[paths] = [
        PruneDecision(read_meta(path, locks)[0], "") for path in (paths.wal, paths.final)
    ]
    return paths


def one_life(
    root: Path, deed: str, world: str, act_at: int, die_at: int
) -> tuple[list[str], int | None]:
    """Return what went wrong, and how many steps it took if the child came to its end."""
    paths = directory(root)
    told, tell = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            live(deed, paths, (act_at, die_at), tell, wait)
        finally:
            os._exit(0)
    os.close(tell)
    os.close(wait)
    seen = b""
    writer: Resumed | None = None
    wrote = False
    while data := os.read(told, 1):
        seen += data
        if data == b"a":
            if world == "resumed":
                writer = Resumed(paths, pid)
            else:
                wrote = WORLDS[world](paths, pid)
            os.write(go, b"g")
    os.close(told)
    os.close(go)
    os.waitpid(pid, 0)
    if writer is not None:
        wrote = writer.settled()
    late = bool((act_at + die_at) % 2)  # whether the writer ends before all is put right
    faults = judge(paths, deed, world, seen=seen, writer=writer, wrote=wrote, late=late)
    return list(faults), seen.count(b".") + seen.count(b"r") if seen.endswith(b"e") else None


def judge(
    paths: SessionPaths,
    deed: str,
    world: str,
    *,
    seen: bytes,
    writer: Resumed | None,
    wrote: bool,
    late: bool,
) -> Iterator[str]:
    root = paths.directory
    shown = {*session_names(root), *(error.path.name for error in left_aside(root) if error.path)}
    if hidden := {path.name for path in root.iterdir()} - shown:
        yield f"no listing shows {hidden}"
    if b"r" not in seen and OLD not in texts(root) and world != "exchanged":
        yield "the old WAL is lost, and nobody removed it"
    if writer is not None and writer.refused:
        yield "a writer was refused that opened its WAL beside us"
    if writer is not None and late:
        settle(root)
    if writer is not None:
        writer.end()
    if unsettled := [str(one) for one in settle(root) if not one.done]:
        yield f"not put right: {unsettled}"
    if left := left_aside(root):
        yield f"still aside: {left}"
    # Of an id, what was complete before the last look goes too; of a plan, only what it knew.
    counts = wrote and (world == "resumed" or deed == "prune")
    if counts and NEW not in texts(root):
        yield "what the other wrote is lost"
    delete_both(paths)
    if rest := [name for name in session_names(root) if name in (paths.wal.name, paths.final.name)]:
        yield f"cannot be deleted: {rest}"


def texts(root: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(root.iterdir()))


def all_lives(root: Path, deed: str, world: str) -> tuple[int, list[str]]:
    """Live with the world at each step and death at each step after it."""
    lives, faults = 0, []
    act_at = 0
    while True:
        die_at = act_at
        while True:
            wrong, steps = one_life(root, deed, world, act_at, die_at)
            lives += 1
            faults += [f"{deed}, {world} at {act_at}, killed at {die_at}: {one}" for one in wrong]
            if steps is not None:
                break
            die_at += 1
        if act_at > steps or world == "nothing":
            return lives, faults
        act_at += 1


if __name__ == "__main__":
    if sys.argv[4:] == ["link"]:
        setattr(renaming, "_renameat2", lambda _old, _new: False)  # noqa: B010 - mypy
    sys.stdout.write(json.dumps(all_lives(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
