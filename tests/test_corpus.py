from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hostile import CASES, Case
from sessiontail import (
    Chunk,
    Damage,
    DamagedSession,
    Header,
    PersistedSession,
    PersistenceError,
    SessionStore,
    Trailer,
    list_persisted_sessions,
    load_session,
    read_session,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def path(case: Case, tmp_path: Path) -> Path:
    path = tmp_path / "case.jsonl"
    path.write_bytes(case.data)
    return path


def first_damage(case: Case) -> tuple[int | None, str]:
    return case.damage[0] if case.damage else (None, "no-header")


def kept(session: PersistedSession) -> tuple[Any, ...]:
    return (
        len(session.chunk_table),
        session.closed,
        session.cumulative_usage,
        tuple((damage.line, damage.reason.value) for damage in session.damage),
        session.torn_bytes,
    )


async def test_a_hostile_file_is_loaded_or_refused_at_its_first_damage(
    case: Case, path: Path
) -> None:
    if case.chunks is not None and not case.damage:
        session = await load_session(path=path)

        assert kept(session) == (case.chunks, case.closed, case.usage, (), case.torn_bytes)
        return
    with pytest.raises(DamagedSession) as caught:
        await load_session(path=path)

    error = caught.value
    line, reason = first_damage(case)
    assert (error.path, error.line, error.reason) == (path, line, reason)
    assert str(error).startswith(f"{path}:" if line is None else f"{path}:{line} (byte ")


async def test_of_a_hostile_file_what_is_whole_is_kept_and_nothing_is_hidden(
    case: Case, path: Path
) -> None:
    async with read_session(path=path) as reader:
        records = [record async for record in reader]

    damage = [record for record in records if isinstance(record, Damage)]
    assert tuple((record.line, record.reason.value) for record in damage) == case.damage
    for record in damage:
        line = case.data[record.offset : record.offset + record.length]
        assert record.raw + b"\n" == line
    assert sum(isinstance(record, Chunk) for record in records) == (case.chunks or 0)
    assert sum(isinstance(record, Header) for record in records) == (case.chunks is not None)
    assert any(isinstance(record, Trailer) for record in records) == case.closed
    assert reader.torn_bytes == case.torn_bytes
    assert reader.offset == len(case.data) - case.torn_bytes
    if case.chunks is not None:
        session = await load_session(path=path, salvage=True)

        assert session.damage == tuple(damage)
        assert kept(session) == (
            case.chunks,
            case.closed,
            case.usage,
            case.damage,
            case.torn_bytes,
        )
        return
    with pytest.raises(DamagedSession) as caught:
        await load_session(path=path, salvage=True)

    assert (caught.value.line, caught.value.reason) == first_damage(case)


@pytest.mark.parametrize("verify", [False, True])
async def test_no_hostile_file_stops_a_listing(
    verify: bool,  # noqa: FBT001 - given by name
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, case in CASES.items():
        (tmp_path / f"{name}.jsonl").write_bytes(case.data)

    metas = await list_persisted_sessions(directory=tmp_path, verify=verify)

    listed = {name: case for name, case in CASES.items() if case.listed}
    found = {
        meta.path.stem: (
            meta.chunk_count,
            meta.closed,
            meta.cumulative_usage,
            meta.damaged_lines,
            meta.torn_bytes,
        )
        for meta in metas
    }
    assert found == {
        name: (
            case.chunks if verify or case.listed_chunks is None else case.listed_chunks,
            case.closed,
            case.usage,
            len(case.damage) if verify else None,
            case.torn_bytes,
        )
        for name, case in listed.items()
    }
    oldest, *_, newest = metas
    assert (oldest.path.stem, newest.path.stem) == (
        "created_at_first_moment",
        "created_at_last_moment",
    )
    warnings = [record for record in caplog.records if record.name == "sessiontail"]
    assert len(warnings) == len(CASES) - len(listed)


async def test_a_scan_says_why_it_skipped_a_file(tmp_path: Path) -> None:
    for name, case in CASES.items():
        (tmp_path / f"{name}.jsonl").write_bytes(case.data)

    scan = SessionStore(tmp_path).scan()
    async for _ in scan:
        pass

    assert {error.path: (error.line, error.reason) for error in scan.skipped} == {
        tmp_path / f"{name}.jsonl": first_damage(case)
        for name, case in CASES.items()
        if not case.listed
    }


# -- a corpus kept elsewhere, in the form {name: {"load": ..., "salvage": ...}}

CORPUS = Path(
    os.environ.get("SESSIONTAIL_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus"
)
EXPECTED: dict[str, Any] = (
    json.loads((CORPUS / "expected.json").read_text())
    if (CORPUS / "expected.json").exists()
    else {}
)


def usage_of(session: PersistedSession) -> dict[str, int] | None:
    usage = session.cumulative_usage
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


@pytest.mark.skipif(not EXPECTED, reason="no corpus: SESSIONTAIL_CORPUS names no directory of one")
@pytest.mark.parametrize("name", EXPECTED or ["none"])
async def test_a_file_of_the_corpus_gives_what_its_table_says(name: str, tmp_path: Path) -> None:
    path = CORPUS / f"{name}.jsonl"
    expected = EXPECTED[name]

    try:
        strict = await load_session(path=path)
    except PersistenceError as error:
        load: dict[str, Any] = {"error": {"line": error.line, "reason": error.reason}}
    else:
        load = {
            "chunks": len(strict.chunk_table),
            "closed": strict.closed,
            "usage": usage_of(strict),
        }
    try:
        salvaged = await load_session(path=path, salvage=True)
    except PersistenceError:
        salvage = None
    else:
        salvage = {
            "chunks": len(salvaged.chunk_table),
            "closed": salvaged.closed,
            "damage": [[damage.line, damage.reason] for damage in salvaged.damage],
            "torn_bytes": salvaged.torn_bytes,
        }

    assert (load, salvage) == (expected["load"], expected["salvage"])
