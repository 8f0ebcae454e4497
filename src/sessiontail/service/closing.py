"""a connection's transport -> one whose close destroys nothing that was sent on it.

A socket that is closed while bytes of its client wait unread resets the connection, and what the client
has not read by then is gone: the very answer that says what was wrong with these bytes. So our half is
ended alone, and what still comes is dropped until the client ends its own. Who owns the connection says
for how long; here it is bounded in size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["MOST_DROPPED_BYTES", "SoftTransport"]

#: So much is dropped. Four times the largest body that is taken from anybody (``/mcp``).
MOST_DROPPED_BYTES = 16 * 1024 * 1024

# What is only dropped is read in larger pieces.
_READ_BYTES = 256 * 1024


class SoftTransport(asyncio.Transport):
    """What a protocol writes to.

    Args:
        inner: the connection's own.
        is_unread: says whether the client may have sent what nobody has read, or will.
        on_linger: called when the protocol has closed it and the client may still be sending: from then
            on what comes is to be given to ``drop``.
    """

    __slots__ = ("_dropped", "_inner", "_is_unread", "_on_linger", "lingers")

    def __init__(
        self,
        inner: asyncio.Transport,
        is_unread: Callable[[], bool],
        on_linger: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._is_unread = is_unread
        self._on_linger = on_linger
        self._dropped = 0
        #: Whether it is closed, but for what the client still sends.
        self.lingers = False

    def close(self) -> None:
        """Send what was written, then end our half, and all of it once the client has ended its own."""
        if self.is_closing():
            return
        if not self._is_unread():
            self._inner.close()
            return
        try:
            self._inner.write_eof()
        except OSError:  # the client is gone already
            self._inner.abort()
            return
        self.lingers = True
        self._inner.max_size = _READ_BYTES  # type: ignore[attr-defined] # what asyncio's own have
        self._inner.resume_reading()
        self._on_linger()

    def drop(self, size: int) -> None:
        """Count bytes that came and are dropped; who sends too many is cut."""
        self._dropped += size
        if self._dropped > MOST_DROPPED_BYTES:
            self._inner.abort()

    def is_closing(self) -> bool:
        """Say whether it was closed."""
        return self.lingers or self._inner.is_closing()

    def abort(self) -> None:
        """End the connection at once; what was not sent is dropped."""
        self._inner.abort()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes, when the client takes them; once it is closed, none."""
        if not self.lingers:
            self._inner.write(data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were not sent yet."""
        return self._inner.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Let what comes wait."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Take again what comes."""
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self._inner.get_extra_info(name, default)
