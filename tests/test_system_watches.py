""""""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from followers import follow, watched, write
from samples import ID

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


async def test_a_lone_file_is_watched_through_its_rename(directory: Path) -> None:
    wal = directory / f"{ID}.jsonl.__partial__"
    async with watched(directory) as watch:
        subscription = follow(watch, str(ID))
        with wal.open("ab", buffering=0) as file:
            watch.narrow(file.fileno(), str(ID))
            watch.drain()
            subscription.take()
            write(directory / "another.jsonl")
            watch.drain()
            others = watch._sweeper.told, subscription.take()
            wal.rename(directory / f"{ID}.jsonl")
            watch.drain()
            renamed = subscription.take()
            file.write(b"x\n")
            watch.drain()

            assert others == ({str(ID)}, ({}, False))
            assert renamed == ({str(ID): True}, False)
            assert subscription.take() == ({str(ID): False}, False)
            assert (watch._watches.watch, watch.trusted) == (None, True)
        subscription.close()


async def test_a_follower_of_everything_widens_what_was_narrowed(directory: Path) -> None:
    wal = directory / f"{ID}.jsonl.__partial__"
    async with watched(directory) as watch:
        one = follow(watch, str(ID))
        with wal.open("ab", buffering=0) as file:
            watch.narrow(file.fileno(), str(ID))
            every = follow(watch)
            write(directory / "another.jsonl")
            file.write(b"x\n")
            watch.drain()

            assert every.take()[0].keys() == {"another", str(ID)}
            assert one.take()[0].keys() == {str(ID)}
            every.close()
            assert watch._watches.watch is None
        one.close()
