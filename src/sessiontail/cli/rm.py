"""``sessiontail rm``: delete sessions by name."""

from __future__ import annotations

import json
from dataclasses import dataclass

import anyio
import click

from sessiontail.cli.ls import print_table
from sessiontail.cli.options import directory_option, id_argument
from sessiontail.cli.targets import Target, resolve
from sessiontail.cli.terminal import Output, confirm, note
from sessiontail.errors import DamagedSession, PersistenceError, SessionBusy
from sessiontail.layout import split_name
from sessiontail.session import PersistedSessionMeta, SessionState
from sessiontail.store import SessionStore

__all__ = ["command"]


@dataclass(frozen=True)
class Doomed:
    """One session that is to go."""

    target: Target
    #: None: the file does not start with a header.
    meta: PersistedSessionMeta | None

    @property
    def name(self) -> str:
        """Id, else file name."""
        return str(self.meta.id) if self.meta is not None else str(self.target.path)


@click.command(
    epilog="""\
\b
Examples:
  sessiontail rm 4f2c                one session; shows it and asks
  sessiontail rm 4f2c 81d0 --yes     two, without asking
  sessiontail rm --yes ./old.jsonl   a file, also one that is damaged from its first line

\b
Exit codes: 0 deleted, 1 not found, refused, or not confirmed, 2 usage.
"""
)
@directory_option
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@id_argument(many=True, required=True)
def command(*, directory: str | None, ids: tuple[str, ...], yes: bool, output: str) -> int:
    """Delete sessions, their unfinished files too.

    ID is an id, the beginning of one, or a path. A session that somebody writes is refused. Shows
    what goes; deletes only with --yes or when confirmed at a terminal.
    """
    store = SessionStore(directory)
    doomed, refused = anyio.run(_find, store, ids)
    out = Output()
    if output == "text":
        known = [one.meta for one in doomed if one.meta is not None]
        if known:
            print_table(out, known)
        for one in doomed:
            if one.meta is None:
                out.line(f"{one.name}: does not start with a header")
        out.flush()
    deleted: list[str] = []
    if doomed and confirm(f"Delete {_count(len(doomed))}?", yes=yes):
        deleted = anyio.run(_delete, store, doomed)
        note(f"{_count(len(deleted))} deleted")
    if output == "json":
        found = [one.name for one in doomed]
        out.line(json.dumps({"found": found, "deleted": deleted}, indent=2))
        out.flush()
    return 0 if len(deleted) == len(doomed) and not refused else 1


async def _find(store: SessionStore, ids: tuple[str, ...]) -> tuple[list[Doomed], int]:
    """Return what may go, and how many may not: those are told."""
    doomed: dict[str, Doomed] = {}
    refused = 0
    for text in ids:
        try:
            one = await _look(store, text)
        except PersistenceError as error:
            note(str(error))
            refused += 1
        else:
            doomed[one.name] = one
    return list(doomed.values()), refused


async def _look(store: SessionStore, text: str) -> Doomed:
    target = await resolve(store, text)
    try:
        meta = await store.meta(target.session_id, path=target.path)
    except DamagedSession:
        if target.path is None or not split_name(target.path.name):
            raise
        return Doomed(target, None)
    if meta.state is SessionState.LIVE:
        who = f"process {meta.writer_pid}" if meta.writer_pid else "a writer"
        raise SessionBusy(f"{who} is writing it; it is kept", path=meta.path)
    return Doomed(target, meta)


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
