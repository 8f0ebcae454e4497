"""What goes wrong is told as a problem: without a path, without a traceback."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services import asked, client
from sessiontail import (
    CursorInvalid,
    DamagedSession,
    InvalidPattern,
    InvalidSessionId,
    LineNotFound,
    MissingExtra,
    PatternTooSlow,
    PersistenceError,
    SessionBusy,
    SessionNotFound,
    SessionStore,
)
from sessiontail.service import create_app
from sessiontail.service.problems import Problem, Problems, problem_of

SECRET = Path("/home/me/sessions/x.jsonl")


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Problem(404, "no such tool"), 404, "no such tool"),
        (SessionNotFound("no", path=SECRET), 404, "there is no such session"),
        (InvalidSessionId("not a session id: 'x'"), 400, "not a session id: 'x'"),
        (CursorInvalid("the cursor is damaged", path=SECRET), 409, "the cursor is damaged"),
        (LineNotFound("there is no line 9", path=SECRET), 404, "there is no line 9"),
        (InvalidPattern("no pattern"), 400, "no pattern"),
        (PatternTooSlow("too slow", path=SECRET, line=4), 400, "too slow"),
        (MissingExtra("needs regex"), 501, "needs regex"),
        (
            DamagedSession("no header", path=SECRET),
            422,
            "the session's file does not begin with a header",
        ),
        (
            PersistenceError(f"cannot read {SECRET}", path=SECRET),
            503,
            "the sessions cannot be read now; the server's log says why",
        ),
        (
            SessionBusy("held", path=SECRET),
            503,
            "the sessions cannot be read now; the server's log says why",
        ),
        (
            ExceptionGroup("tasks", [ExceptionGroup("more", [SessionNotFound("no")])]),
            404,
            "there is no such session",
        ),
        (KeyError(str(SECRET)), 500, "the server has failed here; its log says how"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_has_a_status_and_tells_no_path(
    error: Exception, status: int, detail: str
) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.detail) == (status, detail)


def test_what_nobody_foresaw_is_in_the_log_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = ZeroDivisionError("at home")
    problem_of(error)
    problem_of(PersistenceError("cannot read", path=SECRET))

    (failed, unread) = caplog.records
    assert (failed.levelno, failed.exc_info) == (logging.ERROR, (ZeroDivisionError, error, None))
    assert (unread.levelno, unread.getMessage()) == (logging.WARNING, f"{SECRET}: cannot read")


def test_a_problem_is_json_whatever_its_detail_has() -> None:
    response = Problem(409, "a\ud800", headers={"Retry-After": "1"}).response()

    assert response.media_type == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "a\ud800",
    }


@pytest.mark.anyio
async def test_an_answer_that_has_begun_is_cut_and_not_mended() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise SessionNotFound("gone")

    with pytest.raises(SessionNotFound):
        await asked(Problems(half))


@pytest.mark.anyio
async def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        await PlainTextResponse("hi")(scope, receive, send)

    assert (await asked(Problems(below))).body == b"hi"
    assert seen == ["http"]


@pytest.mark.anyio
async def test_a_path_that_there_is_not_is_a_problem(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path))) as http:
        answer = await http.get("/api/nothing")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is nothing under this path; /openapi.json says what there is",
    }
