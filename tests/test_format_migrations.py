from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from samples import chunk_line, header_line
from sessiontail import (
    Chunk,
    Damage,
    DamageReason,
    Header,
    Record,
    register_chunk_migration,
    register_header_migration,
)
from sessiontail.format import Block, RecordDecoder, migrations
from sessiontail.format.migrations import any_registered
from sessiontail.persistence import CURRENT_SCHEMA_VERSION


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """Leave the registered migrations as they were."""
    saved = [
        (table, dict(table))
        for table in (migrations._header_migrations, migrations._chunk_migrations)
    ]
    yield
    for table, content in saved:
        table.clear()
        table.update(content)


def decode(data: bytes, decoder: RecordDecoder | None = None) -> list[Record]:
    block = Block.cut(data)
    return (decoder or RecordDecoder()).decode(block).records


def renamed(old: str, new: str) -> migrations.Migration:
    def step(record: dict[str, Any]) -> dict[str, Any]:
        return {new if key == old else key: value for key, value in record.items()}

    return step


def old_header(version: int = 0) -> bytes:
    return header_line(schema_version=version).replace(b'"id"', b'"session_id"')


def test_an_old_file_goes_through_every_step_of_the_chain() -> None:
    register_header_migration(-1, renamed("session_id", "sid"))
    register_header_migration(0, renamed("sid", "id"))
    register_chunk_migration(-1, renamed("role", "k"))
    register_chunk_migration(0, renamed("k", "kind"))

    header, chunk = decode(old_header(-1) + chunk_line().replace(b'"kind"', b'"role"'))

    assert isinstance(header, Header)
    assert header.schema_version == CURRENT_SCHEMA_VERSION
    assert header.id == UUID("4f2c0000-0000-4000-8000-000000000001")
    assert isinstance(chunk, Chunk)


def test_chunks_follow_the_version_that_the_header_had_on_disk() -> None:
    def louder(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "payload": {"content": "HI"}}

    register_header_migration(0, dict)
    register_chunk_migration(0, louder)

    _, old = decode(header_line(schema_version=0) + chunk_line())
    _, new = decode(header_line() + chunk_line())

    assert [chunk.payload for chunk in (old, new) if isinstance(chunk, Chunk)] == [
        {"content": "HI"},
        {"content": "hi"},
    ]


def test_a_resumed_reader_still_migrates_chunks() -> None:
    register_header_migration(0, dict)
    register_chunk_migration(0, renamed("role", "kind"))
    line = chunk_line().replace(b'"kind"', b'"role"')

    records = decode(line * 3, RecordDecoder(header_version=0))

    assert [type(record) for record in records] == [Chunk] * 3


def test_a_step_for_chunks_may_be_missing() -> None:
    register_header_migration(0, dict)

    _, chunk = decode(header_line(schema_version=0) + chunk_line())

    assert isinstance(chunk, Chunk)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            -1,
            "no header migration is registered for schema_version=0; see register_header_migration",
        ),
        (
            2,
            (
                "schema_version=2 is newer than 1, the newest that this sessiontail reads; "
                "upgrade sessiontail"
            ),
        ),
    ],
)
def test_a_version_without_a_way_to_ours_is_refused(version: int, message: str) -> None:
    register_header_migration(-1, dict)

    (damage,) = decode(header_line(schema_version=version))

    assert isinstance(damage, Damage)
    assert (damage.reason, damage.message) == (DamageReason.UNSUPPORTED_VERSION, message)


class Unforeseen(Exception):
    pass


def test_a_header_migration_that_raises_is_damage() -> None:
    def broken(record: dict[str, Any]) -> dict[str, Any]:
        raise Unforeseen("no idea")

    register_header_migration(0, broken)

    (damage,) = decode(header_line(schema_version=0))

    assert isinstance(damage, Damage)
    assert (damage.reason, damage.message) == (
        DamageReason.MALFORMED_HEADER,
        "malformed header: its migration: no idea",
    )


def test_a_chunk_migration_that_raises_is_damage_and_the_rest_goes_on() -> None:
    def picky(record: dict[str, Any]) -> dict[str, Any]:
        if record["index"] == 0:
            raise Unforeseen("not this one")
        return record

    register_header_migration(0, dict)
    register_chunk_migration(0, picky)

    _, damage, chunk = decode(header_line(schema_version=0) + chunk_line(0) + chunk_line(1))

    assert isinstance(damage, Damage)
    assert (damage.line, damage.reason, damage.message) == (
        2,
        DamageReason.MALFORMED_CHUNK,
        "malformed chunk: its migration: not this one",
    )
    assert isinstance(chunk, Chunk)


@pytest.mark.parametrize("wrong", [None, [], 5])
def test_a_migration_that_returns_no_record_is_damage(wrong: Any) -> None:
    def forgets(record: dict[str, Any]) -> Any:
        return wrong

    register_header_migration(0, dict)
    register_chunk_migration(0, forgets)

    _, damage = decode(header_line(schema_version=0) + chunk_line())
    register_header_migration(0, forgets)
    (headless,) = decode(header_line(schema_version=0))

    said = f"its migration: the step from 0 returned {type(wrong).__name__}, not a dict"
    assert isinstance(damage, Damage)
    assert damage.message == f"malformed chunk: {said}"
    assert isinstance(headless, Damage)
    assert headless.message == f"malformed header: {said}"


@pytest.mark.parametrize("register", [register_header_migration, register_chunk_migration])
@pytest.mark.parametrize("version", [1, 2])
def test_a_step_from_the_current_version_is_refused(register: Any, version: int) -> None:
    with pytest.raises(ValueError, match=f"below CURRENT_SCHEMA_VERSION=1, not at {version}"):
        register(version, dict)


@pytest.mark.parametrize("register", [register_header_migration, register_chunk_migration])
def test_a_program_that_migrates_says_so(register: Any) -> None:
    before = any_registered()
    register(0, dict)

    assert (before, any_registered()) == (False, True)
