"""directory -> what kind of file system it lies on: whether calls may hang, and events tell all.

Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from sessiontail.system.calls import Call
from sessiontail.urls import is_url

__all__ = ["Mount", "filesystem_type", "look_up", "mount_of"]

# File systems whose every call may wait for another machine, or for another process.
_REMOTE = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "fuseblk", "gfs2", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "vboxsf", "virtiofs",
}  # fmt: skip
# Those that others change behind this kernel's back, or that lose events.
_UNWATCHABLE = _REMOTE | {"overlay"}

# Who mounts something else under a directory that is read, is noticed after so long.
_KNOWN_S = 10.0
_MOST_KNOWN = 1000


class Mount(NamedTuple):
    """What a directory lies on."""

    #: The type of the file system; "" if unknown.
    kind: str
    #: Whether a call may hang, even one that only looks.
    remote: bool
    #: Whether inotify tells all that changes.
    watchable: bool

    @property
    def same_clock(self) -> bool:
        """Whether the times of its files are by this kernel's clock."""
        return bool(self.kind) and not self.remote


async def mount_of(directory: Path | str) -> Mount:
    """Return what a directory lies on, or would; asked in a thread, and remembered for 10 s."""
    place = str(directory)
    known = _known.get(place)
    if known is not None and time.monotonic() - known[1] < _KNOWN_S:
        return known[0]
    return await Call(f"surveys of {place}", _remember, place).wait()


_known: dict[str, tuple[Mount, float]] = {}


def _remember(place: str) -> Mount:
    # In the thread: who is cancelled meanwhile, and tries again, finds it.
    mount = look_up(place)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[place] = mount, time.monotonic()
    return mount


def look_up(directory: str) -> Mount:
    """Return what a directory lies on, blocking."""
    if is_url(directory):
        return Mount("bucket", remote=True, watchable=False)
    kind = filesystem_type(directory)
    of_fuse = kind.startswith("fuse.")
    return Mount(kind, kind in _REMOTE or of_fuse, not (kind in _UNWATCHABLE or of_fuse))


def filesystem_type(path: Path | str) -> str:
    """Return the type of the file system that ``path`` lies or would lie on; "" if unknown."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return ""
    place = os.fsencode(os.path.realpath(path))
    best, kind = -1, b""
    for line in mounts:
        before, _, after = line.partition(b" - ")
        point = _OCTAL.sub(lambda escape: bytes([int(escape[1], 8)]), before.split(b" ")[4])
        inside = place == point or place.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= best:
            best, kind = len(point), after.split(b" ")[0]
    return kind.decode("ascii", "replace")


_OCTAL = re.compile(rb"\\([0-7]{3})")
