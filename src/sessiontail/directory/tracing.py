"""a directory -> who descends from whom in it, by what headers name and by what rows are copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from os import PathLike

from sessiontail.directory.lineage import Lineage, LineageEdge, LineageNode
from sessiontail.directory.outlines import SessionOutline, outlines_of
from sessiontail.directory.scan import Scan, by_age
from sessiontail.system.files import in_thread
from sessiontail.system.paths import WAL_ENDING, sessions_dir

__all__ = ["lineage_of", "read_lineage"]


async def read_lineage(
    *,
    directory: str | PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: bool = True,
) -> Lineage:
    """Return who descends from whom among the sessions of a directory.

    Reads of each file what ``SessionStore.outlines`` reads; what was compared is kept in this
    process. Files that are no sessions are in ``skipped``.

    Args:
        directory: where the session files lie; by default where openrath puts them.
        progress: called now and then with how many of how many sessions are compared.
        cache: False does without what earlier processes have kept of many files.

    Raises:
        PersistenceError: the directory cannot be read; one that is absent is empty.
    """
    where = sessions_dir(directory)
    scan = Scan(where, cache=cache)
    metas = await in_thread(by_age, await scan.rest())

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, len(metas))

    outlines = await outlines_of(metas, where, progress=tell, cache=cache)
    return replace(await in_thread(lineage_of, outlines), skipped=tuple(scan.skipped))


def lineage_of(outlines: Iterable[SessionOutline]) -> Lineage:
    """Return who descends from whom among sessions.

    Of two files of one session, the later one speaks: the WAL of one that was opened again.

    Args:
        outlines: of all sessions of a directory, oldest first.
    """
    latest: dict[str, SessionOutline] = {}
    # A list for each session would be the collector's business, on the event loop too.
    several: dict[str, list[SessionOutline]] = {}
    for one in outlines:
        known = latest.setdefault(one.meta.id_text, one)
        if known is not one:
            several.setdefault(one.meta.id_text, [known]).append(one)
    for name, same in several.items():
        same.sort(key=_age, reverse=True)
        latest[name] = same[0]
    nodes: dict[str, LineageNode] = {}
    edges: list[LineageEdge] = []
    for name, one in latest.items():
        nodes[name] = LineageNode(
            id_text=name,
            state=one.meta.state,
            title=one.title,
            created_at=one.meta.created_at,
            own_count=one.own_count,
            inherited_count=one.inherited_count,
            files=tuple([other.meta.file for other in several.get(name, (one,))]),
        )
        edges += _links(one)
    for edge in edges:
        if edge.parent not in nodes:
            nodes[edge.parent] = LineageNode(id_text=edge.parent)
    return Lineage(nodes=tuple(nodes.values()), edges=tuple(edges))


def _links(one: SessionOutline) -> list[LineageEdge]:
    child, parents = one.meta.id_text, one.meta.parent_texts
    links = [LineageEdge(child, parent, i) for i, parent in enumerate(parents)]
    found = one.parent_text
    # A session that was opened again begins with its own rows.
    if found is not None and found != child and found not in parents:
        links.append(LineageEdge(child, found, None))
    return links


def _age(one: SessionOutline) -> tuple[datetime, bool, str]:
    return one.meta.created_at, one.meta.file.endswith(WAL_ENDING), one.meta.file
