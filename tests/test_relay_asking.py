from __future__ import annotations

from typing import Any

import pytest

from redises import RedisServer, anyio_backend, server
from sessiontail.relay.asking import Asking
from sessiontail.relay.connecting import call, connected
from sessiontail.relay.entries import Keys
from sessiontail.relay.hosts import Hosts
from sessiontail.relay.metas import Meta

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio


async def test_what_is_strange_is_told_once_and_hides_nothing_else(server: RedisServer) -> None:
    keys, client, told = Keys("asking"), connected(server.url), list[str]()
    fields: Any = {"generation": 7, "lines": 2, "bytes": 40, "state": "live"}
    fields |= {"why": "begun", "crc": 3}
    await call(client.hset(keys.session("one", "a"), mapping=fields))
    await call(client.hset(keys.session("one", "b"), mapping=fields | {"lines": "many"}))
    await call(client.set(keys.session("one", "c"), "of another program"))
    await call(client.hset(keys.session("two", "a"), mapping=fields))
    hosts = Hosts(keys, told.append)
    hosts.forsaken.add("two")
    asking = Asking(keys, hosts, ("a", "b", "c", "d"), told.append)
    names = [("one", stem) for stem in ("a", "b", "c", "d", "not wanted")] + [("two", "a")]

    found = [await asking.ask(client, names) for _ in range(2)]
    await client.aclose()

    assert found[0] == found[1] == [
        (("one", "a"), Meta(7, 2, 40, "live", "begun", crc=3)),
        (("two", "a"), Meta(7, 2, 40, "abandoned", "begun", crc=3)),  # its relay is gone for long
    ]  # fmt: skip
    assert told == [
        f"{stem} of one is left out: no relay has written what Redis has of it" for stem in "bc"
    ]
