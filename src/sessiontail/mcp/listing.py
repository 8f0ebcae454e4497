"""``list_sessions``, ``usage``, ``lineage``: which there are, what they took, who comes from whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sessiontail.directory.conversations import way_to
from sessiontail.directory.family import family_of
from sessiontail.directory.lineage import Lineage as Kin
from sessiontail.directory.naming import shorten
from sessiontail.directory.newest import Spot, newest_first
from sessiontail.directory.outlines import SessionOutline, outlines_of
from sessiontail.directory.selecting import Selection, mentions
from sessiontail.directory.tracing import read_lineage
from sessiontail.errors import SessionNotFound
from sessiontail.format.brief import counted
from sessiontail.format.condensed import sound
from sessiontail.format.cursor import as_token, from_token
from sessiontail.format.guides import guided
from sessiontail.format.moments import moment_of
from sessiontail.format.plain import plain
from sessiontail.format.tally import UsageTotal
from sessiontail.mcp.answers import Answer, ToolError
from sessiontail.mcp.arguments import Lineage, ListSessions, Usage
from sessiontail.mcp.toolbox import Progress, Toolbox
from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.files import in_thread

__all__ = ["lineage", "list_sessions", "usage"]

_PREFIX = "st1l."
# Sessions whose titles are read in one go, where a text is looked for in them.
_AT_ONCE = 256
# Of a title, in text; and of an operator.
_TITLE = 160
# Of a conversation, so many of its last turns are named; all are counted.
_TURNS = 200
# Of the parents of one session.
_PARENTS = 50
# Sessions of a page that were looked at for a text, at most.
_LOOKED_AT = 20_000


async def list_sessions(tools: Toolbox, asked: ListSessions, _: Progress) -> Answer:
    """Return a page of sessions, the newest first."""
    since = None
    if asked.since is not None:
        since = moment_of(asked.since, datetime.now(UTC))
        if since is None:
            raise ToolError(f"{asked.since!r} is no time: 15m, 2h, 3d, or 2026-01-31T08:00Z")
    start = None if asked.cursor is None else from_token(_PREFIX, asked.cursor, Spot)
    metas = await tools.store.scan().rest()
    chosen = Selection(states=asked.state or (), since=since)
    ordered = await in_thread(newest_first, metas, start)
    fit = [(spot, meta) for spot, meta in ordered if chosen.takes(meta)]
    size = asked.limit if asked.text is None else _AT_ONCE
    rows: list[SessionOutline] = []
    next_spot: Spot | None = None
    for begin in range(0, len(fit), size):
        if len(rows) == asked.limit or begin >= _LOOKED_AT:
            next_spot = next_spot or fit[begin][0]
            break
        some = fit[begin : begin + size]
        outlines = await outlines_of(
            [meta for _, meta in some], tools.store.directory, among=metas, cache=True
        )
        for (spot, _meta), one in zip(some, outlines, strict=True):
            if asked.text is not None and not mentions(one, asked.text):
                continue
            if len(rows) == asked.limit:
                next_spot = spot
                break
            rows.append(one)
        if next_spot is not None:
            break
    following = None if next_spot is None else as_token(_PREFIX, next_spot)
    told = f"{len(rows)} of {counted(len(metas), 'session')}, the newest first."
    told += " That is all." if following is None else f"\nThere are more: cursor={following}"
    return Answer(
        found={"sessions": [*map(_row, rows)], "total": len(metas), "next": following},
        data="\n".join(map(_line, rows)),
        told=told,
    )


def _row(one: SessionOutline) -> dict[str, Any]:
    meta = one.meta
    usage = meta.cumulative_usage
    return {
        "id": meta.id_text,
        "state": meta.state.value,
        "title": None if one.title is None else sound(one.title),
        "created_at": plain(meta.created_at),
        "modified_at": plain(meta.modified_at),
        "chunk_count": meta.chunk_count,
        "own_count": one.own_count,
        "size_bytes": meta.size_bytes,
        "total_tokens": None if usage is None else usage.total_tokens,
        "parent": one.parent_text,
        "lineage_operator": sound(meta.lineage_operator[:_TITLE]),
    }


def _line(one: SessionOutline) -> str:
    meta = one.meta
    title = (one.title or "(nothing said)")[:_TITLE]
    return f"{meta.id_text}  {meta.state}  {plain(meta.created_at)}  {counted(one.own_count, 'message')}  {sound(title)}"


async def usage(tools: Toolbox, asked: Usage, _: Progress) -> Answer:
    """Return sums of tokens, and of how many sessions they are known."""
    if asked.session is None:
        if asked.conversation:
            raise ToolError("conversation=true is of a session: give session as well")
        metas: Sequence[PersistedSessionMeta] = await tools.store.scan().rest()
        return _told({"all": _sums(metas)})
    session_id = await tools.meant(asked.session)
    meta = await tools.store.meta(session_id)
    sums: dict[str, Any] = {"session": {"session_id": meta.id_text, **_sums([meta])}}
    if asked.conversation:
        way = way_to(session_id, await tools.store.outlines())
        turns = [one.meta for one in way] or [meta]
        ids = [turn.id_text for turn in turns[-_TURNS:]]
        sums["conversation"] = {"session_ids": ids, **_sums(turns)}
    return _told(sums)


def _sums(metas: Sequence[PersistedSessionMeta]) -> dict[str, Any]:
    total = UsageTotal.of((meta.cumulative_usage, False) for meta in metas)
    counts: dict[str, Any] = plain(total)
    del counts["damaged"]  # nobody looked for the reason
    if not total.known:  # unknown is not 0
        counts |= dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"))
    return {"sessions": len(metas), **counts}


def _told(sums: dict[str, Any]) -> Answer:
    lines = []
    for what, one in sums.items():
        said = "unknown"
        if one["known"]:
            parts = f"{one['prompt_tokens']} prompt, {one['completion_tokens']} completion"
            said = f"{one['total_tokens']} tokens ({parts}) in {counted(one['known'], 'session')}"
        if one["unknown"]:
            said += (
                f"; of {counted(one['unknown'], 'session')} nobody knows: they run, crashed, or nobody "
                "counted"
            )
        lines.append(f"{what}: {said}")
    return Answer(found=sums, data="", told="\n".join(lines))


async def lineage(tools: Toolbox, asked: Lineage, _: Progress) -> Answer:
    """Return the sessions around one: what it comes from, and what comes from it."""
    kin = await read_lineage(directory=tools.store.directory)
    focus = await _meant(tools, asked.session, kin)
    around = kin.around(focus, ancestors=asked.ancestors, descendants=asked.descendants)
    ancestors = around.ancestors(focus) if asked.ancestors else ()
    descendants = around.descendants(focus) if asked.descendants else ()
    nearest = dict.fromkeys([str(focus), *map(str, ancestors), *map(str, descendants)])
    shown = {*[*nearest][: asked.limit]}
    left_out = len(nearest) - len(shown)
    told = f"{counted(len(ancestors), 'ancestor')} and {counted(len(descendants), 'descendant')} of {focus}."
    told += f" {left_out} of them are not shown: limit is {asked.limit}." if left_out else ""
    if around.cycles:
        told += " Some descend from themselves."
    part = Kin(
        nodes=tuple(node for node in around.nodes if node.id_text in shown),
        edges=tuple(e for e in around.edges if e.child in shown and e.parent in shown),
        focus=focus,
    )
    return Answer(
        found={
            "focus": str(focus),
            "ancestors": [one for one in map(str, ancestors) if one in shown],
            "descendants": [one for one in map(str, descendants) if one in shown],
            "sessions": [
                {
                    "id": node.id_text,
                    "state": None if node.state is None else node.state.value,
                    "title": None if node.title is None else sound(node.title),
                    "created_at": plain(node.created_at),
                    "parents": [
                        edge.parent for edge in kin.parents.get(node.id_text, [])[:_PARENTS]
                    ],
                }
                for node in part.nodes
            ],
            "left_out": left_out,
        },
        data=_tree(part, kin),
        told=told,
    )


async def _meant(tools: Toolbox, text: str, kin: Kin) -> UUID:
    """Return the session that is meant, which may be a parent that has no file."""
    found = kin.find(text)
    if len(found) == 1:
        return found[0]
    session_id = await tools.meant(text)
    if str(session_id) not in kin.by_id:
        raise SessionNotFound(f"no session has the id {session_id}")
    return session_id


def _tree(part: Kin, whole: Kin) -> str:
    """Return a lineage as trees, each session below the one that it goes on from."""
    family = family_of(part)
    short = shorten(whole.by_id)
    lines = []
    for root in family.roots:
        for guide, name in guided(root, lambda name: family.children.get(name, [])):
            node = part.by_id[name]
            title = "(no file)" if node.missing else sound((node.title or "")[:_TITLE])
            mark = "  <- this one" if part.focus == node.id else ""
            lines.append(f"{guide}{short[name]}  {node.state or 'missing'}  {title}{mark}")
    return "\n".join(lines)
