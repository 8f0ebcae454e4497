"""an application -> served by uvicorn on a socket of our own, until a signal says to stop.

At SIGTERM and Ctrl-C all streams end first, each by a clean end; then uvicorn, which would wait for
them, shuts down; what is not done by then is cut. A second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import resource
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette

from sessiontail.errors import PersistenceError
from sessiontail.service.connections import HEAD_TIMEOUT_S, Connections
from sessiontail.service.context import Context
from sessiontail.service.live.clients import end_streams

__all__ = ["CannotListen", "listen", "serve", "url_of"]

# Connections that wait to be accepted. More than the system allows (net.core.somaxconn) is cut.
_BACKLOG = 4096
# Accepted in one turn of the loop. Out of descriptors, asyncio tries as often before it rests.
_ACCEPTED_AT_ONCE = 64
# What is not done so long after the signal is cut, and then nothing is waited for.
_CUT_S = 0.5
_LEAVE_S = 0.2
# A connection that is idle between two requests stays so long.
_KEEP_ALIVE_S = 5
# Who has gone without a word is asked after so long, and so often.
_PROBE_S = 15
# The same line is told again after so long; so many lines are remembered for that.
_TOLD_AGAIN_S = 60.0
_TOLD_LINES = 100
# Descriptors for what are no connections: files, watches.
_SPARE = 128


class CannotListen(PersistenceError):
    """The address cannot be had; the message says what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address, and takes connections from now on.

    Args:
        host: a name or an address, of IPv4 or IPv6; ``::`` is both.
        port: 0 has one picked.

    Raises:
        CannotListen: it is in use, may not be had, or is none of this machine.
    """
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except socket.gaierror as error:
        raise CannotListen(f"--host {host}: {error.strerror}") from error
    except OSError as error:
        raise CannotListen(f"cannot listen on {shown}: {_advice(error, port)}") from error
    return listener


def _advice(error: OSError, port: int) -> str:
    said = (error.strerror or str(error)).lower()
    if isinstance(error, PermissionError):
        return f"{said}; ports below 1024 are root's: give a higher --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{said}; give another --host"
    if port:
        return f"{said}; give another --port, or --port 0 to have a free one picked"
    return f"{said}; give another --host"


def url_of(listener: socket.socket) -> str:
    """Return the URL under which this machine reaches a socket that listens."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: Starlette,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    tell: Callable[[str], None],
    head_timeout_s: float = HEAD_TIMEOUT_S,
) -> signal.Signals:
    """Serve an application until a signal says to stop; on asyncio, in the main thread.

    Args:
        app: from ``create_app``.
        listener: from ``listen``; it is closed at the end.
        ready: called when requests are answered.
        tell: called with a line about what went wrong; the server goes on.
        head_timeout_s: a client has so long for the head of a request.

    Returns:
        The signal.
    """
    context: Context = app.state.context
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Half of the descriptors are for files; and no more than there are streams, and then some.
    most = max(8, min(context.limits.streams + 1000, soft // 2 - _SPARE))
    connections = Connections(most, head_timeout_s)
    _probe(listener, context.limits.send_timeout_s)
    config = uvicorn.Config(
        connections.wrapped(app),
        http=connections.protocol(),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=context.limits.header_bytes + context.limits.query_bytes,
        backlog=_ACCEPTED_AT_ONCE,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )

    def begin() -> None:
        listener.listen(_BACKLOG)  # uvicorn has made it as small as what is accepted at once
        ready()

    server = _Server(config, begin)
    with _told(tell), _signals() as signals:
        async with anyio.create_task_group() as beside:
            beside.start_soon(connections.cut_slow)
            beside.start_soon(_stop, signals, server, connections, app)
            try:
                await server.serve(sockets=[listener])
            finally:
                connections.cut()  # those that uvicorn knows nothing of any more
                await _end_lifespan(server)
            beside.cancel_scope.cancel()
    return signals.received


class _Server(uvicorn.Server):
    """uvicorn's server, without its own signals."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # a generator there
        """Leave signals alone."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


class _Signals:
    """The signal that says to stop."""

    def __init__(self) -> None:
        self.received = signal.SIGTERM
        self.come = anyio.Event()

    def receive(self, number: signal.Signals) -> None:
        """Note it; the next one finds nobody who could wait, and ends the process."""
        self.received = number
        loop = asyncio.get_running_loop()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
            signal.signal(one, signal.SIG_DFL)
        self.come.set()


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, signals.receive, number)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _stop(
    signals: _Signals, server: uvicorn.Server, connections: Connections, app: Starlette
) -> None:
    """End everything when the signal comes, the streams first."""
    await signals.come.wait()
    # asyncio may still try to accept on a socket that is closed by then: no news.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    end_streams(app)
    server.should_exit = True
    await anyio.sleep(_CUT_S)
    connections.cut()
    await anyio.sleep(_LEAVE_S)
    server.force_exit = True


async def _end_lifespan(server: uvicorn.Server) -> None:
    """End the application's lifespan, where uvicorn has not: it was cut, or could not say that it is ready."""
    with anyio.move_on_after(_LEAVE_S, shield=True):
        await server.lifespan.shutdown()


def _probe(listener: socket.socket, timeout_s: float) -> None:
    """Have the kernel end connections whose other end is gone, or takes nothing; they inherit it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_S)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_S)
    # Later than a stream's own timeout: that one is counted.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout_s * 2000))


class _Told(logging.Handler):
    """Tells what is logged, each as a line."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        # When each of the last lines was told.
        self._told_s: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it; of an error, what it is and where it was raised."""
        # uvicorn warns of each request that is none, asyncio of what is sent to who has gone: whoever
        # does these must not fill our log.
        if not record.name.startswith("sessiontail") and record.levelno < logging.ERROR:
            return
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage().strip() + (f": {_described(error)}" if error else "")
        now_s = time.monotonic()
        # Whoever asks for what cannot be read, again and again, must not fill it either.
        if now_s - self._told_s.get(text, -math.inf) < _TOLD_AGAIN_S:
            return
        self._told_s.pop(text, None)
        self._told_s[text] = now_s
        if len(self._told_s) > _TOLD_LINES:
            del self._told_s[next(iter(self._told_s))]
        self._tell(text)


def _described(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


@contextmanager
def _told(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell what uvicorn, the service and asyncio would log, without tracebacks."""
    handler = _Told(tell)
    names = ("uvicorn.error", "sessiontail.service", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(handler)
    # The MCP SDK warns by the root logger of what strangers send, which would print it as it is.
    root, quiet = logging.getLogger(), logging.NullHandler()
    root.addHandler(quiet)
    last: list[str] = []

    def handle(loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:  # noqa: ARG001 - asyncio's
        error = said.get("exception")
        text = said["message"] + (f": {_described(error)}" if error else "")
        if last != [text]:  # out of descriptors, asyncio says so again and again
            last[:] = [text]
            tell(text)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(None)
        root.removeHandler(quiet)
        for logger in loggers:
            logger.removeHandler(handler)
        # What is not done by the end is cancelled with the loop: uvicorn would print where it was.
        loggers[0].addHandler(logging.NullHandler())
