"""one file and a pattern -> its matches, in file order. Blocks: for threads.

Candidates are found in the bytes, many lines at a time; only lines that can match are decoded, by
the same decoder as everywhere. Where a candidate cannot be told by its bytes every line is decoded:
a pattern without needles, damaged lines that are wanted, a file that does not begin with a header of
today's version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from sessiontail.errors import DamagedSession, PersistenceError
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block, LineFramer, LongLine
from sessiontail.format.inheritance import may_inherit
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Chunk, Damage, Header, Record
from sessiontail.session.asking import Match, Question, matches_of
from sessiontail.session.candidates import Candidates
from sessiontail.session.ends import no_header
from sessiontail.session.lines import items_of, newlines
from sessiontail.system.files import SessionFile, explain
from sessiontail.system.haystack import Haystack
from sessiontail.system.paths import WAL_ENDING, id_in_name, path_paths
from sessiontail.system.stamps import FileId
from sessiontail.urls import as_path

__all__ = ["Seen", "search_file"]


@dataclass
class Seen:
    """What a search has met so far; threads share it."""

    #: Which files, and under which name.
    files: dict[FileId, str] = field(default_factory=dict)
    #: Files that could not be read.
    failed: list[PersistenceError] = field(default_factory=list)
    #: Files that are no sessions.
    skipped: list[PersistenceError] = field(default_factory=list)
    #: Damaged lines that could match and were not searched.
    damaged: int = 0
    #: Set by who waits no more: no other line is looked at, each may take seconds.
    stopped: bool = False


def search_file(
    path: str, question: Question, haystack: Haystack, seen: Seen
) -> Iterator[Match | int]:
    """Yield a file's matches, and now and then how many bytes of it were searched since.

    What cannot be read is noted, and ends it; a file that is gone is none.

    Raises:
        PatternTooSlow: the pattern took too long for a text.
    """
    # A WAL may have been renamed since the directory was read.
    for name in dict.fromkeys((path, path.removesuffix(WAL_ENDING))):
        try:
            file = SessionFile(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            seen.failed.append(explain(error, as_path(name)))
            return
        try:
            status = file.stat()
            if seen.files.setdefault(FileId.of(status), path) == path:
                search = _Search(
                    file, name, size=status.st_size, question=question, haystack=haystack, seen=seen
                )
                yield from search.matches()
        except OSError as error:
            seen.failed.append(explain(error, as_path(name)))
        finally:
            file.close()
        return


class _Search:
    """Searches one open file, as far as it is written when that begins."""

    def __init__(
        self,
        file: SessionFile,
        path: str,
        *,
        size: int,
        question: Question,
        haystack: Haystack,
        seen: Seen,
    ) -> None:
        self._file = file
        self._path = path
        self._question = question
        self._haystack = haystack
        self._seen = seen
        self._size = size
        self._decoder = RecordDecoder()
        # None as long as no header was met.
        self._header_id: UUID | None = None
        # Matching records so far.
        self._matched = 0
        # Where the inherited rows end; None: it was not asked yet.
        self._inherited_end: int | None = None if question.find else 0
        # A place and the lines before it.
        self._counted = (0, 0)

    def matches(self) -> Iterator[Match | int]:
        question, needles = self._question, self._question.needles
        if question.most == 0:
            return
        if needles is not None:
            candidates = Candidates(
                self._file,
                self._size,
                needles,
                self._haystack,
                max_line_bytes=question.max_line_bytes,
            )
            if candidates.reliable:
                for place in candidates.behind_the_first():
                    if self._seen.stopped:
                        return
                    if isinstance(place, int):
                        yield place
                        continue
                    if self._header_id is None and not self._take_header(candidates.first_line):
                        break
                    yield from self._in_candidate(*place)
                    if self._matched == question.most:
                        return
                else:
                    self._seen.damaged += candidates.too_long
                    return
        yield from self._in_every_line()

    def _take_header(self, line: bytes) -> bool:
        """Take the header, which is asked for with the first candidate; False: it is none."""
        decoder = RecordDecoder()
        header = decoder.decode_line(line)
        if not isinstance(header, Header) or decoder.header_version != CURRENT_SCHEMA_VERSION:
            return False
        self._meet(header)
        self._decoder = decoder
        return True

    def _meet(self, header: Header) -> None:
        self._header_id = header.id
        if not may_inherit(header):
            self._inherited_end = 0

    def _in_candidate(self, offset: int, end: int, raw: bytes) -> Iterator[Match]:
        """Yield the matches of a line that can have some."""
        if self._inherited_end and end <= self._inherited_end:
            return
        for record in self._decoder.decode(Block(raw, offset, 1, [len(raw)])).records:
            if isinstance(record, Damage):
                self._seen.damaged += 1
            yield from self._in_record(record, None, offset, end)

    def _in_every_line(self) -> Iterator[Match | int]:
        """Yield the matches of a file of which every line is decoded."""
        framer = LineFramer(max_line_bytes=self._question.max_line_bytes)
        lines = damaged = 0
        for item in items_of(self._file, framer, self._size):
            batch = self._decoder.decode(item)
            for record, (end, line) in zip(batch.records, batch.places, strict=True):
                if self._seen.stopped:
                    return
                lines += 1
                if isinstance(record, Header):
                    self._meet(record)
                    continue
                damaged += isinstance(record, Damage)
                yield from self._in_record(record, line, _begin(item, line), end)
                if self._matched == self._question.most:
                    return
            yield item.length if isinstance(item, LongLine) else len(item.data)
        if self._header_id is not None:
            self._seen.damaged += 0 if self._question.damage else damaged
        elif lines:
            path = self._file.path
            self._seen.skipped.append(
                DamagedSession(no_header(path, b"-"), path=path, reason="no-header")
            )

    def _in_record(
        self, record: Record, line: int | None, offset: int, end: int
    ) -> Iterator[Match]:
        matched = False
        for match in matches_of(
            record,
            self._question,
            session_id=self._header_id or id_in_name(self._file.path.name),
            path=self._path,
            line=lambda: line or self._line_at(offset),
            offset=offset,
        ):
            if not matched and type(record) is Chunk and self._is_inherited(end):
                return
            matched = True
            yield match
        self._matched += matched

    def _is_inherited(self, end: int) -> bool:
        if self._inherited_end is None:
            assert self._question.find is not None
            names = path_paths(self._file.path).oldest_first
            self._inherited_end = self._question.find(names, self._file.id).end
        return end <= self._inherited_end

    def _line_at(self, offset: int) -> int:
        at, lines = self._counted
        self._counted = offset, lines + newlines(self._file, at, offset)
        return self._counted[1] + 1


def _begin(item: Block | LongLine, line: int) -> int:
    """Return where a line of an item begins in the file."""
    if isinstance(item, LongLine) or line == item.line:
        return item.offset
    return item.offset + item.ends[line - item.line - 1]
