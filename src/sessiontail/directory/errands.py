"""some files and a question -> their matches, brought bit by bit. Blocks: for threads."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

from sessiontail.session.asking import Match, Question
from sessiontail.session.searching import Seen, search_file
from sessiontail.system.haystack import Haystack

__all__ = ["Brought", "Errand"]

# What is brought at once: so many matches, or so many letters of them, or of so many bytes.
_MOST_MATCHES = 256
_MOST_CHARS = 1024 * 1024
_MOST_BYTES = 32 * 1024 * 1024


class Brought(NamedTuple):
    """What one thread brings."""

    matches: list[Match]
    #: How many bytes were searched for these.
    bytes: int
    #: Whether that was all.
    done: bool


class Errand:
    """Some files that one thread searches, one after the other, with pauses."""

    def __init__(
        self, paths: list[str], question: Question, haystack: Haystack, seen: Seen
    ) -> None:
        self.haystack = haystack
        self._seen = seen
        self._way = _through(paths, question, haystack, seen)

    def go_on(self) -> Brought:
        """Search on until there is enough to bring. Blocks."""
        matches: list[Match] = []
        chars = size = 0
        for one in self._way:
            if isinstance(one, Match):
                matches.append(one)
                chars += len(one.text)
            else:
                size += one
            if (
                self._seen.stopped
                or len(matches) >= _MOST_MATCHES
                or chars >= _MOST_CHARS
                or size >= _MOST_BYTES
            ):
                return Brought(matches, size, done=False)
        return Brought(matches, size, done=True)

    def close(self) -> None:
        """Leave the file that is open; when it does not go on any more."""
        self._way.close()


def _through(
    paths: Sequence[str], question: Question, haystack: Haystack, seen: Seen
) -> Generator[Match | int]:
    for path in paths:
        yield from search_file(path, question, haystack, seen)
