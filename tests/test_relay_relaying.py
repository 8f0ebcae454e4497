from __future__ import annotations

from pathlib import Path

import pytest
import redis

from commands import ONE, closed
from redises import RedisServer, anyio_backend, server, url
from relays import files_in, in_redis, relaying, soon
from sessiontail import PersistenceError
from sessiontail.relay.connecting import RelayError, prefix_in
from sessiontail.relay.journal import JOURNAL

__all__ = ["anyio_backend", "server", "url"]

pytestmark = pytest.mark.anyio


async def test_a_name_is_free_as_soon_as_its_relay_ends(
    url: str, server: RedisServer, tmp_path: Path
) -> None:
    with redis.Redis(port=server.port) as client:
        async with relaying(url, tmp_path, name="one"):
            assert client.exists(f"{prefix_in(url)}:one:lock") == 1

        assert client.exists(f"{prefix_in(url)}:one:lock") == 0
        assert client.smembers(f"{prefix_in(url)}:hosts") == {b"one"}


async def test_a_second_relay_of_a_name_is_refused_and_the_first_goes_on(
    url: str, tmp_path: Path
) -> None:
    async with relaying(url, tmp_path, name="one"):
        with pytest.RaisesGroup(pytest.RaisesExc(RelayError, match="a relay named one runs")):
            async with relaying(url, tmp_path, name="one"):
                pass
        closed(tmp_path, ONE, "a")

        await soon(lambda: in_redis(url) == files_in(tmp_path))


async def test_a_name_of_another_directory_is_refused(url: str, tmp_path: Path) -> None:
    async with relaying(url, tmp_path / "a", name="one"):
        pass

    said = f"the name one is that of {tmp_path}/a: give --name for {tmp_path}/b"
    with pytest.RaisesGroup(pytest.RaisesExc(RelayError, match=said)):
        async with relaying(url, tmp_path / "b", name="one"):
            pass


async def test_a_mirror_is_not_published(url: str, tmp_path: Path) -> None:
    (tmp_path / JOURNAL).touch()

    with pytest.RaisesGroup(pytest.RaisesExc(PersistenceError, match="it would feed itself")):
        async with relaying(url, tmp_path):
            pass


async def test_a_redis_that_drops_what_it_has_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path / "redis", *options) as own:
        async with relaying(own.url, tmp_path / "sessions", name="one") as told:
            pass

    assert told == [
        (
            "this Redis drops sessions when its memory is full (maxmemory-policy allkeys-lru): readers "
            "then lack them; set noeviction"
        )
    ]
