"""``sessiontail rm``: delete sessions by name."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import anyio
import click

from sessiontail.cli.escaping import one_line
from sessiontail.cli.listing import print_table
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.options import directory_option, id_argument, output_option
from sessiontail.cli.targets import Finder, Target
from sessiontail.cli.terminal import confirm, note
from sessiontail.cli.words import given_ids
from sessiontail.directory.outlines import outlines_of
from sessiontail.errors import (
    DamagedSession,
    InvalidSessionId,
    PersistenceError,
    SessionBusy,
    SessionNotFound,
)
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.plain import SCHEMA
from sessiontail.session.asides import aside_of
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.store import SessionStore
from sessiontail.system.files import in_thread
from sessiontail.system.paths import (
    parse_session_id,
    path_paths,
    resolve_path,
    session_paths,
    split_name,
)

__all__ = ["command"]


@dataclass(frozen=True)
class Doomed:
    """One session that is to go."""

    target: Target
    #: None: the file does not start with a header.
    meta: PersistedSessionMeta | None
    #: What goes: of an id, its closed file and its WAL, as far as there are; of a path, that file.
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Id, else file name."""
        return str(self.meta.id if self.meta is not None else self.target.path or self.target.name)


@click.command(
    epilog="""\
\b
Examples:
  sessiontail rm 4f2c                one session; shows it and asks
  sessiontail rm 4f2c 81d0 --yes     two, without asking
  sessiontail rm --yes ./old.jsonl   a file, also one that is damaged from its first line
  sessiontail ls --state abandoned -o jsonl | jq -r .id | sessiontail rm --yes -

\b
Exit codes: 0 all deleted; 1 one not found, refused, or not confirmed (where nobody can be asked,
add --yes); 2 usage; 130 interrupted.
"""
)
@directory_option
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@output_option("text", "json", text="text: for people. json: what was found, and what was deleted.")
@look_options(records=False, paged=False)
@id_argument(many=True, required=True)
def command(
    *, directory: str | None, ids: tuple[str, ...], yes: bool, output: str, look: Look
) -> int:
    """Delete sessions, their unfinished files too.

    ID is an id, the beginning of one, or a path; '-' reads them from standard input, one a line. A
    session that somebody writes is refused. Shows each file that goes; deletes only with --yes or
    when confirmed at a terminal: where ids come from standard input, only with --yes.
    """
    ids = given_ids(ids)
    store = SessionStore(directory)
    doomed, refused = anyio.run(_find, store, ids)
    out = look.open()
    if output == "text":
        known = [one.meta for one in doomed if one.meta is not None]
        if known:
            print_table(out, anyio.run(outlines_of, known, store.directory))
        for one in doomed:
            if one.meta is None and one.target.path is not None:
                out.line(one_line(f"{one.name}: does not start with a header"))
        for one in doomed:
            for path in one.files:
                out.line(one_line(f"goes: {path}"))
        out.flush()
    deleted: list[str] = []
    if doomed and confirm(f"Delete {_count(len(doomed))}?", yes=yes):
        deleted = anyio.run(_delete, store, doomed)
        note(f"{_count(len(deleted))} deleted")
    if output == "json":
        found = {
            "schema": SCHEMA,
            "found": [one.name for one in doomed],
            "files": [str(path) for one in doomed for path in one.files],
            "deleted": deleted,
        }
        out.line(json.dumps(found, indent=2))
        out.flush()
    return 0 if len(deleted) == len(doomed) and not refused else 1


async def _find(store: SessionStore, ids: tuple[str, ...]) -> tuple[list[Doomed], int]:
    """Return what may go, and how many may not: those are told."""
    finder = Finder(store)
    doomed: dict[tuple[Path, ...], Doomed] = {}  # the same by id and by path goes once
    refused = 0
    for text in ids:
        try:
            one = await _look(store, finder, text)
        except PersistenceError as error:
            note(str(error))
            refused += 1
        else:
            doomed[one.files] = one
    return list(doomed.values()), refused


async def _look(store: SessionStore, finder: Finder, text: str) -> Doomed:
    try:
        target = await finder.find(text)
    except SessionNotFound:
        # Nothing but what a deletion that was killed has left aside.
        target = Target(session_id=_whole_id(text), path=None)
        files = await in_thread(_files, store, target) if target.session_id else ()
        if not files:
            raise
        return Doomed(target, None, files)
    files = await in_thread(_files, store, target)
    if target.session_id and target.path and path_paths(target.path).stem != text:
        # A copy that was exported beside it has its id too: a second `rm ID` is not to take that.
        raise PersistenceError(
            "has that id and another name; it is kept: give its path to delete it",
            path=target.path,
        )
    try:
        meta = await store.meta(target.session_id, path=target.path)
    except DamagedSession:
        if target.path is None or not split_name(target.path.name):
            raise
        return Doomed(target, None, files)
    if meta.state is SessionState.LIVE:
        who = f"process {meta.writer_pid}" if meta.writer_pid else "a writer"
        raise SessionBusy(f"{who} is writing it; it is kept", path=meta.path)
    return Doomed(target, meta, files)


def _files(store: SessionStore, target: Target) -> tuple[Path, ...]:
    if target.path is not None:
        return (resolve_path(target.path),)
    assert target.session_id is not None
    paths = session_paths(target.session_id, store.directory)
    names = (paths.wal, paths.final)
    return tuple(path for path in (*names, *map(aside_of, names)) if os.path.lexists(path))


def _whole_id(text: str) -> UUID | None:
    try:
        return parse_session_id(text)
    except InvalidSessionId:
        return None


async def _delete(store: SessionStore, doomed: list[Doomed]) -> list[str]:
    deleted = []
    for one in doomed:
        target = one.target
        try:
            # Of a path, that file; of an id, the closed file and the WAL.
            if target.path is not None:
                gone = await store.delete(path=target.path)
            else:
                gone = await store.delete(target.session_id)
        except PersistenceError as error:
            note(str(error))
            continue
        if gone:
            deleted.append(one.name)
        else:
            note(f"{one.name}: already gone")
    return deleted


def _count(number: int) -> str:
    return f"{number} session" + "s" * (number != 1)
