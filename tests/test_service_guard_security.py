"""Nothing comes past the guard that is not meant: a foreign name, page, method, or size, or no token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from services import Told, asked
from sessiontail.service.context import Limits
from sessiontail.service.guard.attempts import FREE
from sessiontail.service.guard.hosts import LOOPBACK, Hosts
from sessiontail.service.guard.security import HEADERS, Guard
from sessiontail.service.guard.tokens import COOKIE, Token
from sessiontail.service.static_files import OPEN

pytestmark = pytest.mark.anyio

HOST = (b"host", b"127.0.0.1:8642")
BEARER = (b"authorization", b"Bearer s3cret")


async def below(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("in")(scope, receive, send)


def guard(token: str | None = None, app: Any = below, **limits: Any) -> Guard:
    return Guard(
        app,
        hosts=Hosts(LOOPBACK),
        token=None if token is None else Token(token),
        limits=Limits(**limits),
        methods={"/login": ("POST",), "/mcp": ("GET", "POST", "DELETE")},
        open_paths={"/healthz", "/login", *OPEN},
    )


async def ask(
    path: str = "/api/sessions",
    *more: tuple[bytes, bytes],
    of: Guard | None = None,
    host: Iterable[tuple[bytes, bytes]] = (HOST,),
    **options: Any,
) -> Told:
    return await asked(of or guard(), path, headers=[*host, *more], **options)


def detail(told: Told) -> str:
    said: str = json.loads(told.body)["detail"]
    return said


async def test_every_answer_has_the_headers() -> None:
    for told in (
        await ask(),
        await ask(host=()),
        await ask(method="PUT"),
        await ask(of=guard("t")),
    ):
        assert {name: told.headers[name] for name in HEADERS} == HEADERS

    assert (await ask()).body == b"in"


async def test_what_an_answer_says_itself_stays() -> None:
    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("in", headers={"Cache-Control": "no-cache"})(scope, receive, send)

    told = await ask(of=guard(app=own))

    assert told.headers["cache-control"] == "no-cache"
    assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ([(b"host", b"localhost:1")], 200),
        ([(b"host", b"[::1]:8642")], 200),
        ([(b"host", b"evil.example")], 421),
        ([(b"host", b"127.0.0.1.evil.example:8642")], 421),
        ([(b"host", b"10.0.0.1")], 421),
        ([(b"host", b"")], 421),
        ([(b"host", b"localhost, evil.example")], 421),
        ([], 400),
        ([HOST, HOST], 400),
        ([HOST, (b"host", b"evil.example")], 400),
        ([(b"x-forwarded-host", b"127.0.0.1")], 400),
    ],
)
async def test_a_request_is_for_one_host_and_for_ours(
    host: list[tuple[bytes, bytes]], status: int
) -> None:
    assert (await ask(host=host)).status == status
    # Whoever has another name of ours is not told whether a token is needed.
    assert (await ask(host=host, of=guard("s3cret"))).status == (401 if status == 200 else status)


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/api/sessions", "POST", "GET, HEAD"),
        ("/api/sessions", "DELETE", "GET, HEAD"),
        ("/api/sessions", "OPTIONS", "GET, HEAD"),
        ("/", "TRACE", "GET, HEAD"),
        ("/", "BREW", "GET, HEAD"),
        ("/login", "GET", "POST"),
        ("/mcp", "PUT", "GET, POST, DELETE"),
        ("/mcp/", "PUT", "GET, POST, DELETE"),
        ("/mcpx", "POST", "GET, HEAD"),
    ],
)
async def test_what_would_change_something_is_refused(path: str, method: str, allowed: str) -> None:
    told = await ask(path, method=method)

    assert (told.status, told.headers["allow"]) == (405, allowed)
    assert detail(told).endswith(f" by {' or '.join(allowed.split(', '))}")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_tools_of_agents_are_asked_by_their_own_methods(method: str) -> None:
    assert (await ask("/mcp", method=method)).status == 200


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/api/sessions", [BEARER], 200),
        ("/api/sessions", [], 401),
        ("/api/sessions", [(b"authorization", b"Bearer other")], 401),
        ("/metrics", [], 401),
        ("/static/page.js", [], 401),
        ("/mcp", [], 401),
        ("/nothing", [], 401),
        ("/", [], 401),
        ("/static/icon.svg", [], 200),
        ("/static/login.css", [], 200),
        ("/static/login.css.map", [], 401),
        ("/healthz", [], 200),
        ("/healthz/../api/sessions", [], 401),
        ("//healthz", [], 401),
        ("/healthz/", [], 401),
    ],
)
async def test_nothing_but_health_is_given_without_the_token(
    path: str, more: list[tuple[bytes, bytes]], status: int
) -> None:
    told = await ask(path, *more, of=guard("s3cret"))

    assert told.status == status
    if status == 401:
        assert told.headers["www-authenticate"] == "Bearer"
        needed = "the token is needed: Authorization: Bearer ..."
        assert detail(told) == ("the token is wrong" if more else needed)


async def test_a_link_with_the_token_is_swapped_for_a_cookie_that_opens() -> None:
    of = guard("s3cret")

    told = await ask("/", of=of, query=b"token=s3cret&a=1")
    assert (told.status, told.headers["location"]) == (303, "./")
    cookie, _, rest = told.headers["set-cookie"].partition("; ")
    assert cookie.startswith(f"{COOKIE}=")
    assert rest == "HttpOnly; SameSite=Strict; Path=/"
    assert (await ask("/", (b"cookie", cookie.encode()), of=of)).status == 200

    told = await ask("/", of=of, query=b"token=s3cret", scheme="https", root_path="/agents")
    assert told.headers["set-cookie"].endswith("; Path=/agents/; Secure")


async def test_a_link_with_a_wrong_token_opens_nothing() -> None:
    told = await ask("/", of=guard("s3cret"), query=b"token=other")

    assert (told.status, detail(told)) == (401, "the token is wrong")
    assert "set-cookie" not in told.headers


async def test_the_token_in_a_query_opens_the_page_alone() -> None:
    assert (await ask("/api/sessions", of=guard("s3cret"), query=b"token=s3cret")).status == 401


async def test_wrong_tokens_again_and_again_are_told_to_wait_and_the_right_one_is_taken() -> None:
    of, wrong = guard("s3cret"), (b"authorization", b"Bearer other")
    html = (b"accept", b"text/html")
    link = (await ask("/", of=of, query=b"token=s3cret")).headers["set-cookie"]
    cookie = (b"cookie", link.partition(";")[0].encode())
    for _ in range(FREE):
        assert (await ask(of=of)).status == 401  # none is none that is wrong
        assert (await ask("/api/sessions", wrong, of=of)).status == 401

    told = await ask("/api/sessions", wrong, of=of)
    page = await ask("/", html, of=of, query=b"token=other")
    assert (told.status, told.headers["retry-after"]) == (429, "1")
    assert detail(told) == (
        "the token is wrong, as were others from this address; the right one is taken at any time"
    )
    assert (page.status, page.headers["retry-after"]) == (429, "1")
    assert (await ask(of=of)).status == 401
    assert (await ask("/", html, of=of)).status == 401
    for right in (BEARER, cookie):
        assert (await ask("/api/sessions", right, of=of)).status == 200
    assert (await ask("/", of=of, query=b"token=s3cret")).status == 303


async def test_a_person_gets_a_page_to_enter_the_token() -> None:
    html, of = (b"accept", b"text/html,*/*;q=0.8"), guard("s3cret")

    told = await ask("/", html, of=of)
    assert (told.status, told.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert b' role="alert" hidden' in told.body
    wrong = await ask("/", html, of=of, query=b"token=x")
    assert (wrong.status, b' role="alert" hidden' in wrong.body) == (401, False)
    assert (await ask("/api/sessions", html, of=of)).headers["content-type"] == (
        "application/problem+json"
    )


@pytest.mark.parametrize(
    ("more", "method", "status"),
    [
        ([(b"sec-fetch-site", b"same-origin")], "GET", 200),
        ([(b"sec-fetch-site", b"none")], "GET", 200),
        ([(b"sec-fetch-site", b"cross-site")], "GET", 403),
        ([(b"sec-fetch-site", b"same-site")], "GET", 403),  # another port of this machine
        ([(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate")], "GET", 403),
        ([(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate")], "POST", 403),
        ([(b"origin", b"http://127.0.0.1:8642")], "POST", 200),
        ([(b"origin", b"http://127.0.0.1:8000")], "POST", 403),
        ([(b"origin", b"http://evil.example")], "POST", 403),
        ([(b"origin", b"null")], "POST", 403),
        ([(b"origin", b"null"), (b"sec-fetch-site", b"same-origin")], "POST", 200),
        ([(b"origin", b"http://127.0.0.1:8642"), (b"sec-fetch-site", b"same-site")], "POST", 403),
        ([], "POST", 200),  # no browser
    ],
)
async def test_a_page_elsewhere_can_not_make_a_browser_ask(
    more: list[tuple[bytes, bytes]], method: str, status: int
) -> None:
    assert (await ask("/mcp", *more, method=method)).status == status


@pytest.mark.parametrize(
    ("path", "dest", "status"),
    [
        ("/", b"document", 200),
        ("/", b"iframe", 403),
        ("/", b"object", 403),
        # A window that is led there again and again would keep us busy, and tell how long it takes.
        ("/api/search", b"document", 403),
        ("/api/audit", b"iframe", 403),
    ],
)
async def test_of_what_a_page_elsewhere_leads_to_only_the_page_is_shown(
    path: str, dest: bytes, status: int
) -> None:
    leads = [
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-dest", dest),
    ]
    assert (await ask(path, *leads)).status == status


@pytest.mark.parametrize(
    ("more", "status"),
    [
        # As Chromium sends it, for `Referrer-Policy: no-referrer`; by plain HTTP without the word.
        ([(b"origin", b"null"), (b"sec-fetch-site", b"same-origin")], 200),
        ([(b"origin", b"null")], 200),
        ([(b"origin", b"null"), (b"sec-fetch-site", b"cross-site")], 403),
        ([(b"origin", b"http://evil.example")], 403),
    ],
)
async def test_our_own_form_can_be_sent(more: list[tuple[bytes, bytes]], status: int) -> None:
    assert (await ask("/login", *more, method="POST", of=guard("s3cret"))).status == status


async def test_a_body_in_chunks_is_refused_with_its_connection() -> None:
    """It was parsed a byte at a time, for anybody: a megabyte of it held all others up for ten seconds."""
    for path, method in (("/healthz", "GET"), ("/login", "POST"), ("/mcp", "POST")):
        told = await ask(
            path, (b"transfer-encoding", b"chunked"), method=method, of=guard("s3cret")
        )

        assert (told.status, detail(told)) == (411, "a body comes with its Content-Length")
        assert told.headers["connection"] == "close"


async def test_what_is_too_large_is_not_read() -> None:
    of = guard(query_bytes=10, header_bytes=100)

    assert (await ask(of=of, query=b"q=12345678")).status == 200
    told = await ask(of=of, query=b"q=123456789")
    assert (told.status, detail(told)) == (414, "a query has 10 bytes at most")
    told = await ask("/" + "a" * 2048, of=of)
    assert (told.status, detail(told)) == (414, "a path has 2048 bytes at most")
    told = await ask("/", (b"x", b"y" * 100), of=of)
    assert (told.status, detail(told)) == (431, "all headers have 100 bytes at most")


async def test_a_websocket_is_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guard()({"type": "websocket", "path": "/", "headers": []}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_a_stream_passes_part_by_part() -> None:
    """The second part is made when the first is sent: nothing is gathered."""
    sent: list[bytes] = []

    async def parts() -> Any:
        for n in range(3):
            assert len(sent) == n
            yield b"%d" % n

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            await send(message)
            if message.get("body"):
                sent.append(message["body"])

        await StreamingResponse(parts()).stream_response(watched)

    assert (await ask(of=guard(app=stream))).body == b"012"
