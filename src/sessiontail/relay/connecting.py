"""URL -> a connection to Redis; an error of Redis -> words that say what to do.

redis-py's asyncio client: there is none for trio. It never tries again by itself: what was lost
with a connection is known only where a step is begun anew.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import anyio
from redis import exceptions as said
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.utils import HIREDIS_AVAILABLE

from sessiontail.errors import PersistenceError
from sessiontail.system.signals import on_asyncio

__all__ = [
    "RelayError",
    "call",
    "connected",
    "for_ever",
    "in_words",
    "pauses",
    "prefix_in",
    "run_of",
    "shown",
    "until_one_ends",
]

# How long Redis may take for an answer.
_TIMEOUT_S = 10.0
# Has the password where the URL has none: arguments show in the list of processes.
_PASSWORD_VARIABLE = "SESSIONTAIL_REDIS_PASSWORD"  # noqa: S105 - the name of one

_MOST_PACKED_BYTES = 64 * 1024

_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.05, 30.0

_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS) or unix:///PATH?db=DB, with a number for DB"
)
_NO_ADDRESS = f"the address of a Redis is {_FORMS}"
# What is told of a Redis that is not there.
_NOT_REACHED, _SILENT = "not reached", "it does not answer"
_GONE = (_NOT_REACHED, _SILENT)


class RelayError(PersistenceError):
    """What no second try mends: another relay of this name, a cluster, a wrong address."""


def shown(url: str) -> str:
    """Return a URL without user and password, and without what follows the database."""
    parts = _parts_of(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def prefix_in(url: str) -> str:
    """Return the prefix of all keys that a URL names, as ``redis://host/0?prefix=team``."""
    return dict(parse_qsl(_parts_of(url).query)).get("prefix", "sessiontail")


def _parts_of(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        RelayError: it has none. What is wrong may be the password, so the URL is not repeated.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RelayError(_NO_ADDRESS) from error


def _without_prefix(url: str) -> str:
    parts = _parts_of(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "prefix"]
    return parts._replace(query=urlencode(kept)).geturl()


def connected(url: str, *, timeout_s: float = _TIMEOUT_S) -> Redis:
    """Return a client; nothing is connected before it is asked.

    Raises:
        RelayError: that is no address of a Redis, or this event loop is trio's.
    """
    if not on_asyncio():
        raise RelayError("Redis is reached on asyncio alone: redis-py has no client for trio")
    parts = _parts_of(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise RelayError(_NO_ADDRESS)
    # redis-py takes what is no number for database 0.
    is_whole = parts.path not in ("", "/") if parts.scheme == "unix" else _is_database(parts.path)
    if not is_whole:
        raise RelayError(f"{shown(url)} is no address of a Redis: {_FORMS}")
    password = parts.password or os.environ.get(_PASSWORD_VARIABLE) or None
    given: dict[str, Any] = {} if password is None else {"password": password}
    try:
        client = Redis.from_url(
            _without_prefix(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **given,
        )
        pool = client.connection_pool
        pool.connection_class = _packing_in_c(pool.connection_class)
        pool.make_connection()  # type: ignore[no-untyped-call]  # refuses options that are none
    except (ValueError, TypeError, said.RedisError) as error:
        # What the error says may quote the URL, password and all.
        raise RelayError(f"{shown(url)} is no address of a Redis: {_FORMS}") from error
    return client


def _packing_in_c(connection: type[Any]) -> type[Any]:
    """Return a class of connections that makes commands as redis-py's blocking client does.

    With hiredis that is done in C; its asyncio client makes them in Python, which was a tenth of what
    a record costs a relay.
    """
    if not HIREDIS_AVAILABLE:
        return connection
    from redis.connection import HiredisRespSerializer  # noqa: PLC0415 - there only with hiredis

    in_c, in_python = HiredisRespSerializer().pack, connection.pack_command

    def pack_command(self: Any, *args: Any) -> Any:
        # A very long line is not copied once more.
        if any(type(arg) is bytes and len(arg) > _MOST_PACKED_BYTES for arg in args):
            return in_python(self, *args)
        return in_c(*args)

    return type(connection.__name__, (connection,), {"pack_command": pack_command})


def _is_database(path: str) -> bool:
    number = path.strip("/")
    return not number or (number.isascii() and number.isdigit())


async def run_of(client: Redis) -> str:
    """Return what tells this run of a Redis from others of it; '' where it does not say."""
    try:
        found = await call(client.info("server"))
    except said.ResponseError:
        return ""
    return str(found.get("run_id", ""))


async def call(answer: Awaitable[Any] | Any) -> Any:
    """Await an answer: redis-py's types say that it may be here already."""
    return await cast("Awaitable[Any]", answer)


def in_words(error: BaseException) -> str:
    """Return what went wrong between us and Redis, and what to do about it."""
    text = str(error)
    match error:
        case said.AuthenticationError() | said.AuthorizationError():
            return (
                "it refuses the user or the password: give redis://USER:PASSWORD@HOST, "
                f"or the password in {_PASSWORD_VARIABLE}"
            )
        case said.NoPermissionError():
            return f"its user may not do all that is needed; give it more rights (ACL): {text}"
        case said.ReadOnlyError():
            return "it is a replica, which only reads: give the address of the primary"
        case said.OutOfMemoryError():
            return "its memory is full: raise maxmemory, or delete sessions"
        case said.BusyLoadingError():
            return "it is still loading its data"
        case said.TimeoutError():
            return _SILENT
        case said.ConnectionError():
            cause = error.__cause__ or error.__context__
            reason = "the connection was closed"
            if "max number of clients" in text:
                return "it has as many clients as it takes: raise maxclients, or end some"
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = (
                    f"its certificate is not trusted ({cause.verify_message}); name who signed "
                    "it: rediss://HOST?ssl_ca_certs=FILE"
                )
            elif isinstance(cause, ssl.SSLError):
                reason = f"TLS failed: {cause.reason or cause}"
            elif isinstance(cause, OSError) and cause.errno:
                # Names that are not found have numbers of their own.
                known = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror
                reason = known or reason
            return f"{_NOT_REACHED}: {reason}"
    if "NOAUTH" in text:
        return in_words(said.AuthenticationError())
    if "WRONGTYPE" in text or "not an integer" in text:
        return (
            "a key of ours has another program's value: give a prefix of your own, "
            "redis://HOST/0?prefix=NAME"
        )
    if "MISCONF" in text:
        return "it takes nothing, as it cannot save its data: look at its log"
    return text or type(error).__name__


def refuse_cluster(error: BaseException) -> None:
    """Raise where Redis is a cluster."""
    text = str(error)
    if isinstance(error, (said.ClusterError, said.CrossSlotTransactionError)) or text.startswith(
        ("MOVED", "ASK ", "CROSSSLOT", "CLUSTERDOWN")
    ):
        raise RelayError(
            "a Redis Cluster is not supported: a session and its relay must lie in one Redis"
        ) from error


def pauses() -> Iterator[float]:
    """Yield how long to wait before each next try, ever longer, up to half a minute."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, _MOST_PAUSE_S)


async def for_ever(
    url: str,
    live: Callable[[Redis, Callable[[], None]], Awaitable[None]],
    *,
    timeout_s: float,
    tell: Callable[[str], None],
) -> None:
    """Live on a connection, and when it is lost on the next one, until cancelled.

    Args:
        url: of Redis.
        live: works on a connection; returns where it wants to begin anew on another one; what it
            is given is to be called once all is well.
        timeout_s: how long Redis may take for an answer.
        tell: takes a line when Redis is lost, and when it is back.

    Raises:
        RelayError: what ``live`` raises, or the address is none.
        PersistenceError: what ``live`` raises.
    """
    lost: str | None = None
    waits = pauses()

    def well() -> None:
        nonlocal lost, waits
        if lost is not None:
            tell(f"{shown(url)} is back")
        lost, waits = None, pauses()

    while True:
        client = connected(url, timeout_s=timeout_s)
        try:
            await live(client, well)
        except (OSError, said.RedisError) as error:
            refuse_cluster(error)
            why = in_words(error)
            # Refused, closed, no answer: all of it is that it is gone.
            known = "gone" if why.startswith(_GONE) else why
            if lost != known:
                tell(f"{shown(url)}: {why}; tried again until it works")
            lost = known
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()
        await anyio.sleep(next(waits))


async def until_one_ends(*works: Callable[[], Awaitable[None]]) -> None:
    """Run some tasks; when one of them ends, or raises, end all and return, or raise that."""
    try:
        async with anyio.create_task_group() as group:

            async def run(work: Callable[[], Awaitable[None]]) -> None:
                await work()
                group.cancel_scope.cancel()

            for work in works:
                group.start_soon(run, work)
    except BaseExceptionGroup as raised:
        error: BaseException = raised
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__
