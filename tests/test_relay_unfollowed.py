"""What nobody follows and Redis has is told of once it is gone, and not before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from relays import soon
from sessiontail.relay import unfollowed
from sessiontail.relay.entries import Keys
from sessiontail.relay.outgoing import Change, Outgoing
from sessiontail.relay.positions import Known
from sessiontail.relay.unfollowed import watch_unfollowed

pytestmark = pytest.mark.anyio

CLOSED = Known(7, 2, 40, "closed")
ALONE, BESIDE = Known(9, 1, 20, "live"), Known(9, 1, 20, "live", CLOSED)


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfollowed, "_LOOK_S", 0.001)


@asynccontextmanager
async def watching(
    directory: Path, known: dict[str, Known], followed: set[str]
) -> AsyncIterator[list[tuple[object, ...]]]:
    """What is told meanwhile: of whom, what, and what becomes of the closed file."""
    told: list[tuple[object, ...]] = []

    def put(change: Change | None) -> None:
        assert change is not None
        told.append((change.arguments[2], change.arguments[7], change.arguments[11]))

    outgoing = Outgoing(Keys(), "one", b"", known, {}, expire_s=60, now_ms=lambda: 1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_unfollowed, directory, outgoing, followed.__contains__, put)
        yield told
        tasks.cancel_scope.cancel()


async def test_a_closed_file_beside_a_running_one_is_told_of_when_it_goes(tmp_path: Path) -> None:
    there = tmp_path / "there.jsonl"
    there.touch()
    known = {"there": BESIDE, "gone": BESIDE, "alone": ALONE}
    async with watching(tmp_path, known, {*known}) as told:
        await soon(lambda: told)
        there.unlink()
        await soon(lambda: len(told) == 2)

    assert told == [(b"gone", "", ""), (b"there", "", "")]
    assert known == {"there": ALONE, "gone": ALONE, "alone": ALONE}


async def test_a_running_file_that_went_while_nobody_looked_is_told_of(tmp_path: Path) -> None:
    for name in ("back.jsonl", "there.jsonl.__partial__"):
        (tmp_path / name).touch()
    known = {
        "back": BESIDE, "gone": ALONE, "both": BESIDE, "there": ALONE, "followed": ALONE,
        "closed": CLOSED,
    }  # fmt: skip
    async with watching(tmp_path, known, {"followed"}) as told:
        await soon(lambda: len(told) == 3)

    assert told == [
        (b"back", "replaced", "back"), (b"gone", "deleted", ""), (b"both", "deleted", ""),
    ]  # fmt: skip
    assert known == {"back": CLOSED, "there": ALONE, "followed": ALONE, "closed": CLOSED}


async def test_a_directory_that_is_gone_says_nothing_of_its_files(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    known = {"gone": ALONE}
    async with watching(directory, known, set()) as told:
        for _ in range(10):
            await anyio.to_thread.run_sync(lambda: None)
        assert told == []
        directory.mkdir()
        await soon(lambda: told)

    assert told == [(b"gone", "deleted", "")]
