from __future__ import annotations

import ssl
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import exceptions as said
from redis.asyncio import Connection, Redis

from redises import Proxy, RedisServer, anyio_backend, server
from sessiontail.relay.connecting import (
    RelayError,
    call,
    connected,
    for_ever,
    in_words,
    pauses,
    prefix_in,
    shown,
    until_one_ends,
)

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@[::1",
        "redis://:secret@host:99999/0",
        "redis://:secret@host/first",
        "unix://",
        "http://:secret@host",
        "redis://:secret@host?bogus=1",
        "",
    ],
)
async def test_what_is_no_address_is_refused_in_words_without_the_password(url: str) -> None:
    with pytest.raises(RelayError, match="redis://HOST:PORT/DB") as refused:
        connected(url)

    assert "secret" not in str(refused.value)


def test_a_url_is_shown_without_its_password() -> None:
    url = "rediss://me:secret@redis.example:6380/2?ssl_ca_certs=/x&prefix=team"

    assert shown(url) == "rediss://redis.example:6380/2"
    assert (prefix_in(url), prefix_in("redis://host")) == ("team", "sessiontail")


@pytest.mark.parametrize("url", ["http://me:secret@host", "host:6379", ""])
async def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(RelayError, match="the address of a Redis is redis://") as raised:
        connected(url)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["redis://me:secret@host:port", "redis://me:secret@host?nothing=1"])
async def test_an_address_that_redis_py_refuses_does_not_tell_its_password(url: str) -> None:
    with pytest.raises(RelayError, match="is no address of a Redis") as raised:
        connected(url)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_one_line_says_that_there_is_no_client() -> None:
    with pytest.raises(RelayError, match="on asyncio alone"):
        connected("redis://host")


async def test_a_password_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONTAIL_REDIS_PASSWORD", "secret")

    assert password_of(connected("redis://me@host")) == "secret"
    assert password_of(connected("redis://me:own@host")) == "own"


def password_of(client: Redis) -> object:
    return client.connection_pool.connection_kwargs["password"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (said.AuthenticationError("WRONGPASS"), "it refuses the user or the password: give"),
        (said.ResponseError("NOAUTH Authentication required."), "it refuses the user or"),
        (said.NoPermissionError("no xadd"), "its user may not do all that is needed"),
        (said.ReadOnlyError("READONLY"), "it is a replica, which only reads"),
        (said.OutOfMemoryError("OOM"), "its memory is full: raise maxmemory"),
        (said.BusyLoadingError("LOADING"), "it is still loading its data"),
        (said.ResponseError("MISCONF Redis is configured"), "it takes nothing, as it cannot save"),
        (said.TimeoutError("Timeout"), "it does not answer"),
        (said.ConnectionError("Error 111"), "not reached: the connection was closed"),
    ],
)
def test_an_error_says_what_to_do(error: Exception, words: str) -> None:
    assert in_words(error).startswith(words)


def test_a_certificate_that_is_not_trusted_says_how_it_would_be() -> None:
    cause = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    cause.verify_message = "self-signed certificate"
    error = said.ConnectionError("Error 1")
    error.__cause__ = cause

    assert in_words(error) == (
        "not reached: its certificate is not trusted (self-signed certificate); name who signed "
        "it: rediss://HOST?ssl_ca_certs=FILE"
    )


def test_pauses_grow_up_to_half_a_minute() -> None:
    assert [*islice(pauses(), 12)] == [0.05 * 2**i for i in range(10)] + [30.0, 30.0]


async def test_a_redis_that_goes_is_told_once_and_that_it_is_back_once(tmp_path: Path) -> None:
    told: list[str] = []
    lives = 0

    with RedisServer(tmp_path / "redis") as own:

        def tell(text: str) -> None:
            told.append(text)
            if len(told) == 1:
                tasks.start_soon(anyio.to_thread.run_sync, own.start)

        async def live(client: Redis, well: Callable[[], None]) -> None:
            nonlocal lives
            await call(client.ping())
            well()
            lives += 1
            if lives == 2:
                scope.cancel()
                return
            own.kill()
            await call(client.ping())

        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                await for_ever(own.url, live, timeout_s=5, tell=tell)

    name = shown(own.url)
    assert told == [
        f"{name}: not reached: the connection was closed; tried again until it works",
        f"{name} is back",
    ]


async def test_a_cluster_is_refused_in_words(server: RedisServer) -> None:
    async def live(client: Redis, well: Callable[[], None]) -> None:
        raise said.ClusterDownError("CLUSTERDOWN Hash slot not served")

    with pytest.raises(RelayError, match="a Redis Cluster is not supported"):
        await for_ever(server.url, live, timeout_s=5, tell=print)


@pytest.mark.parametrize(
    "command",
    [
        ("SCRIPT LOAD", "return 1"),
        (b"SET", b"key \r\n", "\u2028 text", 7, 1.5, b""),
        ("XADD", b"key", b"7-1", b"d", b"x" * 200_000),
    ],
)
async def test_a_command_made_in_c_has_the_same_bytes(
    command: tuple[bytes | str | float, ...],
) -> None:
    ours: Any = connected("redis://127.0.0.1:6379/0").connection_pool.make_connection()  # type: ignore[no-untyped-call] # of redis-py

    assert type(ours) is not Connection
    assert b"".join(ours.pack_command(*command)) == b"".join(Connection().pack_command(*command))


async def test_a_network_that_stalls_ends_a_connection(server: RedisServer) -> None:
    told: list[str] = []

    async def live(client: Redis, well: Callable[[], None]) -> None:
        proxy.left = None if told else 3
        await call(client.ping())
        scope.cancel()

    async with Proxy(server) as proxy:
        proxy.then = "stall"
        with anyio.CancelScope() as scope:
            await for_ever(proxy.url, live, timeout_s=0.05, tell=told.append)

        assert told == [f"{shown(proxy.url)}: it does not answer; tried again until it works"]


async def test_what_one_task_raises_is_raised_and_ends_the_others() -> None:
    async def fail() -> None:
        raise OSError("lost")

    async def end() -> None:
        return

    with pytest.raises(OSError, match="lost"):
        await until_one_ends(fail, anyio.sleep_forever)
    await until_one_ends(end, anyio.sleep_forever)
