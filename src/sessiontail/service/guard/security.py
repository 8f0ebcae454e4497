"""What stands before every request: who may ask, under which name, how, and how much.

Pure ASGI: a stream passes through as it is. Everything is refused that is not meant: a foreign Host, a
request that another page makes, a method that would change something, a missing token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sessiontail.service.context import Limits
from sessiontail.service.guard.hosts import Hosts, host_of
from sessiontail.service.guard.tokens import Token
from sessiontail.service.problems import Problem
from sessiontail.service.static_files import login_page

__all__ = ["HEADERS", "Guard", "logged_in", "not_logged_in"]

#: On every answer that does not say otherwise.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # Who opens it in a window of theirs has no hold of that window.
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

_READING = ("GET", "HEAD")
# Longer than any path of ours with an id in it.
_MOST_PATH_BYTES = 2048


class Guard:
    """Middleware: refuses what is not meant, and sets the headers of every answer.

    Args:
        app: what answers.
        hosts: the names under which it is reached.
        token: what a client must know; None: nothing.
        limits: of the query and of the headers.
        methods: what else than GET and HEAD is answered, by the first part of the path.
        open_paths: what is answered to who does not know the token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Hosts,
        token: Token | None,
        limits: Limits,
        methods: Mapping[str, tuple[str, ...]],
        open_paths: Collection[str],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token
        self._limits = limits
        self._methods = methods
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it be answered."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                there = {name.lower() for name, _ in headers}
                headers += [pair for pair in _HEADERS if pair[0] not in there]
                message = {**message, "headers": headers}
            await send(message)

        try:
            answer: ASGIApp = self._refusal(Request(scope)) or self._app
        except Problem as problem:
            answer = problem.response()
        await answer(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Return what is answered instead; None lets the request pass.

        Raises:
            Problem: it is refused.
        """
        scope = request.scope
        path = _path(scope)
        host = _values(scope, b"host")
        if len(host) != 1:
            raise Problem(400, "a request has one Host header")
        name = host_of(host)
        if name is None or not self._hosts.allow(name):
            raise Problem(
                421,
                "this host is not served; the name is to be allowed where the service is started",
            )
        self._limit(scope)
        self._check_method(request, path)
        _refuse_other_pages(request, host[0].decode("latin-1"), path)
        if self._token is None:
            return None
        if path == "/" and "token" in request.query_params:
            if self._token.matches(request.query_params["token"]):
                return logged_in(request, self._token)
            return _unauthorized(request, self._token, path, failed=True)
        if path in self._open_paths or self._token.known_by(scope["headers"]):
            return None
        failed = "authorization" in request.headers
        return _unauthorized(request, self._token, path, failed=failed)

    def _limit(self, scope: Scope) -> None:
        if _values(scope, b"transfer-encoding"):
            # A chunk may have one byte, and each is parsed: 1 MB of them holds uvicorn's loop for 10 s.
            raise Problem(
                411, "a body comes with its Content-Length", headers={"Connection": "close"}
            )
        if len(scope.get("raw_path") or scope["path"]) > _MOST_PATH_BYTES:
            raise Problem(414, f"a path has {_MOST_PATH_BYTES} bytes at most")
        most = self._limits.query_bytes
        if len(scope["query_string"]) > most:
            raise Problem(414, f"a query has {most} bytes at most")
        most = self._limits.header_bytes
        if sum(len(name) + len(value) for name, value in scope["headers"]) > most:
            raise Problem(431, f"all headers have {most} bytes at most")

    def _check_method(self, request: Request, path: str) -> None:
        first = "/" + path.split("/")[1]
        allowed = self._methods.get(first, _READING)
        if request.method not in allowed:
            what = f"{first} is asked" if first in self._methods else "sessions are only read,"
            raise Problem(
                405,
                f"{what} by {' or '.join(allowed)}",
                headers={"Allow": ", ".join(allowed)},
            )


def logged_in(request: Request, token: Token) -> Response:
    """Return the answer that leads to the page, with the cookie, and without the token in its URL."""
    # Relative: under which path a proxy has us is not known here.
    answer = RedirectResponse("./", 303)
    root = request.scope.get("root_path", "").rstrip("/")
    answer.headers["set-cookie"] = token.cookie(root, secure=request.url.scheme == "https")
    return answer


def not_logged_in(request: Request, token: Token) -> Response:
    """Return the page for who has sent a wrong token: it asks for the right one; 401, or 429 with a wait."""
    answer = login_page(request, failed=True)
    wait_s = _wait_of(request, token)
    if wait_s:
        answer.status_code = 429
        answer.headers["retry-after"] = str(wait_s)
    return answer


def _unauthorized(request: Request, token: Token, path: str, *, failed: bool) -> Response:
    """Return the page on which the token is entered.

    Raises:
        Problem: no page is asked for.
    """
    if path == "/" and "text/html" in request.headers.get("accept", ""):
        return not_logged_in(request, token) if failed else login_page(request, failed=False)
    wait_s = _wait_of(request, token) if failed else 0
    if wait_s:
        raise Problem(
            429,
            "the token is wrong, as were others from this address; the right one is taken at any time",
            headers={"Retry-After": str(wait_s)},
        )
    raise Problem(
        401,
        "the token is wrong" if failed else "the token is needed: Authorization: Bearer ...",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _wait_of(request: Request, token: Token) -> int:
    return token.attempts.wrong("" if request.client is None else request.client.host)


def _refuse_other_pages(request: Request, host: str, path: str) -> None:
    """Refuse what a page of another origin makes a browser ask.

    It could read no answer, but it could keep us busy, and measure how long an answer takes. Only a link
    to the page is followed, and not in a frame.
    """
    reads = request.method in _READING
    site = request.headers.get("sec-fetch-site")
    if site is not None:  # the browser's word, which no page can change
        follows = (
            reads
            and path == "/"
            and request.headers.get("sec-fetch-mode") == "navigate"
            and request.headers.get("sec-fetch-dest") == "document"
        )
        if site in {"same-origin", "none"} or follows:
            return
        raise Problem(403, "asked by a page of another origin")
    origin = request.headers.get("origin")
    if reads or origin is None or origin.partition("://")[2].lower() == host.lower():
        return
    # By plain HTTP from another machine there is no such word, and a page that tells nobody where
    # it leads from, as ours, has no origin in its form: whoever forges that must know the token.
    if origin != "null" or path != "/login":
        raise Problem(403, "asked by a page of another origin")


def _path(scope: Scope) -> str:
    """Return the path below where the application is mounted; it begins with a slash."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    below = path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path
    return below if below.startswith("/") else f"/{below}"


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
