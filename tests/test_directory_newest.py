"""The order in which pages of sessions are taken: it stays while sessions begin, grow and close."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import ONE, TWO
from samples import session_bytes
from sessiontail import PersistedSessionMeta, SessionStore
from sessiontail.directory.newest import Spot, newest_first

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # nothing here waits in a way of its own


OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+02:00"


def write(directory: Path, name: str, session_id: str, created_at: str) -> None:
    data = session_bytes(1, session_id=session_id, created_at=created_at, closed=False)
    (directory / name).write_bytes(data)


async def metas_in(directory: Path) -> list[PersistedSessionMeta]:
    return await SessionStore(directory).scan().rest()


async def test_the_newest_comes_first_and_of_one_session_the_later_file(tmp_path: Path) -> None:
    write(tmp_path, f"{ONE}.jsonl", ONE, OLD)
    write(tmp_path, f"{TWO}.jsonl", TWO, NEW)
    write(tmp_path, f"{TWO}.jsonl.__partial__", TWO, NEW)

    found = newest_first(await metas_in(tmp_path))

    assert [(spot, meta.path.name) for spot, meta in found] == [
        (
            Spot(1767304800_000000, TWO, f"{TWO}.jsonl", 0),
            f"{TWO}.jsonl.__partial__",
        ),
        (Spot(1767304800_000000, TWO, f"{TWO}.jsonl", 1), f"{TWO}.jsonl"),
        (Spot(1767225600_000000, ONE, f"{ONE}.jsonl", 0), f"{ONE}.jsonl"),
    ]
    for i, (spot, _) in enumerate(found):
        assert newest_first(await metas_in(tmp_path), spot) == found[i:]


async def test_a_spot_is_the_same_after_its_session_was_closed_and_leads_on_when_it_is_gone(
    tmp_path: Path,
) -> None:
    write(tmp_path, f"{ONE}.jsonl", ONE, OLD)
    write(tmp_path, f"{TWO}.jsonl.__partial__", TWO, NEW)
    (spot, _), older = newest_first(await metas_in(tmp_path))

    (tmp_path / f"{TWO}.jsonl.__partial__").rename(tmp_path / f"{TWO}.jsonl")
    closed = newest_first(await metas_in(tmp_path), spot)
    (tmp_path / f"{TWO}.jsonl").unlink()
    gone = newest_first(await metas_in(tmp_path), spot)

    assert [one[0] for one in closed] == [spot, older[0]]
    assert gone == [older]


async def test_the_first_and_the_last_moment_of_all_have_their_place(tmp_path: Path) -> None:
    write(tmp_path, f"{ONE}.jsonl", ONE, "0001-01-01T00:00:00+14:00")
    write(tmp_path, f"{TWO}.jsonl", TWO, "9999-12-31T23:59:59-12:00")

    found = newest_first(await metas_in(tmp_path))

    assert [meta.id_text for _, meta in found] == [TWO, ONE]
