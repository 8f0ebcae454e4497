"""values -> what JSON has of them: text, numbers, lists and dicts. The one shape of all output.

Each object has ``schema``, 1 from now on: fields may come, none goes or changes its meaning. A record
has ``session_id``; a session, and nothing else but a header, has ``id``. Times are ISO 8601 in UTC,
spans are seconds, ids and paths are text, and what is unknown is null. A file name that is no UTF-8
has lone surrogates for its odd bytes (PEP 383): ``json.dumps`` escapes them, ``os.fsencode`` gives the
bytes back. Nothing is copied that is JSON already, so a chunk's ``payload`` is the chunk's own: it may
hold what a log may hold, NaN, lone surrogates, and as many levels as ``json`` reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from sessiontail.errors import PersistenceError

__all__ = ["SCHEMA", "jsonable", "plain", "plain_error", "plain_record"]

#: The version of the shape.
SCHEMA = 1


def plain_record(
    record_type: str, session_id: UUID | str | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a record of a session; None: nobody knows of which."""
    return {
        "schema": SCHEMA,
        "session_id": None if session_id is None else str(session_id),
        "record_type": record_type,
        **{name: plain(value) for name, value in fields.items()},
    }


def plain_error(error: PersistenceError) -> dict[str, Any]:
    """Return what is said of a file that could not be read."""
    return {
        "file": plain(error.path),
        "line": error.line,
        "offset": error.offset,
        "reason": error.reason,
        "message": error.message,
    }


def plain(value: Any) -> Any:
    """Return a value of one of our types as JSON has it; what it has no word for, as text."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float, dict)):
        return value
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return {told: plain(getattr(value, name)) for name, told in names}
    return str(value)


def jsonable(value: Any) -> Any:
    """Return the value, as text where it is no JSON: as the real writer does."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value


def _moment(moment: datetime) -> str:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return aware.astimezone(UTC).isoformat()
    except OverflowError:  # within a day of the year 1 or 9999
        return aware.isoformat()
