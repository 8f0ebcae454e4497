from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from redises import RedisServer, anyio_backend, server
from sessiontail.relay.connecting import call, connected, run_of
from sessiontail.relay.entries import Keys
from sessiontail.relay.hosts import FORSAKEN_S, Hosts

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio

KEYS = Keys("hosts")
GONE = "the relay one is gone: what is written there is not seen"
LONG = "the relay one is gone for long: its sessions are not shown as running"


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connected(server.url)
    await call(client.flushall())
    await call(client.sadd(KEYS.hosts, "one"))
    yield client
    await client.aclose()


async def live(client: Redis, name: str = "one") -> None:
    await call(client.set(KEYS.of(name, "lock"), "x"))


async def seen(client: Redis, before_s: float) -> None:
    now_s, _ = await call(client.time())
    await call(client.hset(KEYS.of("one", "info"), "seen", str(int(now_s - before_s))))


async def test_a_relay_that_is_gone_is_told_once_and_that_it_is_back(client: Redis) -> None:
    told: list[str] = []
    hosts = Hosts(KEYS, told.append)
    await live(client)
    assert not await hosts.look(client)

    await call(client.delete(KEYS.of("one", "lock")))
    assert [await hosts.look(client), await hosts.look(client)] == [True, False]
    assert (set(hosts.gone), hosts.forsaken) == ({"one"}, set())
    await live(client)
    assert await hosts.look(client)

    assert (told, hosts.gone) == ([GONE, "the relay one is back"], {})


async def test_sessions_of_a_relay_that_is_gone_for_long_do_not_run_for_ever(client: Redis) -> None:
    told: list[str] = []
    hosts = Hosts(KEYS, told.append)
    await seen(client, FORSAKEN_S - 60)
    await hosts.look(client)
    assert hosts.forsaken == set()

    await seen(client, FORSAKEN_S + 1)
    assert await hosts.look(client)
    assert (hosts.forsaken, told) == ({"one"}, [GONE, LONG])
    await live(client)
    await hosts.look(client)

    assert hosts.forsaken == set()


@pytest.mark.parametrize("garbage", [b"soon", b"", b"\xff"])
async def test_garbage_in_the_place_of_a_time_or_a_name_ends_nothing(
    client: Redis, garbage: bytes
) -> None:
    hosts = Hosts(KEYS, list[str]().append)
    await call(client.hset(KEYS.of("one", "info"), "seen", garbage))
    await call(client.sadd(KEYS.hosts, "../etc", "a:b", garbage + b"/"))
    await call(client.lpush(KEYS.of("two", "info"), "x"))
    await call(client.sadd(KEYS.hosts, "two"))

    await hosts.look(client)

    assert (hosts.names, await hosts.caught_up(client)) == (["one", "two"], set())


async def test_who_has_published_all_has_said_so_to_this_redis(client: Redis) -> None:
    hosts = Hosts(KEYS, list[str]().append)
    await hosts.look(client)
    await call(client.hset(KEYS.of("one", "info"), "caught_up", "an earlier run"))
    assert await hosts.caught_up(client) == set()

    await call(client.hset(KEYS.of("one", "info"), "caught_up", await run_of(client)))

    assert await hosts.caught_up(client) == {"one"}
