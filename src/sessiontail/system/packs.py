"""names with a stamp and a value each <-> few entries of the cache. Blocks.

For what is read whole, and written seldom: a thousand in one take a quarter of the time to read, and
a tenth to write. Of two processes that write at once, some names may be there twice, or not at all:
what is there is proven by its stamp.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sessiontail.system.cache import Cache

__all__ = ["Pack"]

# Names in one entry: some 0.5 ms to decode, while no other thread runs.
_AT_ONCE = 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes]]).decode


class Pack:
    """What is kept of the files of one directory.

    Args:
        kind: what the values are, with a number: another one for another form or meaning.
        directory: where the files lie.
    """

    def __init__(self, kind: str, directory: str) -> None:
        self._kind = kind
        self._directory = directory
        self._there: set[str] = set()

    def read(self) -> dict[str, tuple[bytes, bytes]] | None:
        """Return stamp and value by name; None where there is no cache."""
        cache = _cache()
        if cache.is_off:
            return None
        found: dict[str, tuple[bytes, bytes]] = {}
        for number, (_, data) in cache.read(self._kind, self._directory).items():
            self._there.add(number)
            with suppress(msgspec.DecodeError):  # then all of it is read anew
                found.update((name, (stamp, value)) for name, stamp, value in _decode(data))
        return found

    def write(self, entries: dict[str, tuple[bytes, bytes]]) -> None:
        """Keep these instead of all that were read; not those whose name is no text."""
        them = [(name, *one) for name, one in entries.items() if _is_text(name)]
        packs = {
            str(i): (b"", _encode(them[i : i + _AT_ONCE])) for i in range(0, len(them), _AT_ONCE)
        }
        _cache().write(self._kind, self._directory, packs, self._there - packs.keys())


def _is_text(name: str) -> bool:
    return name.isascii() or name == name.encode(errors="ignore").decode()


def _cache() -> Cache:
    from sessiontail.system.cache import Cache  # noqa: PLC0415 - to load SQLite takes 2 ms

    return Cache()
