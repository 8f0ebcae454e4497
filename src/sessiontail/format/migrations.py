"""Old record dict -> current record dict, by registered steps.

A header migration takes version n to n + 1. Chunks carry no version: theirs is the one that the
header had on disk. Nothing on disk changes. A newer version is refused, never guessed.
Source: openrath 2.0.0, ``rath.session.persistence._migrations``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = [
    "CURRENT_SCHEMA_VERSION",
    "Migration",
    "UnsupportedVersion",
    "any_registered",
    "register_chunk_migration",
    "register_header_migration",
    "upgrade_chunk",
    "upgrade_header",
]

CURRENT_SCHEMA_VERSION = 1

Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

_header_migrations: dict[int, Migration] = {}
_chunk_migrations: dict[int, Migration] = {}


class UnsupportedVersion(ValueError):
    """No chain of migrations leads from this version to the current one."""


def register_header_migration(from_version: int, fn: Migration) -> None:
    """Register the step from ``from_version`` to the next for header dicts.

    Raises:
        ValueError: ``from_version`` is not older than ``CURRENT_SCHEMA_VERSION``.
    """
    _register(_header_migrations, from_version, fn)


def register_chunk_migration(from_version: int, fn: Migration) -> None:
    """Register the step from ``from_version`` to the next for chunk dicts.

    Raises:
        ValueError: ``from_version`` is not older than ``CURRENT_SCHEMA_VERSION``.
    """
    _register(_chunk_migrations, from_version, fn)


def _register(table: dict[int, Migration], from_version: int, fn: Migration) -> None:
    if from_version >= CURRENT_SCHEMA_VERSION:
        raise ValueError(
            f"a migration starts below CURRENT_SCHEMA_VERSION={CURRENT_SCHEMA_VERSION}, "
            f"not at {from_version}"
        )
    table[from_version] = fn


def any_registered() -> bool:
    """Whether this program may make something else of a file than others do."""
    return bool(_header_migrations or _chunk_migrations)


def upgrade_header(record: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the header dict at the current version.

    Raises:
        UnsupportedVersion: it is newer than we know, or a step is missing.
        TypeError: a step returned no dict.
        Exception: whatever a registered migration raises.
    """
    if version > CURRENT_SCHEMA_VERSION:
        raise UnsupportedVersion(
            f"schema_version={version} is newer than {CURRENT_SCHEMA_VERSION}, "
            "the newest that this sessiontail reads; upgrade sessiontail"
        )
    while version < CURRENT_SCHEMA_VERSION:
        step = _header_migrations.get(version)
        if step is None:
            raise UnsupportedVersion(
                f"no header migration is registered for schema_version={version}; "
                "see register_header_migration"
            )
        record = _apply(step, record, version)
        version += 1
        record["schema_version"] = version
    return record


def upgrade_chunk(record: dict[str, Any], header_version: int) -> dict[str, Any]:
    """Return the chunk dict at the current version; steps that are not registered change nothing.

    Raises:
        TypeError: a step returned no dict.
        Exception: whatever a registered migration raises.
    """
    for version in sorted(_chunk_migrations):
        if header_version <= version < CURRENT_SCHEMA_VERSION:
            record = _apply(_chunk_migrations[version], record, version)
    return record


def _apply(step: Migration, record: dict[str, Any], version: int) -> dict[str, Any]:
    upgraded: Any = step(record)
    if not isinstance(upgraded, dict):  # most often a forgotten return
        kind = type(upgraded).__name__
        raise TypeError(f"the step from {version} returned {kind}, not a dict")
    return upgraded
