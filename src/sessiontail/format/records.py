"""The records of a session file, as frozen values: header, chunks, trailer, damage.

Field names are the log's own, so that grep finds both sides. Parsing lives in ``decoding``.
None of them can be part of a cycle, so the garbage collector need not look at them (``gc=False``).
``to_dict`` gives the shape that ``plain`` describes, for any JSON writer. ``msgspec.json.encode`` takes
each as it is, faster, with these field names: there ``Damage.raw`` is base64, a span is ISO 8601 (PT60S)
and NaN is null; a lone surrogate, which UTF-8 has no bytes for, is a ``UnicodeEncodeError``.
Source: openrath 2.0.0, ``rath.session.persistence._serialize`` and ``rath.session.chunk``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from sessiontail.format.brief import brief, counted, quoted, short
from sessiontail.format.content import as_text, content_text
from sessiontail.format.plain import SCHEMA, jsonable, plain, plain_record

__all__ = [
    "Chunk",
    "ChunkKind",
    "Damage",
    "DamageReason",
    "Header",
    "LineageKind",
    "Record",
    "SandboxSpec",
    "TokenUsage",
    "ToolCall",
    "Trailer",
    "as_utc",
]


class ChunkKind(StrEnum):
    """Who speaks in a chunk. Equal to its text, and to openrath's own ``ChunkKind``."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_RESULT = "tool_result"


class LineageKind(StrEnum):
    """How a session came to be. What the log says and we do not know is ``UNKNOWN``."""

    UNKNOWN = "unknown"
    LEAF_USER = "leaf_user"
    LEAF_SYSTEM = "leaf_system"
    OP_CREATE = "op_create"
    OP_SESSION_LOOP = "op_session_loop"
    OP_FORK = "op_fork"
    OP_DETACH = "op_detach"
    OP_MERGE = "op_merge"
    OP_SESSION_COMPRESS = "op_session_compress"


class DamageReason(StrEnum):
    """Why a line is no record. Equal to its text."""

    INVALID_UTF8 = "invalid-utf8"
    INVALID_JSON = "invalid-json"
    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_RECORD = "unknown-record"
    MALFORMED_HEADER = "malformed-header"
    UNSUPPORTED_VERSION = "unsupported-version"
    DUPLICATE_HEADER = "duplicate-header"
    RECORD_BEFORE_HEADER = "record-before-header"
    MALFORMED_CHUNK = "malformed-chunk"
    MALFORMED_TRAILER = "malformed-trailer"
    LINE_TOO_LONG = "line-too-long"


class TokenUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one session, as its own writer counted them (children start anew)."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SandboxSpec(msgspec.Struct, frozen=True, gc=False):
    """The sandbox that a session was opened with. Values stand as the log has them."""

    image: str | None = None
    entrypoint: tuple[str, ...] | None = None
    env: dict[str, str] | None = None
    #: ``timeout_seconds`` of the log.
    timeout: timedelta | None = None
    working_dir: str | None = None

    def __repr__(self) -> str:
        return brief(self, quoted(self.image) if self.image is not None else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as the log has it, ``timeout_seconds`` and all."""
        return {
            "timeout_seconds" if name == "timeout" else name: plain(getattr(self, name))
            for name in self.__struct_fields__
        }


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """One call that the assistant asks for, in OpenAI's words."""

    id: str
    name: str
    #: JSON text as the model wrote it: often an object, sometimes not even JSON. What a file has as
    #: a value and not as text, as JSON.
    arguments: str
    type: str = "function"

    def __repr__(self) -> str:
        return brief(self, quoted(self.name, 30), quoted(self.arguments))

    def parsed(self) -> Any:
        """Return ``arguments`` as Python values, or None where they are no JSON."""
        try:
            return json.loads(self.arguments)
        except (ValueError, RecursionError):
            return None


class Header(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The first record: which session this is, and where it came from."""

    id: UUID
    #: Always aware; a time without an offset is UTC.
    created_at: datetime
    schema_version: int = 1
    parent_session_ids: tuple[UUID, ...] = ()
    lineage_operator: str = "implicit"
    lineage_kind: LineageKind = LineageKind.UNKNOWN
    #: Pairs of name and any JSON value, in file order.
    lineage_extras: tuple[tuple[str, Any], ...] = ()
    sandbox_backend: str | None = None
    sandbox_spec: SandboxSpec | None = None
    sandbox_handle_id: str | None = None

    def __repr__(self) -> str:
        return brief(self, short(self.id), str(self.lineage_kind))

    def to_dict(self, session_id: UUID | str | None = None) -> dict[str, Any]:
        """Return the header as JSON has it (``plain``); its session's id is its own ``id``."""
        fields = msgspec.structs.asdict(self)
        fields["lineage_extras"] = [[str(k), jsonable(v)] for k, v in self.lineage_extras]
        fields["sandbox_spec"] = self.sandbox_spec and self.sandbox_spec.to_dict()
        return plain_record("header", session_id or self.id, fields)


class Chunk(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    tag="chunk",
    tag_field="record_type",
    forbid_unknown_fields=True,  # lets the fast path notice the odd line (decoding)
):
    """One message of the conversation."""

    kind: ChunkKind
    #: system, user ``{content}``; assistant ``{content, tool_calls}``;
    #: tool_result ``{tool_call_id, name, content}``. Any JSON values, as written.
    payload: dict[str, Any]
    #: From 0 in each writer's count; None where the file has no integer there.
    index: int | None = None

    def __repr__(self) -> str:
        content, calls = self.payload.get("content"), len(self.tool_calls)
        text = "" if content is None else quoted(content)
        called = counted(calls, "tool call") if calls else ""
        return brief(self, f"index={self.index}", str(self.kind), text, called)

    @property
    def text(self) -> str | None:
        """The message's text; None for a turn that is only tool calls.

        Of a list of parts, their texts, and what stands for the others: ``[image png, 34 kB]``.
        """
        content = self.payload.get("content")
        return content if content is None else content_text(content)

    @property
    def reasoning(self) -> str | None:
        """What an assistant thought before it spoke, where its server tells: else None."""
        thought = self.payload.get("reasoning_content") or self.payload.get("reasoning")
        return content_text(thought) if thought else None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of an assistant turn, in order; entries that are no calls are left out."""
        calls = self.payload.get("tool_calls")
        if not isinstance(calls, list):
            return ()
        return tuple(
            ToolCall(
                id=as_text(call.get("id", "")),
                name=as_text(call["function"].get("name", "")),
                arguments=as_text(call["function"].get("arguments", "")),
                type=as_text(call.get("type", "function")),
            )
            for call in calls
            if isinstance(call, dict) and isinstance(call.get("function"), dict)
        )

    def to_dict(self, session_id: UUID | str | None = None) -> dict[str, Any]:
        """Return the chunk as JSON has it (``plain``).

        Args:
            session_id: whose it is; a chunk does not know, and says null.
        """
        # Not by ``plain_record``: called for every line of a file.
        return {
            "schema": SCHEMA,
            "session_id": None if session_id is None else str(session_id),
            "record_type": "chunk",
            "index": self.index,
            "kind": str(self.kind),
            "payload": self.payload,
        }

    def to_message(self) -> dict[str, Any]:
        """Return the chunk in OpenAI's chat form: role, content, and what belongs to the role.

        Source: openrath 2.0.0, ``chunk_table_to_messages``.
        """
        content = self.payload.get("content")
        if not (content is None or isinstance(content, (str, list))):
            content = _text(content)
        if self.kind is ChunkKind.ASSISTANT:
            calls = self.payload.get("tool_calls")
            message = {"role": "assistant", "content": content}
            return {**message, "tool_calls": calls} if calls else message
        content = "" if content is None else content
        if self.kind is ChunkKind.TOOL_RESULT:
            call_id = _text(self.payload.get("tool_call_id", ""))
            return {"role": "tool", "tool_call_id": call_id, "content": content}
        return {"role": self.kind.value, "content": content}


class Trailer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The last record of a session that was closed cleanly."""

    #: None where the file has no time there.
    closed_at: datetime | None = None
    #: Chunks that the closing writer wrote; None where the file has no integer there.
    final_chunk_count: int | None = None
    #: None is unknown, never zero.
    cumulative_usage: TokenUsage | None = None
    #: The line as parsed, unknown keys included.
    raw: dict[str, Any] = {}

    def __repr__(self) -> str:
        count, usage = self.final_chunk_count, self.cumulative_usage
        chunks = "? chunks" if count is None else counted(count, "chunk")
        return brief(self, chunks, f"{usage.total_tokens if usage else '?'} tokens")

    def to_dict(self, session_id: UUID | str | None = None) -> dict[str, Any]:
        """Return the trailer as JSON has it (``plain``), without ``raw``; as ``Chunk.to_dict``."""
        names = ("closed_at", "final_chunk_count", "cumulative_usage")
        return plain_record("trailer", session_id, {name: getattr(self, name) for name in names})


class Damage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line that is no record: where it lies, why, and its bytes."""

    #: Counted from 1, blank lines included; None where reading began too far behind the start.
    line: int | None
    #: First byte of the line in the file, from 0.
    offset: int
    #: Bytes of the line, its newline included.
    length: int
    reason: DamageReason
    #: What exactly is wrong, in a few words.
    message: str
    #: The line without its newline; of a line that is too long, only the beginning.
    raw: bytes

    @property
    def text(self) -> str:
        """The line's bytes as text, what is no UTF-8 escaped."""
        return self.raw.decode("utf-8", "backslashreplace")

    def __repr__(self) -> str:
        line = "a line" if self.line is None else f"line {self.line}"
        begin = self.raw[:100].decode("utf-8", "backslashreplace")
        return brief(self, line, str(self.reason), quoted(begin))

    def to_dict(self, session_id: UUID | str | None = None) -> dict[str, Any]:
        """Return the damage as JSON has it (``plain``), ``raw`` as ``text``; as ``Chunk.to_dict``."""
        fields = {**msgspec.structs.asdict(self), "raw": self.text}
        return plain_record("damage", session_id, fields)


Record: TypeAlias = Header | Chunk | Trailer | Damage


def _text(value: Any) -> str:
    """Return any JSON value as text, in Python's words; it may be nested too deeply for that."""
    try:
        return value if isinstance(value, str) else str(value)
    except RecursionError:
        return "..."


def as_utc(moment: datetime) -> datetime:
    """Return ``moment`` aware: without an offset it is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
