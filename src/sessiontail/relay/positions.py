"""what Redis has of a host's sessions -> where its relay goes on.

A session's position lies beside its lines and changes with them, so both are of one moment, also
in a Redis that came back from an older state. What is done with is known by the key of its file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct, structs
from redis.asyncio import Redis

from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import Position
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.format.ended import EndedSessions
from sessiontail.relay.connecting import call
from sessiontail.relay.entries import Keys
from sessiontail.relay.scripts import KNOWN

__all__ = ["Known", "Stored", "read_stored", "store_ended"]

# Sessions that are asked for, or stored, in one step: 1 ms of Redis' time.
_AT_ONCE = 500
# Bytes of what stands for a file that is done with (format/ended).
_KEY_BYTES = 22


class Known(Struct, frozen=True, gc=False):
    """What Redis has of a session."""

    generation: int
    lines: int
    #: Bytes of these lines in the file.
    bytes: int
    #: live, closed, abandoned; or lost, where its lines are gone.
    state: str
    #: The closed file beside it, where the session was opened again.
    closed: Known | None = None
    #: What these lines are summed up to (checksums).
    crc: int = 0


class Stored(Struct, gc=False):
    """What Redis has of a host."""

    sessions: dict[str, Known]
    #: Of those that are not closed, and were read.
    positions: dict[str, Position]
    ended: dict[str, bytes]
    #: Whether the first look is stored whole; else nothing was published.
    begun: bool

    @property
    def skipped(self) -> dict[str, bytes]:
        """What was closed before the first look, and is not wanted."""
        return {stem: key for stem, key in self.ended.items() if not self._is_published(stem)}

    def _is_published(self, stem: str) -> bool:
        known = self.sessions.get(stem)
        return known is not None and (known.state == "closed" or known.closed is not None)

    def cursor(
        self, skipped: Mapping[str, bytes] | None, *, anew: Collection[str] = ()
    ) -> str | None:
        """Return the directory cursor to go on from; None: this is the first look.

        Args:
            skipped: files that are not wanted, though Redis may have forgotten them; None: no
                look was taken yet.
            anew: sessions whose files are to be read from their start.
        """
        if skipped is None:
            return None
        ended = EndedSessions()
        for stem, key in {**skipped, **self.ended}.items():
            if stem not in anew or not self._is_published(stem):
                ended.add(stem, key)
        positions = {stem: at for stem, at in self.positions.items() if stem not in anew}
        return DirectoryPosition(positions, ended).encode()


async def read_stored(client: Redis, keys: Keys, host: str) -> Stored:
    """Read what Redis has of a host's sessions."""
    begun = await call(client.hget(keys.of(host, "info"), "begun"))
    stored = Stored({}, {}, {}, begun is not None)
    names = await call(client.zrange(keys.of(host, "sessions"), 0, -1))
    stems = [os.fsdecode(name) for name in names]
    for first in range(0, len(stems), _AT_ONCE):
        some = stems[first : first + _AT_ONCE]
        asked = [
            key
            for stem in some
            for key in (
                keys.session(host, stem), keys.lines(host, stem), keys.closed(host, stem),
            )
        ]  # fmt: skip
        rows = await call(client.eval(KNOWN, len(asked), *asked))
        for stem, row in zip(some, rows, strict=True):
            _take(stored, stem, row)
    ended = await call(client.hgetall(keys.of(host, "ended")))
    for name, key in ended.items():
        known = stored.sessions.get(os.fsdecode(name))
        # Where the lines of a closed session are gone, its file is read again.
        if len(key) == _KEY_BYTES and (known is None or known.state != "lost"):
            stored.ended[os.fsdecode(name)] = key
    return stored


def _take(stored: Stored, stem: str, row: list[Any]) -> None:
    generation, lines, size, state, token, closed, crc, there, beside = row
    if generation is None or lines is None:
        return
    try:
        known = Known(
            int(generation),
            int(lines),
            int(size or 0),
            (state or b"live").decode(),
            crc=int(crc or 0),
        )
        if closed is not None:
            at, of, length, total = map(int, closed.split())
            beside_it = Known(at, of, length, "closed", crc=total)
            known = structs.replace(known, closed=beside_it)
    except (TypeError, ValueError):
        # Somebody else wrote there; the script compares what it is told with just that.
        return
    try:
        position = Position.decode((token or b"").decode())
    except (CursorInvalid, UnicodeDecodeError):
        position = None
    lost = known.lines != there or (known.closed is not None and known.closed.lines != beside)
    if known.state != "closed" and known.lines:
        # Somebody else wrote there.
        lost = lost or position is None or position.offset != known.bytes
    if lost:
        known = structs.replace(known, state="lost", closed=None)
    elif known.state != "closed" and known.lines and position is not None:
        stored.positions[stem] = position
    stored.sessions[stem] = known


async def store_ended(client: Redis, keys: Keys, host: str, ended: Mapping[str, bytes]) -> None:
    """Store the first look: the files that are done with before anything is published."""
    items = [*ended.items()]
    for first in range(0, len(items), _AT_ONCE):
        some = items[first : first + _AT_ONCE]
        fields = [part for stem, key in some for part in (os.fsencode(stem), key)]
        await call(client.hset(keys.of(host, "ended"), items=fields))
    await call(client.hset(keys.of(host, "info"), "begun", "1"))
