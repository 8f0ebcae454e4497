"""``sessiontail export``: a session as messages, a page or a trajectory."""

from __future__ import annotations

import anyio
import click

from sessiontail.cli.beside import unwrapped
from sessiontail.cli.look import Look
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import directory_option, id_argument
from sessiontail.cli.progress import ByteMeter
from sessiontail.cli.targets import Finder
from sessiontail.cli.terminal import note
from sessiontail.cli.values import NewFile
from sessiontail.directory.exports import Export, export_session
from sessiontail.format.brief import counted, short
from sessiontail.format.exporting import FORMS, ExportForm
from sessiontail.session.ends import no_header
from sessiontail.store import SessionStore

__all__ = ["command"]

# How often the bar moves.
_MOVES_S = 0.1


@click.command(
    epilog="""\
\b
Examples:
  sessiontail export 4f2c -o html --to run.html    a page to read, or to send to somebody
  sessiontail export 4f2c -o markdown | less       the same as text
  sessiontail export 4f2c -o messages | jq length  for a chat API: an array of role and content
  sessiontail export 4f2c -o atif --to run.json    a trajectory, for what reads ATIF v1.8

\b
Exit codes: 0 exported; 1 not found, no session, or not to be read or written; 2 usage;
130 interrupted.
"""
)
@directory_option
@click.option(
    "-o",
    "--output",
    "form",
    type=OneOf(FORMS),
    required=True,
    help="messages: JSON, OpenAI's chat form. markdown, html: a page; html is one file without "
    "scripts, for light and dark. atif: JSON, the Agent Trajectory Interchange Format.",
)
@click.option(
    "--to",
    metavar="FILE",
    type=NewFile(),
    help="A new file, there when all of it is.  [default: standard output]",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--inherited",
    is_flag=True,
    help="On a page, also the rows that the session has copied from an earlier one, marked; else a "
    "line says how many they are. messages and atif have them always.",
)
@id_argument(many=False, required=True)
def command(
    *,
    directory: str | None,
    session_id: str,
    form: ExportForm,
    to: str | None,
    force: bool,
    inherited: bool,
) -> int:
    """Write a session in another form.

    ID is an id, the beginning of one, or a path. On a page, calls stand with their results, and damage
    where it is; nothing that an agent wrote is more than text. A session that runs is exported as far
    as it is written.
    """
    out = Look().open()

    async def write() -> int:
        store = SessionStore(directory)
        target = await Finder(store).find(session_id)
        export = export_session(
            target.session_id,
            form=form,
            path=target.path,
            directory=store.directory,
            inherited="include" if inherited else None,
        )
        async with export:
            with unwrapped():
                async with anyio.create_task_group() as beside:
                    if to is not None or not out.terminal:
                        beside.start_soon(_show, export)
                    if to is not None:
                        await export.save(to, force=force)
                    else:
                        async for piece in export:
                            out.bytes(piece.encode())
                        out.flush()
                    beside.cancel_scope.cancel()
            if form == "messages":
                _tell_left_out(export)
            if (left := export.inherited) is not None and left.count:
                rows = counted(left.count, "row")
                note(f"{rows} from {short(left.origin or '?')} left out; --inherited shows them")
            if export.header is None:
                note(f"{export.path.name}: {no_header(export.path, b'')}")
                return 1
        return 0

    return anyio.run(write)


async def _show(export: Export) -> None:
    """Show how far it is, until this is cancelled."""
    meter = ByteMeter("exporting")
    try:
        while True:
            if export.size_bytes is None:  # what the session has inherited is found out
                meter.show(0, None, what="looking at the directory")
            else:
                meter.show_bytes(export.bytes_done, export.size_bytes)
            await anyio.sleep(_MOVES_S)
    finally:
        meter.close()


def _tell_left_out(export: Export) -> None:
    """Say what of the file has no place among messages."""
    if export.damaged_lines:
        lines = counted(export.damaged_lines, "damaged line")
        note(f"{lines} left out; -o markdown shows them")
    if export.torn_bytes:
        note(f"{counted(export.torn_bytes, 'byte')} after the last whole line left out: no record")
