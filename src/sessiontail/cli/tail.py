"""``sessiontail tail``: the last records of sessions, and what follows."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

import anyio
import click

from sessiontail.cli.options import (
    Window,
    directory_option,
    id_argument,
    kinds_option,
    window_option,
)
from sessiontail.cli.rendering import Renderer, as_json, kind_of, text_of
from sessiontail.cli.slices import FileSlices, entries
from sessiontail.cli.targets import Target, resolve, told_apart
from sessiontail.cli.terminal import Output, note
from sessiontail.errors import CursorInvalid, PersistenceError, SessionNotFound
from sessiontail.format.cursor import START, Position
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key
from sessiontail.format.lifecycle import EventKind, Outcome, SessionState
from sessiontail.format.records import Record
from sessiontail.session.before_end import position_before_end
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore
from sessiontail.system.files import SessionFile, in_thread
from sessiontail.system.paths import split_name

__all__ = ["Lines", "command"]

_DEFAULT = Window(last=10)
# How often --cursor-file is written while records come.
_SAVE_INTERVAL_S = 1.0
_STATS_INTERVAL_S = 10.0


class HasCursor(Protocol):
    """What knows where it stands."""

    @property
    def cursor(self) -> str:
        """Where the next record begins."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for."""

    follow: bool
    window: Window | None
    wait: bool
    on_abandoned: Literal["stop", "wait"]
    after: str | None


@click.command(
    epilog="""\
\b
Examples:
  sessiontail tail -f                        every running session, each line with its id
  sessiontail tail -f 4f2c                   one session until it ends
  sessiontail tail 4f2c -n 3 -k assistant    the last three answers
  sessiontail tail -f -n all -g 'Traceback'  records whose text matches, from the start
  sessiontail tail -f ID --wait              also if the session does not exist yet
  sessiontail tail --until-end 4f2c && ...   go on when the agent is done
  sessiontail tail -f 4f2c -o jsonl --cursor-file at
                                             go on where the last run stopped

\b
Exit codes: 0 fine, 1 nothing found or (--until-end) not closed, 2 usage, 130 interrupted.
"""
)
@directory_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what follows, until the end.")
@window_option(
    "The last N records (10), +N: from the N-th on, or all. Counted after -k and -g, but before "
    "them with -f and no ID. After a cursor: all."
)
@kinds_option
@click.option("-g", "--grep", metavar="REGEX", help="Only records whose text matches.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "jsonl", "raw"]),
    default="text",
    show_default=True,
    help="jsonl: one object a record. raw: the file's lines.",
)
@click.option("--wait", is_flag=True, help="Wait for a session that does not exist yet (with -f).")
@click.option("--cursor", "cursor", metavar="TOKEN", help="Begin where this token stands.")
@click.option("--show-cursor", is_flag=True, help="At the end, print the token to go on with.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Begin where FILE says, if it exists; keep it up to date.",
)
@click.option(
    "--until-end", is_flag=True, help="As -f; exit code 0 only if every session was closed."
)
@click.option(
    "--on-abandoned",
    type=click.Choice(["stop", "wait"]),
    default="stop",
    show_default=True,
    help="When a writer is gone without closing: stop, or wait for one to come back.",
)
@click.option("--stats", is_flag=True, help="At the end, print counters on stderr.")
@id_argument(many=True, required=False)
def command(
    *,
    directory: str | None,
    ids: tuple[str, ...],
    follow: bool,
    window: Window | None,
    kinds: tuple[str, ...],
    grep: str | None,
    output: Literal["text", "jsonl", "raw"],
    wait: bool,
    cursor: str | None,
    show_cursor: bool,
    cursor_file: Path | None,
    until_end: bool,
    on_abandoned: Literal["stop", "wait"],
    stats: bool,
) -> int:
    """Print the last records of sessions; with -f, go on until they end.

    ID is an id, the beginning of one, or a path; without any, every running session is meant, and
    those that begin later. How a session ended (closed, abandoned, deleted, replaced) is told on
    stderr.
    """
    follow = follow or until_end
    one = len(ids) == 1
    if wait and not follow:
        raise click.UsageError("--wait needs -f")
    if until_end and not ids:
        raise click.UsageError("--until-end needs an ID: without one, it never ends")
    if output == "raw" and not one:
        raise click.UsageError("-o raw needs one ID")
    if (cursor or cursor_file or show_cursor) and not (one or (follow and not ids)):
        raise click.UsageError("a cursor needs one ID, or -f without any")
    if cursor and cursor_file:
        raise click.UsageError("give --cursor or --cursor-file, not both")
    if window is not None and window.first > 1 and follow and not ids:
        raise click.UsageError("-n +N needs an ID")
    try:
        pattern = re.compile(grep) if grep is not None else None
    except re.error as error:
        raise click.UsageError(f"-g: no regular expression: {error}") from None
    store = SessionStore(directory)
    lines = Lines(Output(), output, kinds=kinds, pattern=pattern)
    keeper = Keeper(cursor_file, show=show_cursor)
    after = keeper.read() if cursor_file else cursor
    options = Options(
        follow=follow, window=window, wait=wait, on_abandoned=on_abandoned, after=after
    )
    try:
        outcomes = anyio.run(_tail, _Tailing(store, lines, keeper, options), ids, stats)
    except CursorInvalid as error:
        if cursor_file is None:
            raise
        raise CursorInvalid(f"{cursor_file}: {error}; or delete that file") from None
    finally:
        keeper.close()
        if stats:
            _tell_stats(store)
    if until_end:
        return 0 if all(outcome is Outcome.CLOSED for outcome in outcomes) else 1
    if None in outcomes:
        return 1
    if ids and not (lines.printed or follow):
        note("no record matches" if lines.filtered else "nothing to print")
    return 0 if lines.printed or follow else 1


class Lines:
    """Prints the records that are wanted, of one session or of several."""

    def __init__(
        self,
        output: Output,
        form: Literal["text", "jsonl", "raw"] = "text",
        *,
        kinds: tuple[str, ...] = (),
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        self._output = output
        self._form = form
        self._renderer = Renderer(output)
        self._kinds = kinds
        self._pattern = pattern
        #: Whether records come with their bytes.
        self.raw = form == "raw"
        #: Whether some records may not be wanted.
        self.filtered = bool(kinds) or pattern is not None
        #: Records printed so far.
        self.printed = 0

    def wants(self, record: Record | None) -> bool:
        """Say whether a record passes ``-k`` and ``-g``."""
        if record is None:
            return not self.filtered
        if self._kinds and kind_of(record) not in self._kinds:
            return False
        return self._pattern is None or self._pattern.search(text_of(record)) is not None

    def put(self, record: Record | None, raw: bytes, target: Target, *, mixed: bool) -> None:
        """Print a record that is wanted.

        Args:
            record: the record; None for blank lines.
            raw: its bytes, for ``-o raw``.
            target: whose it is.
            mixed: whether other sessions' records are printed too.
        """
        self.printed += 1
        if self._form == "raw":
            self._output.bytes(raw)
        elif record is None:
            return
        elif self._form == "jsonl":
            text = as_json(record, target.session_id if mixed else None)
            self._output.line(self._output.json(text))
        else:
            self._renderer.record(record, target.name if mixed else "")

    def flush(self) -> None:
        """Hand what was printed to the reader of the output."""
        self._output.flush()


class Keeper:
    """Keeps the cursor that stands behind what was printed."""

    def __init__(self, path: Path | None, *, show: bool) -> None:
        self._path = path
        self._show = show
        self._source: HasCursor | None = None
        self._saved = ""
        self._saved_s = 0.0

    def read(self) -> str | None:
        """Return what the file says; None where there is none, or nothing in it."""
        assert self._path is not None
        if not self._path.parent.is_dir():
            raise click.UsageError(f"--cursor-file: no such directory: {self._path.parent}")
        try:
            self._saved = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CursorInvalid(f"cannot be read: {error}", path=self._path) from error
        return self._saved or None

    def commit(self, source: HasCursor) -> None:
        """Note that everything before the source's cursor was printed and flushed."""
        self._source = source
        if self._path is not None and time.monotonic() - self._saved_s >= _SAVE_INTERVAL_S:
            self._save(source.cursor)

    def forget(self) -> None:
        """Note that records are about to be printed: until they are, no newer cursor holds."""
        self._source = None

    def close(self) -> None:
        """Write the cursor where it was asked for."""
        token = self._source.cursor if self._source is not None else self._saved
        if self._path is not None and token:
            self._save(token)
        if self._show and token:
            note(f"cursor: {token}")

    def _save(self, token: str) -> None:
        self._saved_s = time.monotonic()
        if token == self._saved:
            return
        assert self._path is not None
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            beside.write_text(token + "\n", "utf-8")
            beside.replace(self._path)
        except OSError as error:
            raise click.ClickException(
                f"cannot write the cursor to {self._path}: {error.strerror}"
            ) from error
        self._saved = token


async def _tail(
    tailing: _Tailing,
    ids: tuple[str, ...],
    stats: bool,  # noqa: FBT001 - passed through anyio.run
) -> list[Outcome | None]:
    """Print everything; return how each session ended (None: it could not be read)."""
    try:
        if not tailing.options.follow:
            return await tailing.print_last(ids)
        async with tailing.store, anyio.create_task_group() as beside:
            beside.start_soon(_watch_stdout)
            if stats and sys.stderr.isatty():
                beside.start_soon(_tell_stats_regularly, tailing.store)
            outcomes = await tailing.follow(ids)
            beside.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # A task group wraps what its tasks raise; the first one is what happened.
        raise _first(group) from None
    return outcomes


class _Tailing:
    """One call of the command."""

    def __init__(self, store: SessionStore, lines: Lines, keeper: Keeper, options: Options) -> None:
        self.store = store
        self._lines = lines
        self._keeper = keeper
        self.options = options
        self._mixed = False
        # Sessions whose writer was gone before this began.
        self._gone: set[UUID] = set()

    async def print_last(self, ids: tuple[str, ...]) -> list[Outcome | None]:
        """Print the last records of each session, up to now."""
        targets = [await resolve(self.store, text) for text in ids] or await self._running()
        targets = told_apart(targets)
        self._mixed = len(ids) != 1
        failed: list[Outcome | None] = []
        for target in targets:
            try:
                await self._backlog(target)
            except CursorInvalid:
                raise
            except PersistenceError as error:
                note(str(error))
                failed.append(None)
        if not ids and not targets:
            note(
                f"no session runs in {self.store.directory}; `sessiontail ls` lists all, "
                "tail -f waits for the next"
            )
        return failed

    async def follow(self, ids: tuple[str, ...]) -> list[Outcome | None]:
        """Print the last records of each session, and what follows until it ends."""
        if not ids:
            await self._follow_all()
        wait = self.options.wait
        targets = told_apart([await resolve(self.store, text, may_be_absent=wait) for text in ids])
        self._mixed = len(targets) > 1
        outcomes: list[Outcome | None] = [None] * len(targets)

        async def follow(i: int) -> None:
            try:
                outcomes[i] = await self._follow_one(targets[i])
            except CursorInvalid:
                raise
            except PersistenceError as error:
                note(str(error))

        async with anyio.create_task_group() as group:
            for i in range(len(targets)):
                group.start_soon(follow, i)
        return outcomes

    async def _running(self) -> list[Target]:
        metas = [meta async for meta in self.store.scan() if _may_run(meta)]
        metas.sort(key=lambda meta: meta.created_at)
        return [Target(meta.id, meta.path) for meta in metas]

    async def _backlog(self, target: Target) -> tuple[str | None, int]:
        """Print the last records that there are.

        Returns:
            The cursor behind them, and how many of those that follow are to be skipped.
        """
        window, lines = self.options.window, self._lines
        after = self.options.after
        if window is None:
            window = Window() if after is not None else _DEFAULT
        if after is None and window.last is not None and not lines.filtered:
            after = await self._shortcut(target, window.last)
        kept: deque[tuple[Record | None, bytes]] = deque(maxlen=window.last)
        seen = 0
        async with target.read(self.store, after=after) as feed:
            with FileSlices(feed) as file:
                async with aclosing(entries(feed, file, raw=lines.raw)) as found:
                    async for batch in found:
                        for record, raw in batch:
                            if not lines.wants(record):
                                continue
                            seen += 1
                            if seen < window.first:
                                continue
                            if window.last is None:
                                lines.put(record, raw, target, mixed=self._mixed)
                            else:
                                kept.append((record, raw))
                for record, raw in kept:
                    lines.put(record, raw, target, mixed=self._mixed)
                lines.flush()
                self._keeper.commit(feed)
        return feed.cursor if feed.offset else None, max(0, window.first - 1 - seen)

    async def _shortcut(self, target: Target, last: int) -> str | None:
        """Return a cursor so many lines before the end: a long file is not read for its end."""
        try:
            meta = await self.store.meta(target.session_id, path=target.path)
            file = SessionFile(meta.path)
        except (PersistenceError, OSError):
            return None  # damaged at its head, or gone: reading it tells
        try:
            position = await in_thread(position_before_end, file, last)
        finally:
            file.close()
        return position.encode() if position.offset else None

    async def _follow_one(self, target: Target) -> Outcome | None:
        lines, options = self._lines, self.options
        try:
            after, skip = await self._backlog(target)
        except SessionNotFound:
            if not options.wait:
                raise
            after, skip = options.after, options.window.first - 1 if options.window else 0
        feed = target.tail(
            self.store, after=after, wait=options.wait, on_abandoned=options.on_abandoned
        )
        async with feed:
            with FileSlices(feed) as file:
                async with aclosing(entries(feed, file, raw=lines.raw)) as found:
                    async for batch in found:
                        self._keeper.forget()
                        for record, raw in batch:
                            if not lines.wants(record):
                                continue
                            if skip:
                                skip -= 1
                                continue
                            lines.put(record, raw, target, mixed=self._mixed)
                        lines.flush()
                        self._keeper.commit(feed)
        torn = f", {feed.torn_bytes} bytes after its last whole line" if feed.torn_bytes else ""
        note(f"{target.name} {feed.outcome}{torn}")
        return feed.outcome

    async def _follow_all(self) -> None:
        """Print every running session's records; it never ends by itself."""
        self._mixed = True
        after = self.options.after or await self._start_of_all()
        async with self.store.tail_all(after=after, on_event=self._tell) as feed:
            async for session_id, record in feed:
                self._keeper.forget()
                if self._lines.wants(record):
                    self._lines.put(record, b"", Target(session_id, None), mixed=True)
                    self._lines.flush()
                self._keeper.commit(feed)

    def _tell(self, session_id: UUID, kind: EventKind) -> None:
        if kind is EventKind.ABANDONED and session_id in self._gone:
            self._gone.remove(session_id)  # it was so before
        elif kind is not EventKind.STARTED:
            note(f"{Target(session_id, None).name} {kind}")

    async def _start_of_all(self) -> str:
        """Return a cursor before the last records of what runs, behind all that is done with."""
        window = self.options.window or _DEFAULT
        positions = {}
        ended = EndedSessions()
        scan = self.store.scan()
        async for meta in scan:
            split = split_name(meta.path.name)
            assert split is not None
            stem, is_wal = split
            if meta.state is SessionState.ABANDONED:
                self._gone.add(meta.id)
            if not is_wal:
                ended.add(stem, ended_key(meta.size_bytes, meta.mtime_ns))
            elif window.last is not None or not _may_run(meta):
                last = window.last if window.last is not None and _may_run(meta) else 0
                positions[stem] = await in_thread(_position, meta.path, last)
        for error in scan.skipped:
            # A final name with no header will never be a session; a WAL may just have begun.
            split = split_name(error.path.name) if error.path else None
            if error.path and split and not split[1]:
                ended.add(split[0], await in_thread(_ended_key, error.path))
        return DirectoryPosition(positions, ended).encode()


def _may_run(meta: PersistedSessionMeta) -> bool:
    return meta.state in {SessionState.LIVE, SessionState.UNKNOWN}


def _position(path: Path, last: int) -> Position:
    """Return the position so many lines before the end, blocking; the start of a file gone."""
    try:
        file = SessionFile(path)
    except OSError:
        return START
    try:
        return position_before_end(file, last)
    finally:
        file.close()


def _ended_key(path: Path) -> bytes:
    try:
        status = path.lstat()
    except OSError:
        return ended_key(0, 0)
    return ended_key(status.st_size, status.st_mtime_ns)


async def _watch_stdout() -> None:
    """Raise BrokenPipeError when nobody reads the output any more, though nothing is written.

    The writing end of a pipe is readable when its other end is closed (Linux, poll(2): POLLERR).
    """
    if sys.platform == "linux" and stat.S_ISFIFO(os.fstat(1).st_mode):
        await anyio.wait_readable(1)
        raise BrokenPipeError


async def _tell_stats_regularly(store: SessionStore) -> None:
    while True:
        await anyio.sleep(_STATS_INTERVAL_S)
        _tell_stats(store)


def _tell_stats(store: SessionStore) -> None:
    figures = store.stats.as_dict().items()
    note("stats: " + " ".join(f"{name}={value:.6g}" for name, value in figures))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
