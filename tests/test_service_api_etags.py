"""Who has an answer already is told so, and who has another gets it."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from sessiontail.service.api.etags import with_etag

ETAG = with_etag(Request({"type": "http", "headers": []}), b"body").headers["etag"]


def status(*values: str, body: bytes = b"body") -> int:
    headers = [(b"if-none-match", value.encode()) for value in values]
    return with_etag(Request({"type": "http", "headers": headers}), body).status_code


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 200),
        ([ETAG], 304),
        ([f"W/{ETAG}"], 304),
        ([f'"other" , {ETAG}'], 304),
        (['"other"', ETAG], 304),
        (["*"], 304),
        (['"other"'], 200),
        ([ETAG.strip('"')], 200),
        ([""], 200),
    ],
)
def test_a_client_has_it_or_gets_it(values: list[str], expected: int) -> None:
    assert status(*values) == expected


def test_another_body_is_another_answer() -> None:
    assert status(ETAG, body=b"other") == 200


def test_what_was_not_modified_has_no_body_and_the_same_headers() -> None:
    request = Request({"type": "http", "headers": [(b"if-none-match", ETAG.encode())]})
    answer = with_etag(request, b"body")

    assert answer.body == b""
    assert (answer.headers["etag"], answer.headers["cache-control"]) == (ETAG, "no-cache")
