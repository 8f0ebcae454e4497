"""records of a reader, and a window -> those in it, printed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from uuid import UUID

from sessiontail.cli.cursor_file import CursorKeeper
from sessiontail.cli.printing import Printer
from sessiontail.cli.slices import FileSlices, entries
from sessiontail.cli.targets import Target
from sessiontail.cli.values import Window
from sessiontail.format.records import Header, Record
from sessiontail.session.feed import RecordFeed

__all__ = ["print_window"]


async def print_window(
    feed: RecordFeed,
    file: FileSlices,
    window: Window,
    printer: Printer,
    *,
    target: Target | None = None,
    session_id: UUID | None = None,
    check: Callable[[Record | None], None] = lambda _: None,
    keeper: CursorKeeper | None = None,
) -> int:
    """Print what a window shows of a session; return how many of its records were wanted.

    What has an end is printed at its end, if the window counts from there; else at once.

    Args:
        feed: the records.
        file: their bytes.
        window: which of those that the printer wants.
        printer: prints them.
        target: whose they are, where records of several sessions are mixed.
        session_id: whose they are, where the file does not say.
        check: is asked for every record before it is printed; it may raise.
        keeper: keeps the cursor behind what is printed.
    """

    def printed() -> None:
        printer.flush()
        if keeper is not None:
            keeper.commit(feed)

    kept: deque[tuple[Record | None, bytes]] = deque(maxlen=window.last)
    seen = 0
    whose: str | None = None
    # Whether it was told that rows are left out; where the window begins behind them, it is not.
    told = window.first > 1

    def tell_left_out() -> None:
        nonlocal told
        if feed.left_out and not told:
            told = True
            assert feed.inherited is not None
            printer.left_out(feed.inherited, target)

    def put(record: Record | None, raw: bytes) -> None:
        if not isinstance(record, Header):
            tell_left_out()
        printer.put(record, raw, target, whose)

    async with aclosing(entries(feed, file, raw=printer.raw)) as found:
        async for batch in found:
            if keeper is not None:
                keeper.forget()
            known = feed.session_id or session_id
            whose = str(known) if known else None  # once a batch: it takes 1 us
            for record, raw in batch:
                check(record)
                if not printer.wants(record):
                    continue
                seen += 1
                if seen < window.first:
                    continue
                if window.last is None:
                    put(record, raw)
                else:
                    kept.append((record, raw))
            if window.last is None:
                printed()
    told = told or seen > len(kept) > 0
    for record, raw in kept:
        put(record, raw)
    tell_left_out()
    printed()
    return seen
