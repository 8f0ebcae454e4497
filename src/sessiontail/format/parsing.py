"""one line -> a record, or the reason why it is none.

The exact path: the standard library's ``json`` has the last word, because its word is the
reference's. Nothing here opens, waits or logs.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sessiontail.format.depth import DEEP_LINE_BYTES, MAX_DEPTH, TAKES_DEEPER, too_deep
from sessiontail.format.migrations import (
    CURRENT_SCHEMA_VERSION,
    UnsupportedVersion,
    upgrade_chunk,
    upgrade_header,
)
from sessiontail.format.records import (
    Chunk,
    ChunkKind,
    DamageReason,
    Header,
    LineageKind,
    SandboxSpec,
    TokenUsage,
    Trailer,
    as_utc,
)

__all__ = [
    "UNTAKEABLE",
    "Refused",
    "as_trailer",
    "pairs_of",
    "sandbox_spec_of",
    "take_record",
    "time_of",
]


# What taking a header's or trailer's values can raise: missing keys, wrong types, bad times and
# ids, infinite numbers, and str() of something nested deeply.
UNTAKEABLE = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class Refused(Exception):
    """A line is no record; becomes a ``Damage`` where its place is known."""

    def __init__(self, reason: DamageReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def take_record(
    raw: bytes, header_version: int | None
) -> tuple[Header | Chunk | Trailer | None, int | None]:
    """Take the record on a line.

    Args:
        raw: the line, with or without its newline.
        header_version: the schema version of the header before it; None where there is none.

    Returns:
        The record, None where the line is blank; and the version behind it.

    Raises:
        Refused: it is none.
    """
    record = _parse(raw)
    if record is None:
        return None, header_version
    kind = record.get("record_type")
    if kind == "header":
        if header_version is not None:
            raise Refused(DamageReason.DUPLICATE_HEADER, "a second header")
        return _header(record)
    if kind in ("chunk", "trailer"):
        if header_version is None:
            raise Refused(DamageReason.RECORD_BEFORE_HEADER, f"{kind} before the header")
        taken = _chunk(record, header_version) if kind == "chunk" else _trailer(record)
        return taken, header_version
    raise Refused(DamageReason.UNKNOWN_RECORD, f"unknown record_type={_short(kind)}")


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Return the object on a line, None where it is blank."""
    try:
        # What msgspec takes, it takes as the standard library does; what it refuses is open.
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = _parse_exactly(raw)
        if value is _BLANK:
            return None
    if TAKES_DEEPER and len(raw) > DEEP_LINE_BYTES and too_deep(value, MAX_DEPTH):
        raise Refused(DamageReason.INVALID_JSON, "invalid JSON: nested too deeply")
    if not isinstance(value, dict):
        name = type(value).__name__
        raise Refused(DamageReason.NOT_AN_OBJECT, f"a record is a JSON object, not {name}")
    return value


_BLANK = object()


def _parse_exactly(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"invalid UTF-8: {error.reason} at byte {error.start} of the line"
        raise Refused(DamageReason.INVALID_UTF8, message) from error
    if not text:
        return _BLANK
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"invalid JSON: {error.msg} (column {error.colno})"
        raise Refused(DamageReason.INVALID_JSON, message) from error
    except RecursionError as error:
        raise Refused(DamageReason.INVALID_JSON, "invalid JSON: nested too deeply") from error
    except ValueError as error:  # an integer above sys.get_int_max_str_digits()
        raise Refused(DamageReason.INVALID_JSON, f"invalid JSON: {error}") from error


def as_trailer(raw: bytes) -> Trailer | None:
    """Take a trailer by the exact path; None where it is none."""
    try:
        record = _parse(raw)
        return _trailer(record) if record and record.get("record_type") == "trailer" else None
    except Refused:
        return None


def _header(record: dict[str, Any]) -> tuple[Header, int]:
    """Return the header and the version that it had on disk."""
    try:
        version = int(record.get("schema_version", 0))
    except UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_HEADER, "schema_version", error) from error
    try:
        record = upgrade_header(record, version)
    except UnsupportedVersion as error:
        raise Refused(DamageReason.UNSUPPORTED_VERSION, str(error)) from error
    except Exception as error:  # a registered migration is somebody's code
        raise _malformed(DamageReason.MALFORMED_HEADER, "its migration", error) from error
    try:
        return (
            Header(
                schema_version=int(record.get("schema_version", 0)),
                id=_uuid(record["id"]),
                created_at=as_utc(datetime.fromisoformat(str(record["created_at"]))),
                parent_session_ids=_uuids(record.get("parent_session_ids")),
                lineage_operator=str(record.get("lineage_operator", "implicit")),
                lineage_kind=_lineage_kind(record.get("lineage_kind")),
                lineage_extras=pairs_of(record.get("lineage_extras")),
                sandbox_backend=record.get("sandbox_backend"),
                sandbox_spec=sandbox_spec_of(record.get("sandbox_spec")),
                sandbox_handle_id=record.get("sandbox_handle_id"),
            ),
            version,
        )
    except UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_HEADER, "the header", error) from error


def _chunk(record: dict[str, Any], header_version: int) -> Chunk:
    if header_version != CURRENT_SCHEMA_VERSION:
        try:
            record = upgrade_chunk(record, header_version)
        except Exception as error:  # a registered migration is somebody's code
            raise _malformed(DamageReason.MALFORMED_CHUNK, "its migration", error) from error
    try:
        kind = ChunkKind(record["kind"])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        message = f"unknown chunk kind={_short(record.get('kind'))}"
        raise Refused(DamageReason.MALFORMED_CHUNK, message) from error
    payload = record.get("payload")
    if not isinstance(payload, dict):
        message = f"a chunk's payload is a JSON object, not {type(payload).__name__}"
        raise Refused(DamageReason.MALFORMED_CHUNK, message)
    return Chunk(kind=kind, payload=payload, index=_integer(record.get("index")))


def _trailer(record: dict[str, Any]) -> Trailer:
    try:
        usage = _usage(record.get("cumulative_usage"))
    except UNTAKEABLE as error:
        raise _malformed(DamageReason.MALFORMED_TRAILER, "cumulative_usage", error) from error
    return Trailer(
        closed_at=time_of(record.get("closed_at")),
        final_chunk_count=_integer(record.get("final_chunk_count")),
        cumulative_usage=usage,
        raw=record,
    )


def _malformed(reason: DamageReason, what: str, error: Exception) -> Refused:
    try:
        detail = f"no {error}" if isinstance(error, KeyError) else f"{error}"
    except Exception:  # noqa: BLE001 - of a registered migration, somebody's code
        detail = type(error).__name__
    return Refused(reason, f"malformed {reason.value.split('-')[1]}: {what}: {detail}")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def _uuids(raw: Any) -> tuple[UUID, ...]:
    if not raw:
        return ()
    found = []
    for entry in raw:
        try:
            found.append(_uuid(entry))
        except ValueError:
            continue
    return tuple(found)


def _uuid(raw: Any) -> UUID:
    try:
        return msgspec.convert(raw, UUID)  # a tenth of the time, for the usual spellings
    except msgspec.ValidationError:
        return UUID(str(raw))


def pairs_of(raw: Any) -> tuple[tuple[str, Any], ...]:
    """Return the pairs of a name and a value among some values; what is none is left out."""
    if not raw:
        return ()
    return tuple(
        (entry[0], entry[1])
        for entry in raw
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
    )


def _lineage_kind(raw: Any) -> LineageKind:
    try:
        return LineageKind(raw)
    except (RecursionError, ValueError):  # the enum shows the value in its error
        return LineageKind.UNKNOWN


def sandbox_spec_of(raw: Any) -> SandboxSpec | None:
    """Return a sandbox as the log has it; raises what is in ``UNTAKEABLE``."""
    if raw is None:
        return None
    entrypoint, env, seconds = raw.get("entrypoint"), raw.get("env"), raw.get("timeout_seconds")
    return SandboxSpec(
        image=raw.get("image"),
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        env=None if env is None else dict(env),
        timeout=None if seconds is None else timedelta(seconds=float(seconds)),
        working_dir=raw.get("working_dir"),
    )


def _usage(raw: Any) -> TokenUsage | None:
    if raw is None:
        return None
    return TokenUsage(
        prompt_tokens=int(raw.get("prompt_tokens", 0) or 0),
        completion_tokens=int(raw.get("completion_tokens", 0) or 0),
        total_tokens=int(raw.get("total_tokens", 0) or 0),
    )


def _integer(raw: Any) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def time_of(raw: Any) -> datetime | None:
    """Return an aware time, None where there is none."""
    try:
        return as_utc(datetime.fromisoformat(raw))
    except (TypeError, ValueError):
        return None
