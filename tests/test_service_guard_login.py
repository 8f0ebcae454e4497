"""A person enters the token, and the browser gets the cookie; nobody else can make it do so."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import URL, asked, client
from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.guard.attempts import FREE

pytestmark = pytest.mark.anyio

HERE = {"origin": URL}


async def test_the_right_token_opens_what_was_closed(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path), token="s3cret&ü"), **HERE) as http:
        assert (await http.get("/nothing")).status_code == 401
        answer = await http.post("/login", data={"token": "s3cret&ü"})
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        assert (await http.get("/nothing")).status_code == 404


async def test_a_wrong_token_opens_nothing(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path), token="s3cret"), **HERE) as http:
        for fields in ({"token": "other"}, {"token": ""}, {}, {"tok": "s3cret"}):
            answer = await http.post("/login", data=fields)
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers


async def test_who_enters_wrong_ones_again_and_again_is_told_to_wait_and_the_right_one_opens(
    tmp_path: Path,
) -> None:
    async with client(create_app(SessionStore(tmp_path), token="s3cret"), **HERE) as http:
        for _ in range(FREE):
            assert (await http.post("/login", data={"token": "other"})).status_code == 401
        told = await http.post("/login", data={"token": "other"})
        right = await http.post("/login", data={"token": "s3cret"})

    assert (told.status_code, told.headers["retry-after"]) == (429, "1")
    assert "This token is wrong." in told.text
    assert right.status_code == 303


async def test_a_form_that_does_not_say_where_it_is_is_refused(tmp_path: Path) -> None:
    app = create_app(SessionStore(tmp_path), token="s3cret")

    async with client(app) as http:
        right = {"token": "s3cret"}
        assert (await http.post("/login", data=right)).status_code == 403
        evil = {"origin": "http://evil.example"}
        assert (await http.post("/login", data=right, headers=evil)).status_code == 403
        ours = {"sec-fetch-site": "same-origin"}
        assert (await http.post("/login", data=right, headers=ours)).status_code == 303


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([b"token=", b"s3cret"], 303),
        ([b"a" * 4096], 401),
        ([b"a" * 4096, b"b"], 413),
        ([b"token=\xff"], 400),
        ([b"a&" * 9 + b"a=1&" * 9], 400),
        ([b'{"token": "s3cret"}'], 401),
    ],
)
async def test_a_body_is_a_small_form(tmp_path: Path, body: list[bytes], status: int) -> None:
    app = create_app(SessionStore(tmp_path), token="s3cret")

    told = await asked(
        app,
        "/login",
        method="POST",
        headers=[(b"host", b"127.0.0.1:8642"), (b"origin", URL.encode())],
        body=body,
    )

    assert told.status == status


async def test_where_no_token_is_needed_it_leads_to_the_page(tmp_path: Path) -> None:
    async with client(create_app(SessionStore(tmp_path)), **HERE) as http:
        answer = await http.post("/login", data={"token": "x"})

    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    assert "set-cookie" not in answer.headers
