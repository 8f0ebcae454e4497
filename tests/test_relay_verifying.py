"""What a file has is compared with what Redis has once it is quiet, and again once it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

import anyio
import pytest
from msgspec import structs

from sessiontail.format.ended import ended_key
from sessiontail.relay import verifying
from sessiontail.relay.entries import Keys
from sessiontail.relay.outgoing import Outgoing
from sessiontail.relay.positions import Known
from sessiontail.relay.verifying import is_as_published, watch_content

pytestmark = pytest.mark.anyio

DATA = b"a\nb\n"


def known(data: bytes = DATA, state: str = "live") -> Known:
    return Known(7, data.count(b"\n"), len(data), state, crc=crc32(data))


async def watched(
    directory: Path, sessions: dict[str, Known], keys: dict[str, bytes]
) -> set[str] | None:
    """What is to be published anew; None: nothing, for a long time."""
    outgoing = Outgoing(Keys(), "one", b"", sessions, {}, expire_s=60, now_ms=lambda: 1000)
    looks = 0
    real = verifying._look

    def look(*args: object) -> list[str]:
        nonlocal looks
        looks += 1
        return real(*args)  # type: ignore[arg-type] # handed through

    with pytest.MonkeyPatch.context() as patch, anyio.move_on_after(60) as scope:
        patch.setattr(verifying, "_LOOK_S", 0)
        patch.setattr(verifying, "_look", look)
        async with anyio.create_task_group() as group:
            found: list[set[str]] = []

            async def watch() -> None:
                found.append(await watch_content(directory, outgoing, keys.get))
                group.cancel_scope.cancel()

            group.start_soon(watch)
            while looks < 30:
                await anyio.sleep(0)
            group.cancel_scope.cancel()
        return found[0] if found else None
    raise AssertionError(scope)


@pytest.mark.parametrize("state", ["live", "abandoned", "closed"])
async def test_a_file_that_has_something_else_is_told(tmp_path: Path, state: str) -> None:
    ending = ".jsonl" if state == "closed" else ".jsonl.__partial__"
    for stem, data in (("same", DATA + b"torn"), ("other", b"a\nc\n"), ("short", b"a\n")):
        (tmp_path / f"{stem}{ending}").write_bytes(data)
    sessions = {stem: known(state=state) for stem in ("same", "other", "short", "gone")}

    assert await watched(tmp_path, sessions, {}) == {"other", "short"}


async def test_what_runs_and_was_closed_meanwhile_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(DATA)
    (tmp_path / "a.jsonl.__partial__").write_bytes(b"new\n")
    (tmp_path / "b.jsonl").write_bytes(DATA)
    (tmp_path / "c.jsonl").write_bytes(b"never read: it was lost\n")

    sessions = {"a": known(), "b": known(), "c": known(state="lost")}
    assert await watched(tmp_path, sessions, {}) is None


async def test_a_closed_file_with_the_stamp_that_it_was_closed_with_is_not_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"c\nd\n")
    status = path.stat()
    keys = {"a": ended_key(status.st_size, status.st_mtime_ns)}

    assert await watched(tmp_path, {"a": known(state="closed")}, keys) is None
    os.utime(path, (1, 1))
    assert await watched(tmp_path, {"a": known(state="closed")}, keys) == {"a"}


@pytest.mark.parametrize(("data", "told"), [(DATA, None), (b"c\nd\n", {"a"})])
async def test_a_closed_file_beside_a_running_one_is_compared_too(
    tmp_path: Path, data: bytes, told: set[str] | None
) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.__partial__").write_bytes(DATA)
    sessions = {"a": structs.replace(known(), closed=known(state="closed"))}

    assert await watched(tmp_path, sessions, {}) == told


async def test_what_waits_for_its_turn_is_read_in_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_LOOK_BYTES", 1)
    stems = [str(number) for number in range(5)]
    for stem in stems:
        (tmp_path / f"{stem}.jsonl.__partial__").write_bytes(DATA if stem != "4" else b"c\nd\n")

    assert await watched(tmp_path, {stem: known() for stem in stems}, {}) == {"4"}


async def test_before_it_is_told_that_a_session_is_closed_its_file_is_compared(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jsonl").write_bytes(DATA)

    assert [
        await is_as_published(tmp_path, stem, one)
        for stem, one in (
            ("a", known()), ("a", known(b"a\nc\n")), ("gone", known()),
            ("a", known(b"a\nc\n", "closed")),
        )
    ] == [True, False, True, True]  # fmt: skip
