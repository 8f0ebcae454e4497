"""The page that people open: its files, from the package; and the one on which the token is entered.

What is served is a table of names, read once: no path of a request is ever joined to another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sessiontail.service.api.etags import is_known
from sessiontail.service.context import Context
from sessiontail.service.problems import Problem

__all__ = ["OPEN", "STATIC", "login_page", "routes"]

_MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_MODULES = (
    "api", "calls", "dom", "early", "facts", "format", "found", "heights", "json", "keys", "kinds", "lineage",
    "list", "login", "lru", "main", "matches", "metas", "pages", "paging", "record", "recordlist", "router", "rows",
    "search", "session", "sessions", "sse", "state", "stream", "text", "theme", "viewer",
)  # fmt: skip
#: What ``/static/`` has.
STATIC = ("icon.svg", "login.css", "style.css", *(f"{name}.js" for name in _MODULES))
#: Paths of what the page on which the token is entered is made of.
OPEN = frozenset({"/static/icon.svg", "/static/login.css", "/static/login.js"})
# Both are more than a browser would show without: it asks each time, and is told that nothing changed.
_REVALIDATED = {"cache-control": "no-cache"}


class _File(NamedTuple):
    """A file of the page."""

    body: bytes
    media_type: str
    etag: str


def routes(_: Context) -> Iterable[BaseRoute]:
    """Return the routes of the page: ``/`` and ``/static/<name>``."""
    return (Route("/", _index), Route("/static/{name}", _static))


def login_page(_: Request, *, failed: bool) -> Response:
    """Return the page on which a person enters the token, a 401; ``failed``: it was wrong."""
    body = _read("login.html").body
    if failed:
        body = body.replace(b' role="alert" hidden', b' role="alert"', 1)
    headers = {"www-authenticate": "Bearer"}
    return Response(body, 401, headers, "text/html; charset=utf-8")


async def _index(request: Request) -> Response:
    """Return the page."""
    return _answer(request, _read("index.html"))


async def _static(request: Request) -> Response:
    """Return a file of the page."""
    file = _files().get(request.path_params["name"])
    if file is None:
        raise Problem(404, "the page has no such file")
    return _answer(request, file)


def _answer(request: Request, file: _File) -> Response:
    headers = {**_REVALIDATED, "etag": file.etag}
    if is_known(request, file.etag):
        return Response(None, 304, headers)
    return Response(file.body, 200, headers, file.media_type)


@cache
def _files() -> Mapping[str, _File]:
    """Return what ``/static/`` has, by name."""
    return MappingProxyType({name: _read(name) for name in STATIC})


@cache
def _read(name: str) -> _File:
    """Read a file of the package, once for all applications."""
    body = resources.files("sessiontail.service").joinpath("static", name).read_bytes()
    media_type = f"{_MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    return _File(body, media_type, f'"{sha256(body).hexdigest()[:32]}"')
