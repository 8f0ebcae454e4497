"""what is read of a directory -> the changes that Redis is asked for, in order.

It knows what Redis will have once all that was asked for is done. Nothing here waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec import Struct, structs

from sessiontail.format.batch import Batch
from sessiontail.format.cursor import Position
from sessiontail.format.framing import Block
from sessiontail.format.lifecycle import EventKind
from sessiontail.format.records import Header
from sessiontail.relay.checksums import sum_block
from sessiontail.relay.entries import Keys, fields_of
from sessiontail.relay.positions import Known
from sessiontail.relay.scripts import APPEND

__all__ = ["Behind", "Change", "Outgoing"]


class Behind(Exception):
    """Redis and the relay do not agree: what Redis has is to be read anew."""


class Change(Struct, frozen=True, gc=False):
    """One call of a script."""

    script: str
    keys: list[str | bytes]
    arguments: list[str | bytes | int]
    #: Bytes of lines in it.
    size: int


class Outgoing:
    """Makes changes of what is read.

    Args:
        keys: of the prefix.
        host: the name of this relay.
        token: that its lock has.
        known: what Redis has; kept up to date.
        latest: the last generation of each session that this process has published: a Redis that
            came back from an older state may not know it.
        expire_s: how long Redis keeps what was deleted.
        now_ms: the time since 1970.
    """

    def __init__(
        self,
        keys: Keys,
        host: str,
        token: bytes,
        known: dict[str, Known],
        latest: dict[str, int],
        *,
        expire_s: int,
        now_ms: Callable[[], int],
    ) -> None:
        self.known = known
        self._keys = keys
        self._host = host
        self._token = token
        self._latest = latest
        self._expire_s = expire_s
        self._now_ms = now_ms

    def lines(self, stem: str, batch: Batch, position: Position) -> Change:
        """Return the change that publishes whole lines.

        Args:
            stem: of whose file.
            batch: what was read; a block of it is in no other batch.
            position: behind them.

        Raises:
            Behind: they do not follow what Redis has.
        """
        before = self.known.get(stem)
        fields: dict[str, str | int] = {}
        event = beside = ended_key = ""
        closed = None if before is None else before.closed
        block, start = batch.block, batch.start
        goes_on = before is not None and before.state != "lost" and start.offset == before.bytes
        if goes_on and before is not None and not (before.state == "closed" and not start.offset):
            generation, first, size = before.generation, before.lines + 1, before.bytes
            crc = before.crc
            if before.state != "live":
                event = "resumed"
            if before.state == "closed":
                ended_key = "-"
        elif start.offset:
            raise Behind
        else:
            generation, first, size, crc = self._next_generation(stem), 1, 0, 0
            event, why = self._begins(stem, before)
            fields["why"] = why
            closed, ended_key = None, "" if before is None else "-"
            if before is not None and before.state == "closed":
                closed, beside = before, "aside"
                fields["closed"] = f"{closed.generation} {closed.lines} {closed.bytes} {closed.crc}"
        if (start.lines is not None and start.lines != first - 1) or block.offset != start.offset:
            raise Behind
        created = ""
        for record in batch.records if first == 1 else ():
            if isinstance(record, Header):
                created = str(int(1000 * record.created_at.timestamp()))
                fields["id"], fields["created"] = str(record.id), record.created_at.isoformat()
                break
        length = len(block.data) if isinstance(block, Block) else block.length
        count = block.lines if isinstance(block, Block) else 1
        crc = sum_block(block, crc)
        after = Known(generation, first - 1 + count, size + length, "live", closed, crc)
        fields["position"] = position.encode()
        lines = [part for pair in fields_of(block) for part in pair]
        return self._change(
            stem, before, after, fields, event=event, created=created, first=first, lines=lines,
            closed=beside, ended_key=ended_key,
        )  # fmt: skip

    def event(self, stem: str, kind: EventKind, ended_key: bytes | None) -> Change | None:
        """Return the change that says how a session's file ended; None: Redis knows.

        Args:
            stem: of which file.
            kind: closed, abandoned, deleted or replaced.
            ended_key: what stands for a closed file.
        """
        before = self.known.get(stem)
        if before is None:
            return None
        if kind is EventKind.REPLACED and before.closed is not None:
            # The new file is gone, or another one, whose lines come as those of one more.
            fields: dict[str, str | int] = {"why": "back"}
            return self._change(
                stem, before, before.closed, fields, event="replaced", closed="back"
            )
        if kind is EventKind.REPLACED:
            after = Known(self._next_generation(stem), 0, 0, "live")
            return self._change(
                stem, before, after, {"why": "replaced"}, event="replaced", ended_key="-"
            )
        if before.state in (kind, "lost") and kind is not EventKind.DELETED:
            return None
        closed = before.closed if kind is EventKind.ABANDONED else None
        after = structs.replace(before, state=kind.value, closed=closed)
        key = "" if kind is EventKind.ABANDONED else ended_key or "-"
        change = self._change(stem, before, after, {}, event=kind.value, ended_key=key)
        if kind is EventKind.DELETED:
            del self.known[stem]
        return change

    def alone(self, stem: str) -> Change:
        """Return the change that says that the closed file beside a session is gone."""
        before = self.known[stem]
        return self._change(stem, before, structs.replace(before, closed=None), {}, ended_key="-")

    def _begins(self, stem: str, before: Known | None) -> tuple[str, str]:
        """Return what a new generation tells, and why there is one."""
        if before is None:
            return "started", "begun"
        if before.state == "closed":
            return "resumed", "resumed"
        if before.state == "lost" or self._latest.get(stem, 0) > before.generation:
            return "", "begun"  # it was told already
        return "replaced", "replaced"

    def _next_generation(self, stem: str) -> int:
        before = self.known.get(stem)
        last = max(before.generation if before else 0, self._latest.get(stem, 0))
        return max(last + 1, self._now_ms())

    def _change(
        self,
        stem: str,
        before: Known | None,
        after: Known,
        fields: dict[str, str | int],
        *,
        event: str = "",
        created: str = "",
        ended_key: bytes | str = "",
        closed: str = "",
        first: int | None = None,
        lines: list[bytes] | None = None,
    ) -> Change:
        keys, host, name = self._keys, self._host, os.fsencode(stem)
        fields["bytes"], fields["state"], fields["crc"] = after.bytes, after.state, after.crc
        if event in ("started", "replaced") or before is None:
            fields["host"] = host
        self.known[stem] = after
        self._latest[stem] = max(after.generation, self._latest.get(stem, 0))
        pairs = [part for pair in fields.items() for part in pair]
        return Change(
            APPEND,
            [
                keys.of(host, "lock"),
                keys.session(host, stem),
                keys.lines(host, stem),
                keys.of(host, "sessions"),
                keys.of(host, "ended"),
                keys.events,
                keys.marks,
                keys.count,
                keys.closed(host, stem),
            ],
            [
                self._token,
                host,
                name,
                "" if before is None else before.generation,
                "" if before is None else before.lines,
                after.generation,
                after.lines + 1 if first is None else first,
                event,
                created,
                ended_key,
                self._expire_s,
                closed or ("keep" if after.closed else ""),
                len(fields),
                *pairs,
                *(lines or ()),
            ],
            sum(map(len, lines or ())),
        )
