"""what went wrong -> ``application/problem+json``: no paths, no tracebacks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sessiontail.errors import (
    CursorInvalid,
    DamagedSession,
    InvalidPattern,
    InvalidSessionId,
    LineNotFound,
    MissingExtra,
    PatternTooSlow,
    PersistenceError,
    SessionNotFound,
)

__all__ = ["PROBLEM", "PROBLEM_SCHEMA", "Problem", "Problems", "answer_http_error", "problem_of"]

logger = logging.getLogger("sessiontail.service")

PROBLEM = "application/problem+json"
#: The JSON schema of every problem.
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}

# Whose message a stranger may read: it names no file of this machine. Before their base.
_TOLD: tuple[tuple[type[PersistenceError], int], ...] = (
    (InvalidSessionId, 400),
    (InvalidPattern, 400),
    (PatternTooSlow, 400),
    (CursorInvalid, 409),
    (LineNotFound, 404),
    (MissingExtra, 501),
)
# What is said instead of the others' messages.
_HIDDEN: tuple[tuple[type[PersistenceError], int, str], ...] = (
    (SessionNotFound, 404, "there is no such session"),
    (DamagedSession, 422, "the session's file does not begin with a header"),
    (PersistenceError, 503, "the sessions cannot be read now; the server's log says why"),
)


class Problem(Exception):
    """A request is not answered, and why.

    Args:
        status: an HTTP status.
        detail: what happened, for whoever asked.
        title: by default the status in words.
        headers: more of the answer's.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.headers = {**(headers or {})}

    def response(self) -> Response:
        """Return the answer that says so."""
        said = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        # ASCII: a lone surrogate, from a file's name or a log, has no UTF-8.
        body = json.dumps(said).encode() + b"\n"
        return Response(body, self.status, self.headers, PROBLEM)


class Problems:
    """Middleware: whatever is raised below is answered as a problem.

    What nobody foresaw is logged, and is 500. Where an answer has begun already, the error goes on
    to the server: it cuts the connection, and whoever reads sees that the answer is not whole.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun:
                raise
            await problem_of(error).response()(scope, receive, send)


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error is; what nobody foresaw is logged, and is 500."""
    cause = error
    # A task group wraps what its tasks raise; the first one is what happened.
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, Problem):
        return cause
    if isinstance(cause, PersistenceError):
        for kind, status in _TOLD:
            if isinstance(cause, kind):
                return Problem(status, cause.message)
        for kind, status, detail in _HIDDEN:
            if isinstance(cause, kind):
                if status == HTTPStatus.SERVICE_UNAVAILABLE:
                    logger.warning("%s", cause)
                return Problem(status, detail)
    logger.error("a request failed", exc_info=error)
    return Problem(500, "the server has failed here; its log says how")


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses: there is no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    details = {
        404: "there is nothing under this path; /openapi.json says what there is",
        405: f"{request.method} is not for this path",
    }
    detail = details.get(error.status_code, error.detail)
    return Problem(error.status_code, detail, headers=error.headers).response()
