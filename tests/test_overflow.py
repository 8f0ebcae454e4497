"""Hints that the kernel drops, that never come, or that nobody can have: nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from actors import Actor, heard, lanes, nothing_more, overflow, owed, where_the_user_has_no
from sessiontail import SessionStore
from sessiontail.system import surveying
from sessiontail.system.watching import DirectoryWatch

pytestmark = pytest.mark.anyio

_READER = """
import anyio, hashlib, json, sys
from sessiontail import SessionStore
async def main():
    got = {}
    async with SessionStore(sys.argv[1], sweep_interval_s=600) as store, store.tail_all() as tail:
        for _ in range(int(sys.argv[3])):
            await anext(tail)
        with anyio.move_on_after(0.2):
            await anext(tail)
        print("ready", flush=True)
        with anyio.fail_after(60):
            for _ in range(int(sys.argv[4])):
                session_id, record = await anext(tail)
                text = getattr(record, "text", type(record).__name__)
                got.setdefault(str(session_id), []).append(text)
        with anyio.move_on_after(0.3):
            await anext(tail)
            got["more"] = []
    print(json.dumps([got, store.stats.as_dict()]), flush=True)
anyio.run(main, backend=sys.argv[2])
"""


def stand_still(directory: Path, backend: str, rounds: int) -> tuple[Any, Any, dict[str, int]]:
    """Stop a reader while more happens than the kernel's queue holds, then let it go on."""
    actors = [Actor(directory, UUID(int=n + 1)).open() for n in range(20)]
    late = [Actor(directory, UUID(int=n + 101)) for n in range(5)]
    chunks = rounds * len(actors)
    # Twenty headers first; then chunks, ten trailers, and five sessions of four records.
    more = chunks + 10 + 5 * 4
    with subprocess.Popen(
        [sys.executable, "-c", _READER, str(directory), backend, "20", str(more)],
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        os.kill(reader.pid, signal.SIGSTOP)
        for n in range(rounds):
            for actor in actors:
                os.write(actor._fd, line := actor.chunk(f"{n}"))
                actor.data += line
        for actor in actors[::2]:
            actor.close()
        for actor in late:
            actor.open().say("brief", "life").close()
        os.kill(reader.pid, signal.SIGCONT)
        got, stats = json.loads(reader.stdout.readline())
    expected = {
        str(actor.id): [
            getattr(record, "text", type(record).__name__)
            for record in actor.records[0 if actor in late else 1 :]
        ]
        for actor in (*actors, *late)
    }
    for actor in actors:
        actor.kill()
    return got, expected, stats


async def test_a_reader_that_stood_still_over_a_full_queue_gets_all(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    # 18,000 events: different files in turn, so that the kernel cannot merge them.
    got, expected, stats = stand_still(tmp_path, anyio_backend_name, rounds=900)

    assert got == expected
    assert stats["overflows"] >= 1


async def test_a_lost_event_costs_one_sweep_and_two_cost_the_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "GRACE_S", 0.0)
    # However long a look takes on a busy machine, the next one comes at its time.
    monkeypatch.setattr(surveying, "TRUSTED_SWEEP_SHARE", 1.0)
    monkeypatch.setattr(surveying, "SWEEP_SHARE", 1.0)
    store = SessionStore(tmp_path, sweep_interval_s=0.05, poll_interval_s=0.02)
    actor = Actor(tmp_path).open()

    def deaf(_: DirectoryWatch, watch: int, name: str, mask: int) -> None:
        """The kernel tells nothing."""

    async with store, store.tail_all() as tail:
        assert await heard(tail, 1) == owed(actor)
        assert await nothing_more(tail, 0.02)
        # The first verdict's look would find it too.
        while any(lane.judge for lane in lanes(tail)):
            assert await nothing_more(tail, 0.02)
        monkeypatch.setattr(DirectoryWatch, "told", deaf)
        for misses, word in enumerate(("one", "two"), 1):
            actor.say(word)
            assert len((await heard(tail, 1))[actor.id]) == 1
            with anyio.fail_after(10):
                while store.stats.missed < misses:
                    await anyio.sleep(0.001)
        actor.say("three").close()
        await heard(tail, 2)

        assert store.polled_because == "events failed to come"
        assert (store.stats.missed, store.stats.distrusted) == (2, 1)
        assert store.stats.overflows == 0


async def test_a_consumer_that_blocks_the_loop_over_a_full_queue_misses_nothing(
    tmp_path: Path,
) -> None:
    actors = [Actor(tmp_path, UUID(int=n + 1)).open() for n in range(20)]
    store = SessionStore(tmp_path, sweep_interval_s=600)
    async with store, store.tail_all() as tail:
        got = await heard(tail, 20)
        assert await nothing_more(tail)
        for _ in range(3):
            overflow(tmp_path)  # the loop stands still meanwhile
            for _ in range(5):
                for actor in actors:
                    actor.say("one")
            for session_id, records in (await heard(tail, 100)).items():
                got[session_id] += records
        assert got == owed(*actors)
        assert await nothing_more(tail)

    assert store.stats.overflows >= 1


async def test_events_switched_off_are_not_asked_for(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, events=False, poll_interval_s=0.01)
    actor = Actor(tmp_path).open()
    async with store, store.tail_all() as tail:
        await heard(tail, 1)
        actor.say("one").close()
        await heard(tail, 2)

        [watch] = store._place._held
        assert watch._watches.notifier is None
        assert store.polled_because == "events are switched off"
        assert store.stats.events == 0


async def test_no_inotify_instance_left_means_polling(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    actor = Actor(tmp_path).open().say("one")

    said = where_the_user_has_no("max_inotify_instances", _POLLER, tmp_path, anyio_backend_name)

    assert json.loads(said) == [len(actor.records) + 1, "no inotify instance: Too many open files"]


_POLLER = """
import anyio, json, os, pathlib, sys
from sessiontail import SessionStore
async def main():
    store = SessionStore(sys.argv[1], poll_interval_s=0.01)
    async with store, store.tail_all() as tail:
        got = [await anext(tail), await anext(tail)]
        [wal] = pathlib.Path(sys.argv[1]).iterdir()
        with wal.open("ab") as file:
            file.write(wal.read_bytes().splitlines(keepends=True)[1])
        got.append(await anext(tail))
        print(json.dumps([len(got), store.polled_because]))
anyio.run(main, backend=sys.argv[2])
"""
