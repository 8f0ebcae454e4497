"""What JSON schemas are made of: the words that the descriptions of several endpoints share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from sessiontail.format.lifecycle import SessionState

__all__ = [
    "COUNT",
    "COUNTS",
    "FLAG",
    "MOMENT",
    "NUMBER",
    "SCHEMA_ONE",
    "STATE",
    "TEXT",
    "UUID",
    "Schema",
    "closed",
    "listed",
    "nullable",
    "one_of",
]

#: A JSON schema.
Schema: TypeAlias = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
#: A number of things.
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
UUID: Schema = {"type": "string", "format": "uuid"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
#: How many there are of each, by a name.
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
#: The version of the shape (``format/plain``).
SCHEMA_ONE: Schema = {"const": 1}


def closed(**properties: Schema) -> dict[str, Any]:
    """Return the schema of an object that has these fields, all of them, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def nullable(schema: Schema) -> dict[str, Any]:
    """Return the schema of a value that may be unknown."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": schema}


def one_of(words: Iterable[str] | type[Enum]) -> dict[str, Any]:
    """Return the schema of a text that is one of some."""
    return {"type": "string", "enum": [str(word) for word in words]}


STATE: Schema = one_of(SessionState)
