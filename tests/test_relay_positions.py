from __future__ import annotations

from typing import Any

import pytest

from redises import RedisServer, anyio_backend, server
from sessiontail.format.cursor import Position
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.relay.connecting import call, connected
from sessiontail.relay.entries import Keys
from sessiontail.relay.positions import Known, Stored, read_stored, store_ended

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio

POSITION = Position(40, 2, 1, trailer_seen=False, head=b"h", tail=b"t")
KEY = b"k" * 22


async def test_what_redis_has_is_where_a_relay_goes_on(server: RedisServer) -> None:
    keys, client = Keys("positions"), connected(server.url)
    rows: list[tuple[str, str, int, str, bool]] = [
        ("running", "live", 40, POSITION.encode(), True),
        ("crashed", "abandoned", 40, POSITION.encode(), True),
        ("closed", "closed", 40, POSITION.encode(), True),
        ("without lines", "live", 40, POSITION.encode(), False),
        ("another position", "live", 39, POSITION.encode(), True),
        ("no position", "live", 40, "nothing", True),
        ("closed and lost", "closed", 40, POSITION.encode(), False),
        ("written by another", "live", 40, POSITION.encode(), True),
        ("opened again", "live", 40, POSITION.encode(), True),
        ("opened again and lost", "live", 40, POSITION.encode(), True),
        ("garbage beside", "live", 40, POSITION.encode(), True),
    ]
    for stem, state, size, token, there in rows:
        meta: Any = {
            "generation": 7,
            "lines": 2,
            "bytes": size,
            "state": state,
            "position": token,
            "crc": 3,
        }
        await call(client.hset(keys.session("one", stem), mapping=meta))
        await call(client.zadd(keys.of("one", "sessions"), {stem: 1}))
        for line in (1, 2)[: 2 * there]:
            await call(client.xadd(keys.lines("one", stem), {"d": "x"}, id=f"7-{line}"))
    await call(client.xadd(keys.lines("one", "written by another"), {"d": "x"}, id="7-3"))
    await call(client.set(keys.session("one", "of another"), "x"))
    await call(client.zadd(keys.of("one", "sessions"), {"of another": 1}))
    for stem, beside in (
        ("opened again", "5 1 9 4"),
        ("opened again and lost", "5 2 9 4"),
        ("garbage beside", "5 2"),
    ):
        await call(client.hset(keys.session("one", stem), "closed", beside))
        await call(client.xadd(keys.closed("one", stem), {"d": "x"}, id="5-1"))
    done = ("closed", "closed and lost", "before", "opened again", "opened again and lost")
    await store_ended(client, keys, "one", {**dict.fromkeys(done, KEY), "short": b"k"})

    stored = await read_stored(client, keys, "one")
    await client.aclose()

    assert {stem: known.state for stem, known in stored.sessions.items()} == {
        "running": "live", "crashed": "abandoned", "closed": "closed", "without lines": "lost",
        "another position": "lost", "no position": "lost", "closed and lost": "lost",
        "written by another": "lost", "opened again": "live", "opened again and lost": "lost",
    }  # fmt: skip
    assert stored.sessions["running"] == Known(7, 2, 40, "live", crc=3)
    assert stored.sessions["opened again"] == Known(
        7, 2, 40, "live", Known(5, 1, 9, "closed", crc=4), 3
    )
    assert stored.positions == dict.fromkeys(("running", "crashed", "opened again"), POSITION)
    # What lies beside and is lost is read again.
    assert stored.ended == dict.fromkeys(("closed", "before", "opened again"), KEY)
    assert stored.begun


async def test_a_redis_that_knows_nothing_has_nothing(server: RedisServer) -> None:
    client = connected(server.url)

    assert await read_stored(client, Keys("nothing"), "one") == Stored({}, {}, {}, begun=False)
    await client.aclose()


def test_files_that_are_not_wanted_stay_so_when_redis_has_forgotten_them() -> None:
    empty = Stored({}, {}, {}, begun=False)
    full = Stored({}, {"a": POSITION}, {"b": KEY}, begun=True)

    assert empty.cursor(None) is None
    forgotten = empty.cursor({"c": KEY})
    known = full.cursor({"c": KEY})
    assert forgotten is not None
    assert known is not None
    assert DirectoryPosition.decode(forgotten).ended.names == {"c": KEY}
    assert DirectoryPosition.decode(known).open == {"a": POSITION}
    assert DirectoryPosition.decode(known).ended.names == {"b": KEY, "c": KEY}
    assert full.cursor(None) is None


def test_what_is_done_with_and_was_never_published_is_not_wanted() -> None:
    live, closed = Known(7, 2, 40, "live"), Known(5, 1, 9, "closed")
    known = {
        "closed": closed,
        "opened again": Known(7, 2, 40, "live", closed),
        "beside one that is not wanted": live,
    }
    stored = Stored(known, {}, dict.fromkeys((*known, "before"), KEY), begun=True)

    assert stored.skipped == dict.fromkeys(("beside one that is not wanted", "before"), KEY)


def test_of_what_is_read_anew_nothing_is_done_with_that_was_published() -> None:
    closed = Known(5, 1, 9, "closed")
    sessions = {"closed": closed, "both": Known(7, 2, 40, "live", closed)}
    positions = {"both": POSITION, "running": POSITION, "other": POSITION}
    stored = Stored(sessions, positions, dict.fromkeys(("closed", "both"), KEY), begun=True)

    token = stored.cursor({"running": KEY}, anew=("closed", "both", "running"))

    assert token is not None
    found = DirectoryPosition.decode(token)
    assert (found.open, found.ended.names) == ({"other": POSITION}, {"running": KEY})
