"""``/api/lineage``: who descends from whom, with its place in a picture; or the picture."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.directory.lineage import Lineage
from sessiontail.directory.picture import draw_svg
from sessiontail.directory.sketch import drawn
from sessiontail.directory.tracing import lineage_of
from sessiontail.format.valid_json import valid_json
from sessiontail.service.api.bodies import answer
from sessiontail.service.api.disconnects import until_disconnect
from sessiontail.service.api.endpoints import Answer, Endpoint, refusal
from sessiontail.service.api.metas import compared
from sessiontail.service.api.parameters import Parameter, read
from sessiontail.service.api.schemas import (
    COUNT,
    FLAG,
    MOMENT,
    NUMBER,
    SCHEMA_ONE,
    STATE,
    TEXT,
    UUID as ID,
    closed,
    listed,
    nullable,
    one_of,
)
from sessiontail.service.api.slots import Slots
from sessiontail.service.context import Context, context_of
from sessiontail.service.problems import Problem
from sessiontail.system.files import in_thread

__all__ = ["ENDPOINTS"]

_SVG = "image/svg+xml"
# The picture has its colours in itself, and nothing else: opened alone, it can do nothing.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"

_PARAMETERS = (
    Parameter(
        name="session",
        about="What this session descends from, and what descends from it; it may be a parent "
        "that has no file. Without it, all of the directory.",
        kind="session",
    ),
    Parameter(
        name="ancestors",
        about="Of one session: only what it descends from.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="descendants",
        about="Of one session: only what descends from it.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="named",
        about="Only links that headers name; none that are found by content.",
        kind="flag",
        default=False,
    ),
    Parameter(
        name="format",
        about="json, or svg: a picture, for light and dark.",
        choices=("json", "svg"),
        default="json",
    ),
)


def _slots(context: Context) -> Slots:
    return Slots("answers about descent", context.limits.lineages)


async def _read(context: Context) -> Lineage:
    return await in_thread(lineage_of, await compared(context))


async def _lineage(request: Request) -> Response:
    values = read(request, _PARAMETERS)
    context = context_of(request)
    session_id: UUID | None = values["session"]
    if session_id is None and (values["ancestors"] or values["descendants"]):
        raise Problem(400, "ancestors and descendants are of one session: give session, too")
    with context.part(_slots).hold():
        lineage = await until_disconnect(request, lambda: _read(context))
        if values["named"]:
            lineage = lineage.named()
        if session_id is not None:
            both = values["ancestors"] == values["descendants"]
            lineage = lineage.around(
                session_id,
                ancestors=values["ancestors"] or both,
                descendants=values["descendants"] or both,
            )
        most = context.limits.lineage_nodes
        if len(lineage.nodes) > most or len(lineage.edges) > 2 * most:
            name = "name a session" if session_id is None else "ask for its ancestors only"
            raise Problem(
                413,
                f"the lineage has {len(lineage.nodes)} sessions and {len(lineage.edges)} links, "
                f"{most} and {2 * most} are the most in one answer: {name}",
            )
        if values["format"] == "svg":
            picture = await in_thread(draw_svg, lineage)
            policy = {"Content-Security-Policy": _SVG_POLICY}
            return answer(request, picture.encode("utf-8", "replace"), policy, _SVG)
        body = await in_thread(_as_json, lineage)
    return answer(request, body)


def _as_json(lineage: Lineage) -> bytes:
    told = drawn(lineage)
    for node in told["nodes"]:
        node["files"] = [PurePath(file).name for file in node["files"]]
    return f"{valid_json(told)}\n".encode()


_WORDS = {"name": TEXT, "head": TEXT, "facts": TEXT, "sentence": TEXT}
_NODE = closed(
    id=ID,
    state=nullable(STATE),
    title=nullable(TEXT),
    created_at=nullable(MOMENT),
    own_count=nullable(COUNT),
    inherited_count=nullable(COUNT),
    files=listed(TEXT),
    missing=FLAG,
    x=NUMBER,
    y=NUMBER,
    width=NUMBER,
    height=NUMBER,
    **_WORDS,
)
_EDGE = closed(
    child=ID,
    parent=ID,
    by=one_of(("header", "content")),
    position=nullable(COUNT),
    path={"type": "string", "pattern": r"^M[-0-9.MVCc ]*$"},
    tip=one_of(("start", "end")),
    cycle=FLAG,
    sentence=TEXT,
)
_IDS: dict[str, Any] = listed(ID)
_LINEAGE = closed(
    schema=SCHEMA_ONE,
    focus=nullable(ID),
    ancestors=nullable(_IDS),
    descendants=nullable(_IDS),
    nodes=listed(_NODE),
    edges=listed(_EDGE),
    roots=_IDS,
    cycles=listed(_IDS),
    width=NUMBER,
    height=NUMBER,
)

ENDPOINTS = (
    Endpoint(
        path="/api/lineage",
        handle=_lineage,
        operation_id="lineage",
        summary="Who descends from whom, with the place of each in a picture; or the picture, as SVG.",
        parameters=_PARAMETERS,
        responses={
            200: Answer(
                about="Boxes and lines in pixels: x, y is the upper left corner of a box, path the d "
                "of an SVG path, tip the end of it at which the child is.",
                schema=_LINEAGE,
                also={_SVG: None},
            ),
            413: refusal("There are too many for one answer: name a session."),
        },
    ),
)
