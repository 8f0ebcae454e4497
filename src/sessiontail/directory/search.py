"""a pattern and a directory -> its matches in all sessions, streamed file by file.

Files are searched in threads, a few at once where the C library does the searching; their matches
come in the order of the files, those that changed last at the end. Nothing runs far ahead of who
pulls: of each thread's matches a few hundred are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Self, Unpack

from anyio.abc import AsyncResource

from sessiontail import checks
from sessiontail.directory.ancestry import ancestry_of
from sessiontail.directory.errands import Brought, Errand
from sessiontail.directory.scan import Scan
from sessiontail.directory.search_options import SearchOptions, question_of
from sessiontail.directory.searched import Searched, SearchedFile
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import place
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.session.asking import Match, Question
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.session.searching import Seen
from sessiontail.system.calls import Call
from sessiontail.system.files import MAX_THREADS
from sessiontail.system.haystack import Haystack, finds_beside_others
from sessiontail.system.pace import pace
from sessiontail.system.paths import sessions_dir
from sessiontail.system.threads import cores
from sessiontail.urls import as_path

__all__ = ["Search", "search"]

# Files for one thread, in bytes: 231 MB are eight errands, each of 15 ms and more.
_ERRAND_BYTES = 32 * 1024 * 1024


def search(
    pattern: str,
    *,
    directory: str | PathLike[str] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
    **options: Unpack[SearchOptions],
) -> Search:
    """Search the sessions of a directory, running ones as far as they are written.

    Searched are what messages say, what assistants thought, what tools were given and gave.
    Arguments of a tool are searched as they were written, and where these have a backslash and do
    not match, the texts in them, as the tool got them. Every option may be left out; several of
    them together choose what fits all.

    Args:
        pattern: what is searched for: a regular expression (extra ``search``), or with
            ``literal=True`` a text. One of letters and digits alone is a text in any case.
        directory: where the session files lie; by default where openrath puts them.
        max_line_bytes: a longer line is not searched; by default 64 MiB.
        literal: True searches for the text as it stands. By default False.
        ignore_case: True takes capitals and small letters for the same. By default False.
        kinds: only chunks of these kinds: system, user, assistant, tool_result; "damage" among
            them searches damaged lines too. By default all chunks.
        tools: only arguments and results of tools with these names. By default everything.
        ids: only these sessions, by whole ids. By default all.
        paths: only these files; with ``ids``, those too. By default all.
        states: only sessions that are closed, live, abandoned or unknown. By default in any state.
        since: only sessions that were created at or after this moment, a datetime with a time zone.
        until: only those that were created before that moment, a datetime with a time zone.
        max_per_session: so many records that match, of each session. By default all.
        context: so many lines of the same text before and behind each match. By default 0.
        inherited: "skip" searches a row that a session has copied from an earlier one where it is
            its session's own, and nowhere else; "include" searches it in both. By default "skip".

    Returns:
        An async iterator and context manager over ``Match`` values.

    Raises:
        InvalidPattern: it is no regular expression, or empty.
        MissingExtra: it is one, and the ``regex`` package is not installed.
        InvalidSessionId: one of ``ids`` is none.
        TypeError: there is no such option, or it is of another type.
        ValueError: an option cannot be meant; a moment has no time zone.
    """
    names = ("directory", "max_line_bytes", *SearchOptions.__annotations__)
    checks.no_others("search", options, names)
    checks.positive("max_line_bytes", max_line_bytes, int)
    question = question_of(pattern, max_line_bytes=max_line_bytes, **options)
    return Search(sessions_dir(directory), question, options)


class Search(AsyncPulled, AsyncEntered, AsyncIterator[Match], AsyncResource):
    """The matches in the sessions of a directory. Made by ``search``.

    A pull-only iterator and context manager: threads work only while it is asked. A step that is
    cancelled can be retried; its threads go on meanwhile. One task at a time may pull.
    """

    def __init__(self, directory: Path, question: Question, options: SearchOptions) -> None:
        self._found: deque[Match] = deque()
        self._errands: deque[tuple[Errand, Call[Brought]]] = deque()
        self._one_task = OneTask("search")
        self._seen = Seen()
        self._closed = False
        if options.get("inherited", "skip") == "skip":
            question = replace(question, find=_finder(question.max_line_bytes))
        self.directory = directory
        #: Session files that are searched; None before that is known.
        self.total: int | None = None
        #: Bytes of them, and how many are searched by now.
        self.total_bytes = 0
        self.searched_bytes = 0
        self._question = question
        self._searched = Searched(
            directory,
            ids=options.get("ids"),
            paths=options.get("paths"),
            states=options.get("states"),
            since=options.get("since"),
            until=options.get("until"),
        )
        self._listed: Call[list[SearchedFile]] | None = None
        self._scan: Scan | None = None
        self._left: deque[SearchedFile] = deque()
        self._spare: list[Haystack] = []
        # Decoding keeps the interpreter to itself: more threads would only wait for each other.
        beside = question.needles is not None and finds_beside_others()
        self._threads = min(MAX_THREADS, cores()) if beside else 1

    def __repr__(self) -> str:
        done = "not begun" if self.total is None else f"{self.searched_bytes} bytes searched"
        return f"<Search {place(self.directory)}, {'ended' if self._closed else done}>"

    def __del__(self) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    @property
    def failed(self) -> list[PersistenceError]:
        """Sessions that could not be read, so far: what is in them is not known."""
        return self._seen.failed

    @property
    def skipped(self) -> list[PersistenceError]:
        """Files that are no sessions, as far as they were met."""
        return self._seen.skipped

    @property
    def at_hand(self) -> int:
        """So many matches come without waiting."""
        return len(self._found)

    @property
    def damaged(self) -> int:
        """Damaged lines that could match and were not searched, so far."""
        return self._seen.damaged

    async def __anext__(self) -> Match:
        """Return the next match.

        Raises:
            StopAsyncIteration: that was all.
            PatternTooSlow: the pattern took too long for a text; it ends the search.
            PersistenceError: the directory cannot be read; one that is absent is empty.
            StreamBusy: another task waits for the next one.
        """
        if not self._found:
            with self._one_task:
                await pace().turn()
                while not self._found:
                    await self._more()
        return self._found.popleft()

    async def aclose(self) -> None:
        """Release everything; iterating ends."""
        self.close()

    def close(self) -> None:
        """Release everything; iterating ends."""
        self._closed = self._seen.stopped = True
        self._found.clear()
        while self._errands:
            errand, call = self._errands.popleft()
            call.leave(errand.close)

    async def _more(self) -> None:
        if self._closed:
            raise StopAsyncIteration
        if self.total is None:
            await self._begin()
            if self._closed:
                raise StopAsyncIteration
        while self._left and len(self._errands) < self._threads:
            errand = self._next_errand()
            self._errands.append((errand, self._send(errand)))
        if not self._errands:
            self.close()
            raise StopAsyncIteration
        errand, call = self._errands[0]
        await call.settled()
        if self._closed:
            raise StopAsyncIteration
        del self._errands[0]
        try:
            brought = call.result()
        except PersistenceError:
            self.close()
            raise
        self.searched_bytes += brought.bytes
        self._found += brought.matches
        if brought.done:
            self._spare.append(errand.haystack)
        else:
            self._errands.appendleft((errand, self._send(errand)))

    async def _begin(self) -> None:
        if self._listed is None:
            place = str(self.directory)
            if self._searched.by_meta:
                self._scan = self._scan or Scan(self.directory)
                metas = await self._scan.rest()
                for error in self._scan.skipped:
                    # With a reason, the file was read, and is none.
                    (self._seen.failed if error.reason is None else self._seen.skipped).append(
                        error
                    )
                self._listed = Call(place, self._searched.of_metas, metas)
            else:
                self._listed = Call(place, self._searched.of_names)
        files = await self._listed.wait()
        self._seen.failed += self._searched.missing
        self._left = deque(files)
        self.total_bytes = sum(file.size for file in files)
        self.total = len(files)

    def _next_errand(self) -> Errand:
        some = [self._left.popleft()]
        size = some[0].size
        while self._left and size + self._left[0].size <= _ERRAND_BYTES:
            some.append(self._left.popleft())
            size += some[-1].size
        haystack = self._spare.pop() if self._spare else Haystack()
        return Errand([file.path for file in some], self._question, haystack, self._seen)

    def _send(self, errand: Errand) -> Call[Brought]:
        return Call(str(self.directory), errand.go_on)


def _finder(max_line_bytes: int) -> Callable[..., Any]:
    """Return what says which rows of a file are inherited, by what lies beside it."""
    return lambda names, file_id: ancestry_of(as_path(names[0]).parent, max_line_bytes).inherited(
        names, file_id
    )
