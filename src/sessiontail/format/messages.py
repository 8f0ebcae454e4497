"""records of a session -> OpenAI's chat form, a JSON array, piece by piece.

One message a row; what is no row has no place there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sessiontail.format.dumping import dump
from sessiontail.format.facts import Facts
from sessiontail.format.inert import inert_json
from sessiontail.format.records import Chunk, Header, Record

__all__ = ["Messages", "message_text"]


def message_text(chunk: Chunk) -> str:
    """Return a row as a message: JSON on one line, which any output can take."""
    return inert_json(dump(chunk.to_message()))


class Messages:
    """Writes the messages of one session."""

    def __init__(self) -> None:
        self._written = 0

    def begin(self, header: Header | None, facts: Facts) -> Iterator[str]:  # noqa: ARG002 - as other forms
        """Begin; nothing of it has a place in this form."""
        yield from ()

    def left_out(self, rows: int, origin: str) -> Iterator[str]:  # noqa: ARG002 - as other forms
        """Say that rows are left out; it has no place in this form."""
        yield from ()

    def take(self, records: Iterable[Record]) -> Iterator[str]:
        """Yield the next messages."""
        for record in records:
            if isinstance(record, Chunk):
                yield ("[\n" if not self._written else ",\n") + message_text(record)
                self._written += 1

    def end(self, torn_bytes: int) -> Iterator[str]:  # noqa: ARG002 - as other forms
        """Yield the end of the array."""
        yield "\n]\n" if self._written else "[]\n"
