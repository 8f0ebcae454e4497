"""Whatever is killed or lost on the way, the streams in Redis are the files: no gap, nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from commands import ONE, TWO, chunk, closed, header, trailer
from redises import Proxy, RedisServer, anyio_backend, server, url
from relays import Agents, files_in, in_redis, relaying, soon, start_relay, until
from sessiontail.relay import connecting, publishing, verifying
from sessiontail.relay.connecting import prefix_in

__all__ = ["anyio_backend", "server", "url"]

pytestmark = pytest.mark.anyio

SEED = 20260101
THREE = ONE[:-1] + "3"

#: How Redis keeps what it has; with the last one, a restart loses all.
KEPT = {
    "always": ("--appendonly", "yes", "--appendfsync", "always"),
    "now and then": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "nothing": (),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "sessions"
    path.mkdir()
    return path


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_streams_are_the_files_though_relay_and_redis_are_killed_at_any_moment(
    tmp_path: Path, directory: Path, kept: str, kills: int
) -> None:
    rng = random.Random(f"{SEED} {kept} {kills}")
    agents = Agents(directory, rng.getrandbits(32))
    with RedisServer(tmp_path / "redis", *KEPT[kept]) as own:
        relay = start_relay(own.url, directory)
        for _ in range(kills):
            agents.work(20)
            time.sleep(rng.uniform(0, 0.12))
            if rng.random() < 0.3:
                own.kill()
                agents.work(10)
                own.start()
            else:
                relay.kill()
                relay.join()
                agents.work(10)
                relay = start_relay(own.url, directory)
        agents.finish()

        until(lambda: in_redis(own.url) == files_in(directory))
        relay.kill()
        relay.join()


@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_what_closed_since_the_first_look_is_published_whoever_is_killed_and_forgets(
    server: RedisServer, url: str, directory: Path, tmp_path: Path, kills: int
) -> None:
    rng = random.Random(f"{SEED} {kills}")
    agents = Agents(directory, rng.getrandbits(32), deletes=False)
    before = {f"{THREE}.jsonl"}
    closed(directory, THREE, "before")

    def start() -> BaseProcess:
        cache = tmp_path / "cache.sqlite"
        return start_relay(url, directory, include_closed=False, cache=cache)

    with client_of(server) as client:
        for _ in range(kills):  # also while it notes what it has found
            relay = start()
            time.sleep(rng.uniform(0, 0.1))
            relay.kill()
            relay.join()
            lose_all(server, url)
        relay = start()
        until(lambda: client.hget(f"{prefix_in(url)}:one:info", "begun"))
        for _ in range(kills):
            agents.work(20)
            time.sleep(rng.uniform(0, 0.12))
            relay.kill()
            relay.join()
            agents.work(10)
            if rng.random() < 0.5:
                lose_all(server, url)
            relay = start()
        agents.finish()

        until(lambda: _whole(url) == without(before, files_in(directory)))
    relay.kill()
    relay.join()


def without(names: set[str], files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name not in names}


@pytest.mark.parametrize("cuts", [6, pytest.param(150, marks=pytest.mark.slow)])
async def test_streams_are_the_files_though_the_network_cuts_and_stalls(
    server: RedisServer, directory: Path, cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_MOST_PAUSE_S", 0.1)
    rng = random.Random(SEED)
    agents = Agents(directory, SEED)
    async with Proxy(server) as proxy:
        address = f"{proxy.url}?prefix=cut-{cuts}"
        async with relaying(address, directory, name="one", timeout=0.1):
            for _ in range(cuts):
                failed = proxy.failed
                proxy.then = rng.choice(["cut", "cut", "stall"])
                proxy.left = int(10 ** rng.uniform(0, 4))
                agents.work(20)
                while proxy.failed == failed:
                    agents.work(1)
                    await anyio.sleep(0.01)
                proxy.left = None
            agents.finish()

            address = f"{server.url}?prefix=cut-{cuts}"
            await soon(lambda: in_redis(address) == files_in(directory))


async def test_what_was_closed_before_is_not_published_and_what_closes_meanwhile_is(
    url: str, directory: Path
) -> None:
    closed(directory, ONE, "before")
    async with relaying(url, directory, name="one"):
        pass
    closed(directory, TWO, "meanwhile")

    async with relaying(url, directory, name="one"):
        await soon(lambda: in_redis(url))

        assert in_redis(url) == {f"{TWO}.jsonl": (directory / f"{TWO}.jsonl").read_bytes()}


async def test_all_that_was_closed_is_published_where_it_is_asked_for(
    url: str, directory: Path
) -> None:
    closed(directory, ONE, "before")

    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: in_redis(url) == files_in(directory))


async def test_hostile_lines_are_published_as_they_are(url: str, directory: Path) -> None:
    path = directory / f"{ONE}.jsonl"
    path.write_bytes(
        b"\n\n" + header(ONE) + b"\n" + b"\xff\xfe\n" + b"\0" * 1000 + b"\n" + b"{}\n"
        + chunk(0, "\u202e\u2028") + b'{"' + b"z" * 3_000_000 + b"\n" + trailer(1) + b" \n\n\ntorn"
    )  # fmt: skip

    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: in_redis(url) == files_in(directory))


def client_of(server: RedisServer) -> redis.Redis:
    return redis.Redis(port=server.port)


async def test_what_happens_to_sessions_is_told_in_order(
    url: str, server: RedisServer, directory: Path
) -> None:
    prefix = prefix_in(url)
    path = directory / f"{ONE}.jsonl"
    with client_of(server) as client:
        told: Callable[[], list[tuple[str, int]]] = lambda: [  # noqa: E731 - asked again and again
            (fields[b"event"].decode(), int(fields[b"lines"]))
            for _, fields in _entries(client, f"{prefix}:events")
        ]
        async with relaying(url, directory, name="one"):
            closed(directory, ONE, "a", "b")
            await soon(lambda: len(told()) == 2)
            path.unlink()
            await soon(lambda: len(told()) == 3)
            closed(directory, ONE, "c")
            await soon(lambda: len(told()) == 5)

        assert told() == [
            ("started", 4), ("closed", 4), ("deleted", 4), ("started", 3), ("closed", 3),
        ]  # fmt: skip


def _entries(client: redis.Redis, stream: str) -> list[Any]:
    entries: Any = client.xrange(stream)
    return list(entries)


async def test_a_session_that_went_while_nobody_looked_is_told_of(
    url: str, directory: Path
) -> None:
    closed(directory, ONE, "a")
    closed(directory, TWO, "b")
    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: len(in_redis(url)) == 2)
    (directory / f"{ONE}.jsonl").unlink()

    async with relaying(url, directory, name="one"):
        await soon(lambda: in_redis(url) == files_in(directory))


async def test_a_stream_that_redis_has_lost_is_published_again(
    url: str, server: RedisServer, directory: Path
) -> None:
    path = directory / f"{ONE}.jsonl.__partial__"
    path.write_bytes(header(ONE) + chunk(0, "a"))
    async with relaying(url, directory, name="one"):
        await soon(lambda: in_redis(url) == files_in(directory))
        with client_of(server) as client:
            client.delete(f"{prefix_in(url)}:one:lines:{ONE}")
        with path.open("ab") as file:
            file.write(chunk(1, "b"))

        await soon(lambda: _whole(url) == files_in(directory))


def _whole(url: str) -> object:
    try:
        return in_redis(url)
    except AssertionError:
        return None  # a stream that is still to be filled


async def test_a_slow_redis_holds_up_the_reading(
    url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_MOST_WAITING", 2)
    monkeypatch.setattr(publishing, "_STEP", 1)
    agents = Agents(directory, SEED)
    async with relaying(url, directory, name="one"):
        agents.work(200)
        agents.finish()

        await soon(lambda: in_redis(url) == files_in(directory))


async def test_a_redis_without_memory_is_told_once_and_goes_on_when_it_has_some(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_MOST_PAUSE_S", 0.1)
    with RedisServer(tmp_path / "redis") as own, client_of(own) as client:
        async with relaying(own.url, directory, name="one") as told:
            client.config_set("maxmemory", "1")
            Agents(directory, SEED).work(300)
            await soon(lambda: told)
            client.config_set("maxmemory", "0")
            await soon(lambda: len(told) == 2 and in_redis(own.url) == files_in(directory))

    where = f"redis://127.0.0.1:{own.port}/0"
    full = "its memory is full: raise maxmemory, or delete sessions"
    assert told == [f"{where}: {full}; tried again until it works", f"{where} is back"]


def lose_all(server: RedisServer, url: str) -> None:
    """What a Redis that was started anew has of a prefix: nothing."""
    with client_of(server) as client:
        keys: Any = client.keys(f"{prefix_in(url)}:*")
        client.delete("nothing", *keys)


async def test_what_redis_loses_while_a_restarted_relay_lives_is_published_again(
    url: str, server: RedisServer, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_FIRST_PAUSE_S", 0.01)
    closed(directory, ONE, "before")
    async with relaying(url, directory, name="one"):
        pass
    closed(directory, TWO, "meanwhile")
    async with relaying(url, directory, name="one"):
        await soon(lambda: in_redis(url))
        lose_all(server, url)
        (directory / f"{THREE}.jsonl.__partial__").write_bytes(header(THREE))

        await soon(lambda: len(in_redis(url)) == 2)

    assert {*in_redis(url)} == {f"{TWO}.jsonl", f"{THREE}.jsonl.__partial__"}


@pytest.mark.parametrize("cache", ["kept", "off"])
async def test_what_was_published_once_is_so_again_though_redis_lost_it_while_no_relay_ran(
    url: str, server: RedisServer, directory: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    path = directory.with_name("cache.sqlite")
    monkeypatch.setenv("SESSIONTAIL_CACHE", "off" if cache == "off" else str(path))
    closed(directory, ONE, "before")
    async with relaying(url, directory, name="one"):
        closed(directory, TWO, "published")
        await soon(lambda: in_redis(url))
    closed(directory, THREE, "meanwhile")
    lose_all(server, url)

    async with relaying(url, directory, name="one"):
        with client_of(server) as client:
            await soon(lambda: client.hget(f"{prefix_in(url)}:one:info", "caught_up"))

    names = set() if cache == "off" else {f"{TWO}.jsonl", f"{THREE}.jsonl"}
    assert {*in_redis(url)} == names
    async with relaying(url, directory, name="one", include_closed=True):
        pass
    lose_all(server, url)
    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: in_redis(url) == files_in(directory))


def same_ends(middle: str) -> bytes:
    """A session that begins and ends with the same bytes as others of its length."""
    return header(ONE) + chunk(0, middle + "x" * 400) + trailer(1)


async def change_unseen(
    url: str, path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    """What Redis has in the end of a file of which only the middle changes."""
    monkeypatch.setattr(verifying, "_LOOK_S", 0.01)
    monkeypatch.setattr(connecting, "_FIRST_PAUSE_S", 0.01)
    path.write_bytes(same_ends("secret"))
    new, directory = path.with_name("new"), path.parent
    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: in_redis(url) == files_in(directory))
        if how == "while it lives":
            path.write_bytes(same_ends("******"))
            await soon(lambda: in_redis(url) == files_in(directory))
    if how != "while it lives":
        new.write_bytes(same_ends("******") + chunk(1, "more") * (how == "and longer"))
        new.rename(path)
    async with relaying(url, directory, name="one", include_closed=True):
        await soon(lambda: in_redis(url) == files_in(directory))
        return in_redis(url)


@pytest.mark.parametrize("which", ["new", "closed"])
async def test_of_two_files_either_is_published_anew_where_it_changes_between_its_ends(
    url: str, directory: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_LOOK_S", 0.01)
    monkeypatch.setattr(connecting, "_FIRST_PAUSE_S", 0.01)
    final, wal = directory / f"{ONE}.jsonl", directory / f"{ONE}.jsonl.__partial__"
    async with relaying(url, directory, name="one", include_closed=True):
        final.write_bytes(same_ends("closed"))
        await soon(lambda: in_redis(url) == files_in(directory))
        wal.write_bytes(same_ends("opened"))
        await soon(lambda: in_redis(url) == files_in(directory))
        (wal if which == "new" else final).write_bytes(same_ends("******"))

        await soon(lambda: _whole(url) == files_in(directory))


@pytest.mark.parametrize("how", ["while it lives", "meanwhile", "and longer"])
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.__partial__"])
async def test_a_file_that_changes_between_its_ends_only_is_published_anew(
    url: str, directory: Path, how: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = directory / f"{ONE}{ending}"

    found = await change_unseen(url, path, how, monkeypatch)

    assert found == {path.name: path.read_bytes()}
