"""a store -> the application: its routes, what stands before them, and what runs beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from anyio import create_task_group
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from sessiontail.service import mcp_mount, static_files
from sessiontail.service.api import (
    audits,
    directory_events,
    events,
    health,
    lineages,
    metrics,
    openapi,
    records,
    searches,
    sessions,
    usage,
)
from sessiontail.service.api.endpoints import Endpoint
from sessiontail.service.context import Context, Limits
from sessiontail.service.guard import login
from sessiontail.service.guard.hosts import LOOPBACK, Hosts
from sessiontail.service.guard.security import Guard
from sessiontail.service.guard.tokens import Token
from sessiontail.service.live.news import news_lifespan
from sessiontail.service.problems import Problems, answer_http_error
from sessiontail.store import SessionStore

__all__ = ["create_app"]

# The rows of each module.
_ENDPOINTS: tuple[Endpoint, ...] = (
    *health.ENDPOINTS,
    *login.ENDPOINTS,
    *sessions.ENDPOINTS,
    *records.ENDPOINTS,
    *audits.ENDPOINTS,
    *searches.ENDPOINTS,
    *lineages.ENDPOINTS,
    *usage.ENDPOINTS,
    *events.ENDPOINTS,
    *directory_events.ENDPOINTS,
    *metrics.ENDPOINTS,
    *openapi.ENDPOINTS,
)
# What is no row of the API: the page, other applications that are mounted.
_ROUTES: tuple[Callable[[Context], Iterable[BaseRoute]], ...] = (
    static_files.routes,
    mcp_mount.routes,
)
# By the first part of the path, what else than GET and HEAD is answered.
_METHODS = {"/login": ("POST",), "/mcp": ("GET", "POST", "DELETE")}
# What is answered to who does not know the token: whether the service runs, and how one enters it.
_OPEN = frozenset({row.path for row in _ENDPOINTS if row.is_open} | static_files.OPEN)
# What is open from the start of the application to its end.
_LIFESPANS: tuple[Callable[[Context], AbstractAsyncContextManager[object]], ...] = (news_lifespan,)


def create_app(
    store: SessionStore,
    *,
    token: str | None = None,
    allowed_hosts: Iterable[str] = LOOPBACK,
    limits: Limits | None = None,
) -> Starlette:
    """Return the application that serves a store's sessions; it serves them and changes nothing.

    It can be mounted in another ASGI application, under any path, whether or not that one runs its
    lifespan.

    Args:
        store: whose sessions.
        token: what every client must know; None: who reaches it may read.
        allowed_hosts: names, addresses and networks under which it is reached; a request with
            another Host is refused.
        limits: what may be asked for.

    Raises:
        ValueError: the token is no word, or a host is none.
    """
    limits = limits or Limits()
    known = None if token is None else Token(token)
    context = Context(store, limits, token=known, endpoints=_ENDPOINTS)
    guard = Middleware(
        Guard,
        hosts=Hosts(allowed_hosts),
        token=known,
        limits=limits,
        methods=_METHODS,
        open_paths=_OPEN,
    )
    app = Starlette(
        routes=[*map(_route, _ENDPOINTS), *(one for more in _ROUTES for one in more(context))],
        middleware=[Middleware(metrics.Counted, context=context), guard, Middleware(Problems)],
        exception_handlers={HTTPException: answer_http_error},
        lifespan=partial(_lifespan, context),
    )
    app.state.context = context
    return app


def _route(endpoint: Endpoint) -> Route:
    return Route(endpoint.path, endpoint.handle, methods=[endpoint.method])


@asynccontextmanager
async def _lifespan(context: Context, _: Starlette) -> AsyncIterator[None]:
    async with context.store, create_task_group() as tasks:
        context.tasks = tasks
        try:
            async with AsyncExitStack() as stack:
                for lifespan in _LIFESPANS:
                    await stack.enter_async_context(lifespan(context))
                yield
        finally:
            context.tasks = None
            tasks.cancel_scope.cancel()
