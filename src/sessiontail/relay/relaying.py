"""one host's directory, and its name -> published for ever, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import anyio
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from sessiontail.errors import PersistenceError
from sessiontail.relay.connecting import (
    RelayError,
    call,
    connected,
    for_ever,
    prefix_in,
    shown,
)
from sessiontail.relay.entries import Keys, named
from sessiontail.relay.first_look import FirstLook
from sessiontail.relay.holding import HeldName, machine
from sessiontail.relay.journal import JOURNAL
from sessiontail.relay.publishing import Publisher
from sessiontail.system.buckets import refuse_bucket
from sessiontail.system.files import in_thread
from sessiontail.system.paths import sessions_dir
from sessiontail.system.place import Place
from sessiontail.system.watching import POLL_INTERVAL_S, SWEEP_INTERVAL_S

__all__ = ["relay"]

# At its end a relay gives its name back, if Redis answers so soon.
_LET_GO_S = 1.0


async def relay(
    url: str,
    directory: str | PathLike[str] | None,
    *,
    prefix: str | None,
    name: str,
    include_closed: bool,
    expire_s: int,
    timeout_s: float,
    tell: Callable[[str], None],
    started: Callable[[], None],
) -> None:
    """Publish until cancelled; see ``relay_sessions``."""
    keys = Keys(named("a prefix", prefix or prefix_in(url)))
    held = HeldName(keys, named("a relay's name", name))
    place = Place(sessions_dir(directory), SWEEP_INTERVAL_S, POLL_INTERVAL_S, events=True)
    refuse_bucket(place.directory, "relayed")
    await in_thread(_refuse_mirror, place.directory)
    publisher = Publisher(
        place,
        keys,
        held,
        first_look=FirstLook(place.directory, f"{shown(url)} {keys.prefix} {name}"),
        include_closed=include_closed,
        expire_s=expire_s,
        tell=tell,
    )
    told = False
    warned: set[str] = set()

    async def live(client: Redis, well: Callable[[], None]) -> None:
        def begun() -> None:
            nonlocal told
            if not told:
                told = True
                started()

        await _introduce(client, keys, held, place.directory)
        drops = await _drops(client)
        if drops and drops not in warned:
            warned.add(drops)
            tell(drops)
        await publisher.publish(client, begun=begun, well=well)

    try:
        await for_ever(url, live, timeout_s=timeout_s, tell=tell)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LET_GO_S, shield=True):
            await _let_go(url, held)


async def _introduce(client: Redis, keys: Keys, held: HeldName, directory: Path) -> None:
    """Say who publishes what under this name.

    Raises:
        RelayError: the name is that of another directory.
    """
    await held.take(client)
    where = f"{machine()}:{directory}"
    await call(client.hsetnx(keys.of(held.host, "info"), "directory", where))
    found = await call(client.hget(keys.of(held.host, "info"), "directory"))
    if found.decode("utf-8", "replace").partition(":")[2] != str(directory):
        await held.let_go(client)
        was = found.decode("utf-8", "replace").partition(":")[2]
        raise RelayError(
            f"the name {held.host} is that of {was}: give --name for {directory}, or its "
            "sessions would seem to be deleted"
        )
    await call(client.hset(keys.of(held.host, "info"), "directory", where))
    await call(client.sadd(keys.hosts, held.host))


async def _drops(client: Redis) -> str:
    """Return what is told of a Redis that drops what it has; '' where it does not, or does not say."""
    try:
        memory = await call(client.info("memory"))
    except ResponseError:
        return ""
    policy = str(memory.get("maxmemory_policy", ""))
    if not memory.get("maxmemory") or not policy.startswith("allkeys"):
        return ""
    return (
        f"this Redis drops sessions when its memory is full (maxmemory-policy {policy}): readers then "
        "lack them; set noeviction"
    )


async def _let_go(url: str, held: HeldName) -> None:
    client = connected(url, timeout_s=_LET_GO_S)
    try:
        await held.let_go(client)
    except Exception:  # noqa: BLE001, S110 - the name runs out by itself
        pass
    finally:
        await client.aclose()


def _refuse_mirror(directory: Path) -> None:
    if (directory / JOURNAL).exists():
        raise PersistenceError(
            "this directory is a mirror of what relays publish: relayed, it would feed itself",
            path=directory,
        )
