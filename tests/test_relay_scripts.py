"""What Redis is asked for is done whole, once, by who holds the name, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from redises import RedisServer, server
from sessiontail.relay.scripts import APPEND, CAUGHT_UP, FIELDS_OF, KNOWN, LET_GO, RENEW

__all__ = ["server"]

KEYS = ["lock", "session", "lines", "sessions", "ended", "events", "marks", "count", "closed"]


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as client:
        client.flushall()
        client.set("lock", "me")
        yield client


def append(
    client: redis.Redis,
    *lines: bytes,
    token: str = "me",
    before: tuple[int, int] | None = None,
    generation: int = 100,
    first: int = 1,
    event: str = "",
    ended: str = "",
    state: str = "live",
    closed: str = "",
    beside: str = "",
) -> object:
    believed = ("", "") if before is None else before
    pairs = [part for line in lines for part in (b"d", line)]
    fields = ["state", state, *(["closed", beside] if beside else [])]
    return client.eval(
        APPEND, 9, *KEYS, token, "host", "file", *believed, generation, first, event, "", ended, 60,
        closed, len(fields) // 2, *fields, *pairs,
    )  # fmt: skip


def fields_in(client: redis.Redis, stream: str) -> list[Any]:
    entries: Any = client.xrange(stream)
    return [fields for _, fields in entries]


def test_lines_and_what_is_known_of_them_are_one_change(client: redis.Redis) -> None:
    append(client, b"a", b"b", event="started")
    append(client, b"c", before=(100, 2), first=3)

    assert client.xrange("lines") == [
        (b"100-1", {b"d": b"a"}), (b"100-2", {b"d": b"b"}), (b"100-3", {b"d": b"c"}),
    ]  # fmt: skip
    assert client.hgetall("session") == {b"state": b"live", b"generation": b"100", b"lines": b"3"}
    assert [fields[b"event"] for fields in fields_in(client, "events")] == [b"started"]
    assert fields_in(client, "marks") == [
        {b"n": b"1", b"host": b"host", b"file": b"file"},
        {b"n": b"2", b"host": b"host", b"file": b"file"},
    ]


@pytest.mark.parametrize("before", [None, (100, 1), (100, 3), (99, 2)])
def test_what_does_not_follow_is_refused_and_changes_nothing(
    client: redis.Redis, before: tuple[int, int] | None
) -> None:
    append(client, b"a", b"b")
    was = client.dump("session"), client.xrange("lines"), client.xlen("marks")

    with pytest.raises(redis.ResponseError, match="BEHIND"):
        append(client, b"c", before=before, first=3)

    assert (client.dump("session"), client.xrange("lines"), client.xlen("marks")) == was


def test_a_line_that_is_there_is_refused_by_redis_itself(client: redis.Redis) -> None:
    append(client, b"a", b"b")
    client.delete("session")

    with pytest.raises(redis.ResponseError, match="equal or smaller than the target stream top"):
        append(client, b"a")

    assert client.xlen("lines") == 2


def test_a_stream_that_is_gone_is_not_gone_on_with_in_its_middle(client: redis.Redis) -> None:
    append(client, b"a", b"b")
    client.delete("lines")

    with pytest.raises(redis.ResponseError, match="BEHIND"):
        append(client, b"c", before=(100, 2), first=3)


def test_a_stream_into_which_somebody_else_wrote_is_not_gone_on_with(client: redis.Redis) -> None:
    append(client, b"a")
    client.xadd("lines", {"x": "y"})

    with pytest.raises(redis.ResponseError, match="BEHIND"):
        append(client, b"b", before=(100, 1), first=2)


def test_a_later_id_of_somebody_else_stops_a_session_once(client: redis.Redis) -> None:
    append(client, b"a")
    client.xdel("lines", client.xadd("lines", {"x": "y"}, id="9999999999999-1"))

    with pytest.raises(redis.ResponseError, match="BEHIND"):
        append(client, b"b", before=(100, 1), first=2)
    assert client.exists("lines") == 0
    append(client, b"a", b"b", before=(100, 1), generation=101)

    assert client.xrange("lines") == [(b"101-1", {b"d": b"a"}), (b"101-2", {b"d": b"b"})]


def test_a_session_that_redis_lists_no_more_is_begun_anew(client: redis.Redis) -> None:
    append(client, b"a", b"b")
    client.delete("sessions")

    append(client, b"a", generation=50)

    assert (client.xrange("lines"), client.zrange("sessions", 0, -1)) == (
        [(b"50-1", {b"d": b"a"})], [b"file"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "key", ["session", "lines", "sessions", "ended", "events", "marks", "count", "closed"]
)
def test_a_key_of_another_type_stops_a_change_before_anything_is_changed(
    client: redis.Redis, key: str
) -> None:
    client.rpush(key, "of another program") if key != "count" else client.set(key, "no number")

    with pytest.raises(redis.ResponseError, match=r"WRONGTYPE|not an integer"):
        append(client, b"a", event="started")

    assert client.hget("session", "lines") is None if key != "session" else True
    assert client.exists("lines") == (key == "lines")


def test_that_all_is_published_is_said_by_who_holds_the_name(client: redis.Redis) -> None:
    keys = ("lock", "info", "marks", "count")
    with pytest.raises(redis.ResponseError, match="LOST"):
        client.eval(CAUGHT_UP, 4, *keys, "another", "host", "run")
    client.eval(CAUGHT_UP, 4, *keys, "me", "host", "run")

    assert client.hgetall("info") == {b"caught_up": b"run"}
    assert fields_in(client, "marks") == [{b"n": b"1", b"host": b"host", b"file": b""}]


def test_who_has_lost_the_name_publishes_nothing(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="LOST me"):
        append(client, b"a", token="another")

    assert client.keys() == [b"lock"]


def test_another_generation_takes_the_place_of_the_one_before(client: redis.Redis) -> None:
    append(client, b"a", b"b")
    append(client, b"new", before=(100, 2), generation=200)

    assert client.xrange("lines") == [(b"200-1", {b"d": b"new"})]


def test_what_is_deleted_expires_and_may_begin_anew(client: redis.Redis) -> None:
    append(client, b"a")
    append(client, before=(100, 1), first=2, event="deleted", state="deleted")

    assert (0 < client.ttl("session") <= 60, 0 < client.ttl("lines") <= 60) == (True, True)
    assert client.zrange("sessions", 0, -1) == []
    append(client, b"b", generation=101)
    assert client.xrange("lines") == [(b"101-1", {b"d": b"b"})]
    assert (client.ttl("session"), client.ttl("lines")) == (-1, -1)


def test_a_file_that_is_done_with_is_so_until_lines_come(client: redis.Redis) -> None:
    append(client, b"a")
    append(client, before=(100, 1), first=2, event="closed", ended="key", state="closed")
    assert client.hgetall("ended") == {b"file": b"key"}

    append(client, b"b", before=(100, 1), generation=200)
    assert client.hgetall("ended") == {b"file": b"key"}
    append(client, b"c", before=(200, 1), generation=300, ended="-")

    assert client.hgetall("ended") == {}


def opened_again(client: redis.Redis) -> None:
    append(client, b"a", b"b")
    append(client, before=(100, 2), first=3, state="closed")
    append(client, b"c", before=(100, 2), generation=200, closed="aside", beside="100 2 4")


def both(client: redis.Redis) -> tuple[list[bytes], list[bytes], bytes | None]:
    beside: Any = client.hget("session", "closed")
    found = [[fields[b"d"] for fields in fields_in(client, key)] for key in ("lines", "closed")]
    return found[0], found[1], beside


def test_the_lines_of_a_closed_file_stay_while_its_session_is_open_again(
    client: redis.Redis,
) -> None:
    opened_again(client)
    append(client, b"d", before=(200, 1), generation=200, first=2, closed="keep")
    assert both(client) == ([b"c", b"d"], [b"a", b"b"], b"100 2 4")

    append(client, before=(200, 2), generation=200, first=3, state="closed")

    assert both(client) == ([b"c", b"d"], [], None)


def test_the_lines_of_a_closed_file_come_back_where_the_new_one_goes(client: redis.Redis) -> None:
    opened_again(client)

    append(client, before=(200, 1), generation=100, first=3, state="closed", closed="back")

    assert both(client) == ([b"a", b"b"], [], None)
    append(client, b"e", before=(100, 2), generation=300, closed="aside", beside="100 2 4")
    assert both(client) == ([b"e"], [b"a", b"b"], b"100 2 4")


@pytest.mark.parametrize("closed", ["aside", "back"])
def test_lines_that_are_lost_are_neither_put_aside_nor_back(
    client: redis.Redis, closed: str
) -> None:
    opened_again(client)
    client.delete("lines", "closed")

    with pytest.raises(redis.ResponseError, match="BEHIND"):
        append(client, b"d", before=(200, 1), generation=300, closed=closed)


def test_what_is_known_is_told_with_whether_lines_are_there(client: redis.Redis) -> None:
    append(client, b"a")

    assert client.eval(KNOWN, 6, "session", "lines", "no", "no", "no", "no") == [
        [b"100", b"1", None, b"live", None, None, None, 1, 0],
        [None, None, None, None, None, None, None, 0, 0],
    ]


def test_fields_of_many_are_told_with_the_errors_of_those_that_are_no_hashes(
    client: redis.Redis,
) -> None:
    append(client, b"a")
    client.set("text", "of another program")

    found: Any = client.eval(FIELDS_OF, 3, "session", "text", "no", "lines", "state")

    assert (found[0], found[2]) == ([b"1", b"live"], [None, None])
    assert isinstance(found[1], redis.ResponseError)


def test_a_lock_is_renewed_and_given_back_by_who_holds_it_alone(client: redis.Redis) -> None:
    assert [
        client.eval(RENEW, 3, "lock", "info", "hosts", who, 5000, "host")
        for who in ("me", "another")
    ] == [1, 0]
    assert [client.eval(LET_GO, 1, "lock", who) for who in ("another", "me")] == [0, 1]
    assert client.eval(RENEW, 3, "lock", "info", "hosts", "me", 5000, "host") == 0
