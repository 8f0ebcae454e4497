"""``sessiontail repair``: a clean copy of a session, and what was done to make it clean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import click

from sessiontail.cli.look import Look, look_options
from sessiontail.cli.options import directory_option, id_argument, output_option
from sessiontail.cli.targets import Finder
from sessiontail.cli.terminal import note
from sessiontail.cli.values import NewFile
from sessiontail.directory.repairs import repair_session
from sessiontail.format.brief import counted
from sessiontail.format.dumping import dump
from sessiontail.format.mending import Mend, MendAction
from sessiontail.session.repairing import Repaired
from sessiontail.store import SessionStore
from sessiontail.system.paths import path_paths

__all__ = ["command"]


@click.command(
    epilog="""\
\b
Examples:
  sessiontail repair 4f2c --to clean.jsonl            a copy that every reader takes
  sessiontail repair 4f2c --to clean.jsonl --close    with a trailer: closed, tokens unknown
  sessiontail repair ./run.jsonl --to clean.jsonl -o json
                                                      what was done, as data

\b
Exit codes: 0 FILE is there, whole, whether or not there was something to mend; 1 not found, or not
to be read or written, and FILE is as it was; 2 usage; 3 no header, so nothing to make whole;
130 interrupted.
"""
)
@directory_option
@click.option(
    "--to",
    metavar="FILE",
    required=True,
    type=NewFile(printed=False),
    help="The copy; a new file, never the session's own.",
)
@click.option("--close", is_flag=True, help="Add a trailer where there is none.")
@click.option("--force", "replace", is_flag=True, help="Replace FILE if it is there.")
@output_option(
    "text",
    "json",
    text="text: a line for each line that was mended, on standard error. json: one object.",
)
@look_options(records=False, paged=False)
@id_argument(many=False, required=True)
def command(
    *,
    directory: str | None,
    session_id: str,
    to: str,
    close: bool,
    replace: bool,
    output: str,
    look: Look,
) -> int:
    """Write a clean copy of a session, and say line by line what was done.

    ID is an id, the beginning of one, or a path. Where a crash has glued two records to one line,
    the whole one gets a line of its own; a second header, lines that are no records and a torn end
    are left out. Every other line stays as it is, byte for byte, but that characters which end a
    line to openrath's own reader are written as escapes. Nothing is renumbered, nothing is done in
    place. FILE is there when all of it is. Where an ID has two files, because a session was opened
    again, the one that ends in .__partial__ is copied, and that is told; a path names either.

    A session that is being written is copied as far as it is written, and that is told; it cannot be
    closed.
    """
    out = look.open(output)

    named = False

    async def mend(on_mend: Callable[[Mend], object] | None) -> Repaired:
        nonlocal named
        store = SessionStore(directory)
        target = await Finder(store).find(session_id)
        named = target.path is not None
        return await repair_session(
            target.session_id,
            path=target.path,
            directory=store.directory,
            to=to,
            close=close,
            force=replace,
            on_mend=on_mend,
        )

    told = anyio.run(mend, _tell if output == "text" else None)
    if output == "json":
        out.line(out.json(dump(told.to_dict(), indent=2)))
        out.flush()
    if told.writer_pid is not None:
        note(f"process {told.writer_pid} is writing it: the copy ends where it ended just now")
    note(f"{os.fspath(told.to)}: {_summary(told)}")
    if not named:
        _tell_of_another(told.path)
    return 0


def _tell_of_another(path: Path) -> None:
    """Say which file was copied, where the session has two."""
    paths = path_paths(path)
    other = paths.final if path == paths.wal else paths.wal
    if path.exists() and other.exists():
        copied = f"there are two files: this is a copy of {path.name}"
        note(f"{copied}; for the other one: repair {other}")


def _tell(mend: Mend) -> None:
    """Say what was done to a line."""
    place = f"line {mend.line} (byte {mend.offset})"
    if mend.action is MendAction.CLOSED:
        note(f"{place}: {mend.message}")
    else:
        note(f"{place}, {counted(mend.length, 'byte')}: {mend.action}: {mend.message}")


def _summary(told: Repaired) -> str:
    size = f"{counted(told.records, 'record')}, {counted(told.size_bytes, 'byte')}"
    if not told.mend_counts:
        return f"{size}; there was nothing to mend"
    done = ", ".join(f"{count:,} {action}" for action, count in told.mend_counts.items())
    return f"{size}; lines: {done}"
