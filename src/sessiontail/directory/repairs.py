"""an id or a path -> a clean copy of that session."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from uuid import UUID

from sessiontail import checks
from sessiontail.directory.finding import locate
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.mending import Mend
from sessiontail.session.repairing import Repaired, repair_file
from sessiontail.system.files import in_thread
from sessiontail.system.paths import parse_session_id, resolve_path, sessions_dir

__all__ = ["repair_session"]


async def repair_session(
    session_id: UUID | str | None = None,
    *,
    to: str | PathLike[str],
    path: str | PathLike[str] | None = None,
    directory: str | PathLike[str] | None = None,
    close: bool = False,
    force: bool = False,
    on_mend: Callable[[Mend], object] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Repaired:
    """Write a clean copy of a session; return what was done, line by line.

    Every record that a reader finds whole is in it, in order, and so is what is whole on a line that
    was glued by a crash. What is no record, a second header and a torn end are left out; nothing is
    renumbered. The copy is there whole or not at all, and every reader takes it.

    Args:
        session_id: which one; its WAL, else the closed file.
        to: the copy, a new file.
        path: this file instead of an id.
        directory: where the session files lie; by default where openrath puts them.
        close: add a trailer where there is none; the tokens are unknown.
        force: replace ``to`` if there is such a file; never the session's own.
        on_mend: is called with each ``Mend`` as it is done; by default all are in the result.
        max_line_bytes: a longer line is no record.

    Raises:
        SessionNotFound: there is no such session.
        DamagedSession: it has no header (``no-header``), so that there is nothing to make whole.
        SessionBusy: ``close``, and somebody writes the session; or somebody writes ``to``.
        InvalidSessionId: that is no id.
        PersistenceError: it cannot be read, or the copy not be written. No file is left.
        TypeError: neither a ``session_id`` nor a ``path`` is given.
    """
    checks.positive("max_line_bytes", max_line_bytes, int)
    if on_mend is not None:
        checks.plain_function("on_mend", on_mend)
    target = resolve_path(to)
    if path is not None:
        names: tuple[str, ...] = (str(resolve_path(path)),)
    elif session_id is None:
        raise TypeError("give a session_id or path=")
    else:
        place = sessions_dir(directory)
        found = await in_thread(locate, parse_session_id(session_id), place, place=str(place))
        names = found.newest_first
    return await repair_file(
        names,
        target,
        close=close,
        force=force,
        on_mend=on_mend,
        max_line_bytes=max_line_bytes,
    )
