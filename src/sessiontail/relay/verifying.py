"""files, and what Redis has of them -> the sessions that are to be published anew.

A file that is exchanged, or rewritten where it lies, is told by its number, or by its first bytes
and the last that were read. One that is the same in all that, and not in between, is found here: it
is summed up whole, once it is quiet and its stamp is not the one that it had when that was done last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import anyio
from msgspec import Struct, field
from redis.asyncio import Redis

from sessiontail.format.ended import EndedSessions
from sessiontail.format.lifecycle import EventKind
from sessiontail.relay.checksums import sum_file
from sessiontail.relay.connecting import call
from sessiontail.relay.outgoing import Outgoing
from sessiontail.relay.positions import Known
from sessiontail.system.files import in_thread
from sessiontail.system.paths import stem_paths
from sessiontail.system.stamps import stamp_bytes

__all__ = ["begin_anew", "is_as_published", "watch_content"]

_LOOK_S = 5.0
# Each so many looks also at what is closed, of which there may be 100,000: 0.3 s.
_LOOKS = 12
# What is read in one look: 50 ms of a thread.
_LOOK_BYTES = 64 * 1024 * 1024

_RUNNING = ("live", "abandoned")


class _Stamps(Struct, gc=False):
    """Of the files of sessions, by stem."""

    seen: dict[str, bytes] = field(default_factory=dict)
    #: As they were when they were as published.
    fit: dict[str, bytes] = field(default_factory=dict)


async def begin_anew(
    client: Redis, outgoing: Outgoing, changed: set[str], well: Callable[[], None]
) -> None:
    """Have Redis drop what it has of sessions, now: whatever ends the connection, that is done.

    Args:
        client: of Redis.
        outgoing: knows what Redis has.
        changed: which; those that are done are taken out.
        well: called where Redis has done one.

    Raises:
        OSError, redis.RedisError: Redis is lost, or refuses.
    """
    for stem in [*changed]:
        change = outgoing.event(stem, EventKind.REPLACED, None)
        if change is not None:
            arguments = (*change.keys, *change.arguments)
            await call(client.eval(change.script, len(change.keys), *arguments))
            well()
        changed.discard(stem)


async def is_as_published(directory: Path, stem: str, known: Known) -> bool:
    """Say whether a session's file has what Redis has; also where it has none that can be read.

    What is closed, or lost, for Redis already, is left to others.
    """
    if known.state not in _RUNNING:
        return True
    found: bool = await in_thread(
        _fits, _names(directory, stem, known), known, place=str(directory)
    )
    return found


async def watch_content(
    directory: Path, outgoing: Outgoing, ended_key: Callable[[str], bytes | None]
) -> set[str]:
    """Look now and then, until there are sessions whose files have something else; return these.

    Args:
        directory: of the files.
        outgoing: knows what Redis has.
        ended_key: what stands for a closed file.
    """
    stamps = _Stamps()
    for look in count():
        states = _RUNNING if look % _LOOKS else (*_RUNNING, "closed")
        asked = {stem: one for stem, one in outgoing.known.items() if one.state in states}
        keys = {stem: ended_key(stem) for stem, one in asked.items() if one.state == "closed"}
        differ = await in_thread(_look, directory, asked, keys, stamps, place=str(directory))
        # What was read of it meanwhile may be of another file already.
        changed = {stem for stem in differ if outgoing.known.get(stem) is asked[stem]}
        if changed:
            return changed
        await anyio.sleep(_LOOK_S)
    raise AssertionError  # it counts for ever


def _look(
    directory: Path,
    asked: Mapping[str, Known],
    keys: Mapping[str, bytes | None],
    stamps: _Stamps,
) -> list[str]:
    """Return those whose files have something else than Redis."""
    differ: list[str] = []
    left = _LOOK_BYTES
    for stem, known in asked.items():
        names = _names(directory, stem, known)
        statuses = []
        for name in names:
            with suppress(OSError):
                statuses.append(name.stat())
        stamp = b"".join(map(stamp_bytes, statuses))
        if not stamp or stamps.fit.get(stem) == stamp:
            continue
        if known.state == "closed":
            key, status = keys[stem], statuses[0]
            # It was compared before Redis was told that it is closed.
            if key and EndedSessions.same_stamp(key, status.st_size, status.st_mtime_ns):
                continue
        elif stamps.seen.get(stem) != stamp:
            stamps.seen[stem] = stamp
            continue  # it is being written
        if left <= 0:
            break
        left -= known.bytes
        if _fits(names, known) and (
            known.closed is None or _fits(_names(directory, stem, known.closed), known.closed)
        ):
            stamps.fit[stem] = stamp
        else:
            differ.append(stem)
    return differ


def _names(directory: Path, stem: str, known: Known) -> list[Path]:
    """Return where the file may be: one that runs may be closed by now."""
    paths = stem_paths(stem, directory)
    return [paths.final] if known.state == "closed" else [paths.wal, paths.final]


def _fits(names: list[Path], known: Known) -> bool:
    there = False
    for name in names:
        try:
            if sum_file(name, known.bytes) == known.crc:
                return True
            there = True
        except OSError:
            continue  # it is gone, of which others tell, or cannot be read
    return not there
