"""``sessiontail lineage``: which session descends from which."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import anyio
import click

from sessiontail.cli.kin import print_kin
from sessiontail.cli.look import Look, look_options
from sessiontail.cli.options import cache_option, directory_option, id_argument, output_option
from sessiontail.cli.progress import Meter
from sessiontail.cli.targets import Finder, Target
from sessiontail.cli.telling import tell_skipped, tell_why_none
from sessiontail.cli.terminal import note
from sessiontail.directory.diagrams import MERMAID_LINKS, draw_dot, draw_mermaid
from sessiontail.directory.lineage import Lineage
from sessiontail.directory.picture import draw_svg
from sessiontail.directory.tracing import read_lineage
from sessiontail.errors import SessionNotFound
from sessiontail.store import SessionStore

__all__ = ["command"]

_PICTURES: dict[str, Callable[[Lineage], str]] = {
    "dot": draw_dot,
    "mermaid": draw_mermaid,
    "svg": draw_svg,
}


@click.command(
    epilog="""\
\b
Examples:
  sessiontail lineage                     all of the directory, as trees
  sessiontail lineage 4f2c                what led to one, and what came of it
  sessiontail lineage 4f2c --ancestors    only what led to it
  sessiontail lineage -o svg > all.svg    a picture; open it in a browser
  sessiontail lineage -o dot | dot -Tpdf -o all.pdf
  sessiontail lineage 4f2c -o json | jq -r '.descendants[]'

\b
Exit codes: 0 shown, 1 none found, 2 usage.
"""
)
@directory_option
@id_argument(many=False, required=False)
@click.option("--ancestors", is_flag=True, help="Of one session: what it descends from.")
@click.option("--descendants", is_flag=True, help="Of one session: what descends from it.")
@click.option("--named", is_flag=True, help="Only links that headers name; none by content.")
@cache_option
@output_option(
    "text",
    "json",
    "dot",
    "mermaid",
    "svg",
    text="text: trees, for people. json: nodes, edges, roots, cycles. dot, mermaid: for Graphviz and "
    "Markdown. svg: a picture.",
)
@look_options(records=False, paged=True)
def command(
    *,
    directory: str | None,
    session_id: str | None,
    ancestors: bool,
    descendants: bool,
    named: bool,
    cache: bool,
    output: str,
    look: Look,
) -> int:
    """Show which session descends from which: of all, or of one.

    A header names a session's parents; a merge has two. Where the rows with which it begins are
    another session's, that is its parent too, found by content: "~" stands before it. Agents and
    merges have no file, nor has what was deleted: "?" stands before these. In pictures both are
    dashed.

    Of several parents, a session stands below the one whose rows it has, else below the first one
    that there is; PARENTS has all of them. ID may be a parent that has no file.
    """
    if session_id is None and (ancestors or descendants):
        raise click.UsageError("--ancestors and --descendants are of one session: name it")
    store = SessionStore(directory, cache=cache)
    whole, focus = anyio.run(partial(_read, cache=cache), store, session_id)
    if named:
        whole = whole.named()
    lineage = whole
    if focus is not None:
        both = ancestors == descendants
        lineage = whole.around(focus, ancestors=ancestors or both, descendants=descendants or both)
    out = look.open()
    if output == "json":
        out.line(out.json(json.dumps(lineage.to_dict(), indent=2, ensure_ascii=False)))
    elif output in _PICTURES:
        out.line(_PICTURES[output](lineage))
    else:
        print_kin(out, lineage, whole)
    out.flush()
    tell_skipped(lineage.skipped)
    for cycle in lineage.cycles:
        note(f"a cycle, each descends from itself: {', '.join(map(str, cycle))}")
    if output == "mermaid" and len(lineage.edges) > MERMAID_LINKS:
        note(
            f"Mermaid draws {MERMAID_LINKS} links at most, unless told otherwise, and these are "
            f"{len(lineage.edges)}; -o svg draws any number"
        )
    if not whole.nodes:
        tell_why_none(store.directory, 0)
    return 0 if whole.nodes else 1


async def _read(
    store: SessionStore, text: str | None, *, cache: bool
) -> tuple[Lineage, UUID | None]:
    """Return who descends from whom, and the session that the user means."""
    directory = store.directory
    target: Target | None = None
    unknown: SessionNotFound | None = None
    if text is not None:
        try:
            target = await Finder(store).find(text)
        except SessionNotFound as error:
            unknown = error
        if target is not None and target.session_id is None and target.path is not None:
            directory = target.path.absolute().parent
    meter = Meter("comparing sessions")
    try:
        lineage = await read_lineage(directory=directory, progress=meter.show, cache=cache)
    finally:
        meter.close()
    if target is not None:
        return lineage, _meant(target, lineage)
    return lineage, None if unknown is None else _without_file(text or "", lineage, unknown)


def _meant(target: Target, lineage: Lineage) -> UUID:
    """Return the id of a session that is given by id or by path."""
    if target.session_id is not None:
        return target.session_id
    assert target.path is not None
    for node in lineage.nodes:
        if target.path.name in {Path(file).name for file in node.files}:
            return node.id
    for error in lineage.skipped:
        if error.path is not None and error.path.name == target.path.name:
            raise SessionNotFound(
                error.message, path=error.path, line=error.line, offset=error.offset
            ) from error
    raise SessionNotFound("no session file of its directory", path=target.path)


def _without_file(text: str, lineage: Lineage, unknown: SessionNotFound) -> UUID:
    """Return the parent without a file that is meant, where no session is called so."""
    found = lineage.find(text)
    if len(found) > 1:
        raise click.UsageError(f"{text!r} begins {len(found)} ids, type more of one")
    if not found:
        raise unknown
    return found[0]
