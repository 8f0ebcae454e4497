"""JSON that a model sends -> what a tool is asked, within its limits; or words on what is wrong.

Each shape is also the schema that a client is shown (``schema_of``): types, limits, defaults, and what
each argument is for.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from sessiontail.mcp.answers import ToolError

__all__ = [
    "Lineage",
    "ListSessions",
    "ReadSession",
    "Search",
    "Usage",
    "WaitFor",
    "parse",
    "schema_of",
]

_T = TypeVar("_T")

_State = Literal["live", "closed", "abandoned", "unknown"]
_Kind = Literal["system", "user", "assistant", "tool_result", "header", "trailer", "damage"]
_SearchedKind = Literal["system", "user", "assistant", "tool_result", "damage"]

# As a client sends it: what it does not know is null, or left out.
_Session = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        description="A session's id, or any beginning of it that no other session has.",
    ),
]
_Kinds = Annotated[list[_Kind], Meta(min_length=1, max_length=7)]
_Cursor = Annotated[str, Meta(min_length=1, max_length=1_000_000)]
_KINDS = "Only records of these kinds. By default all."


class ListSessions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sessions are listed."""

    state: Annotated[
        Annotated[list[_State], Meta(min_length=1, max_length=4)] | None,
        Meta(description="Only sessions in one of these states. By default all."),
    ] = None
    since: Annotated[
        Annotated[str, Meta(min_length=1, max_length=40)] | None,
        Meta(
            description="Only sessions created since: 15m, 2h, 3d (ago), or an ISO 8601 time.",
        ),
    ] = None
    text: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(
            description="Only sessions with this in their id, title or lineage operator, in any "
            "case. What was said in a session is found by search.",
        ),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="So many sessions at most.")] = 30
    cursor: Annotated[
        _Cursor | None,
        Meta(description="`next` of the page before; the other arguments must be the same."),
    ] = None


class ReadSession(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which records are read; after, last and line are three ways to say where reading begins."""

    session: _Session
    after: Annotated[
        _Cursor | None,
        Meta(description="A cursor: only records behind it. By default from the start."),
    ] = None
    last: Annotated[
        Annotated[int, Meta(ge=1, le=200)] | None,
        Meta(description="Begin so many records before the end."),
    ] = None
    line: Annotated[
        Annotated[int, Meta(ge=1, le=2**53)] | None,
        Meta(description="Begin with this line of the session."),
    ] = None
    kinds: Annotated[_Kinds | None, Meta(description=_KINDS)] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="So many records at most.")] = 50
    max_characters: Annotated[
        int, Meta(ge=500, le=200_000, description="So many characters of text in the whole answer.")
    ] = 20_000
    max_text: Annotated[
        int,
        Meta(
            ge=100,
            le=200_000,
            description="A text that is longer is cut, and its record says so. The whole text: "
            "line=<its line>, limit=1, and this large enough.",
        ),
    ] = 2_000
    from_character: Annotated[
        int,
        Meta(
            ge=0,
            le=2**53,
            description="Begin each text with this character, from 0: for what is longer than max_text "
            "can be.",
        ),
    ] = 0
    inherited: Annotated[
        bool,
        Meta(
            description="Also the messages that the session has copied from the one it goes on from."
        ),
    ] = False


class Search(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is searched for, and where."""

    pattern: Annotated[
        str, Meta(min_length=1, max_length=1000, description="A text, as it stands; or see regex.")
    ]
    regex: Annotated[
        bool, Meta(description="Whether the pattern is a regular expression, as Python has them.")
    ] = False
    ignore_case: Annotated[bool, Meta(description="Capitals and small letters are the same.")] = (
        True
    )
    kinds: Annotated[
        Annotated[list[_SearchedKind], Meta(min_length=1, max_length=5)] | None,
        Meta(
            description="Only records of these kinds. By default all messages; damaged lines only if "
            "they are asked for.",
        ),
    ] = None
    session: Annotated[_Session | None, Meta(description="Only this session. By default all.")] = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=100, description="So many matches at most.")] = 20
    max_seconds: Annotated[
        float, Meta(ge=0.1, le=30, description="The search takes about so long at most.")
    ] = 10.0
    cursor: Annotated[
        _Cursor | None,
        Meta(description="`next` of the page before; the other arguments must be the same."),
    ] = None


class Usage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens are summed up."""

    session: Annotated[
        _Session | None, Meta(description="Of this session. By default of all together.")
    ] = None
    conversation: Annotated[
        bool,
        Meta(
            description="With session: of the whole conversation that led to it, turn by turn, as well."
        ),
    ] = False


class Lineage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Around which session."""

    session: _Session
    ancestors: Annotated[bool, Meta(description="What it comes from.")] = True
    descendants: Annotated[bool, Meta(description="What comes from it.")] = True
    limit: Annotated[
        int, Meta(ge=1, le=500, description="So many sessions at most, the nearest first.")
    ] = 100


class WaitFor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is waited for, where, and how long."""

    session: Annotated[
        _Session | None,
        Meta(
            description="In this session; by its whole id, also one that is not there yet. By default "
            "in any session that runs or begins."
        ),
    ] = None
    after: Annotated[
        _Cursor | None,
        Meta(
            description="A cursor: only records behind it. By default, in a session from its start; "
            "in any session from now on. For any session, only a `next` of this tool."
        ),
    ] = None
    kinds: Annotated[_Kinds | None, Meta(description=_KINDS)] = None
    tool: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(
            description="Only a message that calls this tool, or this tool's result (kinds tells "
            "which).",
        ),
    ] = None
    text: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1000)] | None,
        Meta(
            description="Only a message with this text in what was said, thought, or what a tool was "
            "given or gave, in any case.",
        ),
    ] = None
    timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="Wait so many seconds at most; 0: look, and return. Many clients cut a call off "
            "after 60.",
        ),
    ] = 50.0


def parse(shape: type[_T], arguments: dict[str, Any] | None) -> _T:
    """Return what a tool is asked.

    Raises:
        ToolError: that is not of this shape; it says where, and what there is.
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    names: tuple[str, ...] = getattr(shape, "__struct_fields__", ())
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ToolError(
            f"there is no argument {unknown[0][:100]!r}; this tool has {', '.join(names)}"
        )
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        raise ToolError(f"wrong argument: {error}".replace("$.", "")) from None


def schema_of(shape: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a shape, without references and titles."""
    _, components = msgspec.json.schema_components([shape], ref_template="{name}")
    schema: dict[str, Any] = components[shape.__name__]
    return {
        "type": "object",
        "properties": {name: _plain(one) for name, one in schema["properties"].items()},
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without null, which is the same as to leave the argument out."""
    inner = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {k: v for k, v in schema.items() if k != "anyOf" and (k, v) != ("default", None)}
    return {**inner[0], **rest} if inner else rest
