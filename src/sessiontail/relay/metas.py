"""fields of a session's hash in Redis -> how the session stands.

Anybody may have written there: what cannot be is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

__all__ = ["FIELDS", "Meta", "meta_in"]

#: What is asked for, in this order.
FIELDS = ("generation", "lines", "bytes", "state", "why", "closed", "crc")

_STATES = ("live", "closed", "abandoned", "deleted")
_WHYS = ("begun", "replaced", "resumed", "back")
# What an id of a stream and an offset in a file can be.
_MOST = 2**62


class Meta(Struct, frozen=True, gc=False):
    """What Redis says of a session."""

    generation: int
    lines: int
    #: Of these lines.
    bytes: int
    #: live, closed, abandoned or deleted.
    state: str
    #: Why there is this generation: begun, replaced, resumed; or back, after a later one.
    why: str
    #: The closed file beside it, where the session was opened again.
    closed: Meta | None = None
    #: What these lines are summed up to (checksums).
    crc: int = 0


def meta_in(row: Sequence[bytes | None]) -> Meta | None:
    """Return what the fields say; None: there is no such session.

    Raises:
        ValueError: no relay has written that.
    """
    if row[0] is None:
        return None
    generation, lines, size, state, why, closed, crc = (field or b"" for field in row)
    beside: Meta | None = None
    if closed:
        at, of, length, total = map(int, closed.split())
        beside = _checked(Meta(at, of, length, "closed", "begun", crc=total))
    return _checked(
        Meta(
            int(generation),
            int(lines),
            int(size),
            state.decode(),
            why.decode(),
            beside,
            int(crc),
        )
    )


def _checked(meta: Meta) -> Meta:
    if not (
        0 < meta.generation < _MOST
        and 0 <= meta.lines <= meta.bytes < _MOST
        and 0 <= meta.crc < 2**32
        and meta.state in _STATES
        and meta.why in _WHYS
    ):
        raise ValueError("no relay has written that")
    return meta
