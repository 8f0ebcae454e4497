"""``POST /login``: a form with the token -> the cookie, and the page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sessiontail.service.api.endpoints import Answer, Endpoint
from sessiontail.service.context import context_of
from sessiontail.service.guard.security import logged_in, not_logged_in
from sessiontail.service.problems import Problem
from sessiontail.service.static_files import login_page

__all__ = ["ENDPOINTS"]

_MOST_BYTES = 4 * 1024


async def _login(request: Request) -> Response:
    """Compare what a person has entered, and lead to the page."""
    # The guard has refused those of other origins; a form that says nothing may be one.
    if "origin" not in request.headers and "sec-fetch-site" not in request.headers:
        raise Problem(403, "a form says which page it is on, by Origin or Sec-Fetch-Site")
    given = await _token_in(request)
    context = context_of(request)
    if context.token is None:
        return RedirectResponse("./", 303)
    if context.token.matches(given):
        return logged_in(request, context.token)
    if not given:
        return login_page(request, failed=True)
    return not_logged_in(request, context.token)


async def _token_in(request: Request) -> str:
    body = b""
    stream: AsyncGenerator[bytes, None] = request.stream()
    async with aclosing(stream):
        async for part in stream:
            body += part
            if len(body) > _MOST_BYTES:
                raise Problem(413, f"a form has {_MOST_BYTES} bytes at most")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8)
    except ValueError:
        raise Problem(400, "no form: application/x-www-form-urlencoded is expected") from None
    return fields.get("token", [""])[0]


ENDPOINTS = (
    Endpoint(
        path="/login",
        method="POST",
        handle=_login,
        is_open=True,
        operation_id="login",
        summary="Swap the token, the field `token` of a form, for a cookie.",
        responses={
            303: Answer(about="It is right: to the page, with the cookie.", media_type=None),
            401: Answer(about="It is wrong: the form again.", media_type="text/html"),
            429: Answer(
                about="It is wrong, as were others: the form again, and `Retry-After`.",
                media_type="text/html",
            ),
        },
    ),
)
