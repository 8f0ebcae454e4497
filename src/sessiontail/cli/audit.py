"""``sessiontail audit``: all sessions of a directory, counted and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import click

from sessiontail.cli.audit_choice import SORTS, chosen_of, ordered
from sessiontail.cli.audit_forms import (
    ANSWER_FORMS,
    answer_as,
    form_of,
    print_answer,
    report_as,
)
from sessiontail.cli.audit_text import print_audits, print_total, ways_on
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.mistakes import OneOf
from sessiontail.cli.options import (
    cache_option,
    created_options,
    directory_argument,
    directory_option,
    output_option,
    states_option,
)
from sessiontail.cli.progress import ByteMeter
from sessiontail.cli.targets import shorten
from sessiontail.cli.telling import tell_why_none
from sessiontail.cli.terminal import Output, note
from sessiontail.cli.values import NewFile
from sessiontail.directory.audit import AuditPass, audit_sessions
from sessiontail.directory.audit_progress import AuditProgress
from sessiontail.format.audit import DirectoryAudit, SessionAudit, summarize
from sessiontail.format.brief import counted
from sessiontail.reports.duck import need_duckdb
from sessiontail.reports.sql import QueryResult, query_audits
from sessiontail.system.fresh_files import FreshFile

__all__ = ["command"]

# Of a table for people, the others being no worse.
_SHOWN = 20
_FAILS: dict[str | None, tuple[str, ...]] = {"warning": ("warning", "error"), "error": ("error",)}
_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command(
    epilog="""\
\b
Examples:
  sessiontail audit                           the worst sessions, and what there is in all
  sessiontail audit --fail-on error           for CI: exit code 1 if something is lost
  sessiontail audit --to report.html          a page for the browser, without scripts
  sessiontail audit --to audit.parquet        for pandas, polars, DuckDB, Spark
  sessiontail audit -o csv | head             one row a session
  sessiontail audit -o jsonl | jq -r 'select(.findings != []) | .file'
  sessiontail audit --sql "select tool, sum(own_calls) n from tools group by 1 order by n desc"
  sessiontail audit --sql "describe sessions" what there is to ask for
  sessiontail audit s3://bucket/sessions      closed sessions of a bucket
  sessiontail repair ID --to clean.jsonl      a copy without what audit found damaged

\b
Exit codes: 0 fine, 1 no session fits, a finding as bad as --fail-on says, or the file cannot be
written, 2 usage, 130 interrupted.
"""
)
@directory_argument
@directory_option
@states_option("Only sessions in this state; may be repeated.")
@created_options
@click.option(
    "--sort",
    type=OneOf(SORTS),
    default="findings",
    show_default=True,
    help="Order of the sessions; the worst, newest, largest or most first.",
)
@click.option("-r", "--reverse", is_flag=True, help="The other way round.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the first N sessions of the order; what is summed up is of all.  "
    f"[default: {_SHOWN} in text, else all]",
)
@output_option(
    "text",
    "json",
    "jsonl",
    "csv",
    "parquet",
    "html",
    text="text: for people. json: one object. jsonl: an object a session. csv, parquet: a row a "
    "session. html: a page. With --sql: text, json, jsonl or csv.",
)
@click.option(
    "--to",
    metavar="FILE",
    type=NewFile(),
    help="Write to this file, whole or not at all; its ending says the form, if -o does not.",
)
@click.option("--force", "replace", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--fail-on",
    type=OneOf(["warning", "error"]),
    help="Exit code 1 if a session has such a finding, or a worse one.",
)
@click.option("--sql", metavar="QUERY", help="Ask the tables sessions, findings, tools (DuckDB).")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes.  [default: one a core]",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Read by the workers of a Dask cluster: tcp://host:8786."
)
@cache_option
@look_options(records=False, paged=True)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    where: str | None,
    directory: str | None,
    states: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    sort: str,
    reverse: bool,
    number: int | None,
    output: str,
    to: str | None,
    replace: bool,
    fail_on: str | None,
    sql: str | None,
    jobs: int | None,
    scheduler: str | None,
    cache: bool,
    look: Look,
) -> int:
    """Audit all sessions of a directory: what is damaged, what they used, what failed.

    Every line of every file is read, by all cores; what has not changed since is not read again.
    OWN are rows that no earlier session has, of all ROWS; CALLS and FAILED are of these, too, and so
    are all sums: each row counts once. "?" is unknown, never 0. A result FAILED if it says so: its
    payload has is_error, or its text is JSON with "ok": false, an exit_code or an error.

    An error is something that is lost or cannot be read; a warning is a file that is not as a writer
    leaves it; what is only good to know is info.
    """
    typed = {name for name in ctx.params if ctx.get_parameter_source(name) is not _DEFAULT}
    if where is not None and "directory" in typed:
        raise click.UsageError("DIR and --dir say the same: give one of them")
    if to is not None and "output" not in typed:
        output = form_of(to) or output
    out = look.open()
    if scheduler is not None and "://" not in scheduler:
        raise click.UsageError(f"--scheduler {scheduler}: give an address, such as tcp://host:8786")
    if "output" in typed and output == "text" and to is not None:
        raise click.UsageError(
            "-o text is for a terminal; --to takes -o json, jsonl, csv, parquet or html"
        )
    _check(output, to, sql, number, terminal=out.terminal)
    with _copy(to, replace=replace) as file:
        meter = ByteMeter("reading")
        audits = audit_sessions(
            directory=where if where is not None else directory,
            jobs=jobs,
            executor=scheduler,
            cache=cache,
            on_progress=partial(_show, meter),
        )
        found = anyio.run(_collect, audits, meter)
        chosen = ordered(chosen_of(found, states, since, until), sort, reverse=reverse)
        place = os.fspath(audits.directory)
        total = summarize(chosen)
        pieces: Iterable[bytes] = ()
        if sql is not None:
            pieces = _answer(out, chosen, sql, output)
        elif output == "text":
            _tell(out, found, chosen, total, number)
        else:
            shown = chosen[:number]
            now = datetime.now(UTC)
            pieces = report_as(output, shown, total, directory=place, made_at=now)
        for piece in pieces:
            (out.bytes if file is None else file.write)(piece)
        if file is not None:
            file.commit()
            note(f"{to}: {counted(file.size, 'byte')}")
        out.flush()
    if not chosen:
        tell_why_none(audits.directory, len(found), by_option=False)
        return 1
    bad = sum(total.sessions_by_severity.get(severity, 0) for severity in _FAILS.get(fail_on, ()))
    if output == "text" and sql is None:
        for way in ways_on(chosen, place if where or directory else None):
            note(way)
    if bad:
        note(f"--fail-on {fail_on}: {counted(bad, 'session')}")
    return 1 if bad else 0


def _check(
    output: str, to: str | None, sql: str | None, number: int | None, *, terminal: bool
) -> None:
    """Refuse what cannot be done before anything is read."""
    if to is not None and output == "text":
        raise click.UsageError(
            f"--to {to}: say in which form, with -o json, jsonl, csv, parquet or html"
        )
    if output == "parquet" and to is None and terminal:
        raise click.UsageError("-o parquet is no text: add --to FILE, or lead it to a program")
    if sql is None:
        if output == "parquet":
            need_duckdb()
        return
    if output not in {"text", *ANSWER_FORMS}:
        raise click.UsageError(f"--sql has no -o {output}; take text, {', '.join(ANSWER_FORMS)}")
    if number is not None:
        raise click.UsageError("-n is of sessions; write LIMIT in the query")
    _query([], sql)


def _query(audits: list[SessionAudit], sql: str) -> QueryResult:
    try:
        return query_audits(audits, sql)
    except ValueError as error:
        raise click.UsageError(f"--sql: {error}") from error


@contextmanager
def _copy(to: str | None, *, replace: bool) -> Iterator[FreshFile | None]:
    """Yield the file that comes to be, with the mode of any new one; none is left where that fails."""
    umask = os.umask(0o077)  # there is no other way to ask for it
    os.umask(umask)
    file = None if to is None else FreshFile(Path(to), replace=replace, mode=0o666 & ~umask)
    try:
        yield file
    finally:
        if file is not None:
            file.discard()


def _show(meter: ByteMeter, far: AuditProgress) -> None:
    """Show how far it is; when all is read, what each has of the others is found out."""
    if far.files_done < far.files:
        meter.show_files(far.files_done, far.files, far.bytes_done, far.bytes)
    else:
        meter.show(far.files, far.files, what="comparing sessions")


async def _collect(audits: AuditPass, meter: ByteMeter) -> list[SessionAudit]:
    try:
        async with audits:
            return [one async for one in audits]
    finally:
        meter.close()


def _answer(out: Output, chosen: list[SessionAudit], sql: str, form: str) -> Iterable[bytes]:
    """Return what the query answers; print it where that is for people."""
    answer = _query(chosen, sql)
    if form != "text":
        return answer_as(form, answer)
    print_answer(out, answer)
    return ()


def _tell(
    out: Output,
    found: list[SessionAudit],
    chosen: list[SessionAudit],
    total: DirectoryAudit,
    number: int | None,
) -> None:
    """Print the first sessions, and what there is in all."""
    if not chosen:
        return
    shown = chosen[: _SHOWN if number is None else number]
    if shown:
        print_audits(out, shown, shorten({one.id_text for one in found if one.id_text is not None}))
        out.line()
    print_total(out, total)
    if number != 0 and len(shown) < len(chosen):
        rest = counted(len(chosen) - len(shown), "more session")
        note(f"{rest}; -n {len(chosen)} shows all")
