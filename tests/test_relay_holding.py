from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from secrets import token_hex

import anyio
import pytest
from redis.asyncio import Redis

from redises import RedisServer, anyio_backend, server
from sessiontail.relay.connecting import RelayError, call, connected
from sessiontail.relay.entries import Keys
from sessiontail.relay.holding import HeldName, machine

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connected(server.url)
    yield client
    await client.aclose()


def held(pid: int | None = None, where: str = "elsewhere", hold_s: float = 15) -> HeldName:
    name = HeldName(Keys(), "one", hold_s)
    if pid is not None:
        name.token = json.dumps({"pid": pid, "machine": where, "token": token_hex(4)}).encode()
    return name


@pytest.fixture(autouse=True)
async def nobody_holds_it(client: Redis) -> None:
    await call(client.delete("sessiontail:one:lock"))


async def test_a_second_relay_of_this_machine_is_refused_at_once(client: Redis) -> None:
    first = held()
    await first.take(client)
    await first.take(client)  # its own again is no error

    with pytest.raises(RelayError, match=r"a relay named one runs already \(process \d+, here\)"):
        await held().take(client)


async def test_a_relay_that_died_here_holds_up_nobody(client: Redis) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    await held(dead.pid, machine()).take(client)

    await held().take(client)


async def test_a_relay_that_may_be_dead_elsewhere_is_waited_for(client: Redis) -> None:
    await held(1, hold_s=0.3).take(client)
    mine = held()

    await mine.take(client)

    assert await call(client.get("sessiontail:one:lock")) == mine.token


async def test_a_relay_that_says_elsewhere_that_it_lives_is_left_alone(client: Redis) -> None:
    other = held(1, hold_s=2)
    await other.take(client)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.keep, client)
        with pytest.raises(RelayError, match=r"process 1, on another machine"):
            await held().take(client)
        tasks.cancel_scope.cancel()


async def test_who_lost_the_name_is_told_by_the_end_of_keeping_it(client: Redis) -> None:
    mine = held(hold_s=0.05)
    await mine.take(client)
    await call(client.set("sessiontail:one:lock", "another's"))

    with anyio.fail_after(60):
        await mine.keep(client)
    await mine.let_go(client)

    assert await call(client.get("sessiontail:one:lock")) == b"another's"
