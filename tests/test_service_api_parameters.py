"""What a request brings is a value within its limits, or a problem that names it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from samples import ID
from sessiontail.service.api.parameters import SESSION_ID, Parameter, read
from sessiontail.service.problems import Problem


def request(query: str = "", *, headers: dict[str, str] | None = None, **path: str) -> Request:
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "query_string": query.encode(), "headers": pairs, "path_params": path}
    return Request(scope)


LIMIT = Parameter(name="limit", about="How many.", kind="integer", default=100, least=1, most=500)
KIND = Parameter(name="kind", about="Of which kind.", choices=("user", "system"), repeated=True)
TEXT = Parameter(name="q", about="A text.", max_length=5)
RATE = Parameter(name="rate", about="A rate.", kind="number", least=0.5)
FLAG = Parameter(name="all", about="All.", kind="flag", default=False)
SINCE = Parameter(name="since", about="From when.", kind="moment")
NEEDED = Parameter(name="need", about="What is needed.", required=True)
ALL = (LIMIT, KIND, TEXT, RATE, FLAG, SINCE)


def test_what_is_not_given_is_its_default() -> None:
    assert read(request(), ALL) == {
        "limit": 100, "kind": (), "q": None, "rate": None, "all": False, "since": None,
    }  # fmt: skip


def test_each_value_is_of_its_kind() -> None:
    query = "limit=7&kind=user&kind=system&q=a%20%C3%BC&rate=1.5&all=true&since=2026-01-31T08:00Z"

    assert read(request(query), ALL) == {
        "limit": 7,
        "kind": ("user", "system"),
        "q": "a ü",
        "rate": 1.5,
        "all": True,
        "since": datetime(2026, 1, 31, 8, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit is 1 at least"),
        ("limit=501", "limit is 500 at most"),
        ("limit=", "limit is a whole number"),
        ("limit=1.0", "limit is a whole number"),
        ("limit=1_0", "limit is a whole number"),
        ("limit=%D9%A3", "limit is a whole number"),
        ("limit=" + "9" * 500, "limit is a whole number"),
        ("limit=1&limit=2", "limit is given 2 times; once is enough"),
        ("rate=nan", "rate is a number"),
        ("rate=1e9", "rate is a number"),
        ("rate=0.4", "rate is 0.5 at least"),
        ("kind=users", "kind is one of user, system"),
        ("kind=user&" * 33, "kind may be given 32 times at most"),
        ("q=abcdef", "q has 6 letters, 5 at most"),
        ("all=yes", "all is true or false"),
        ("since=tomorrow", "since is no time; write 2h, 3d or 2026-01-31T08:00:00Z"),
        ("lmit=3", "no parameter 'lmit'; there are limit, kind, q, rate, all, since"),
    ],
)
def test_what_is_none_is_named(query: str, detail: str) -> None:
    with pytest.raises(Problem) as raised:
        read(request(query), ALL)

    assert (raised.value.status, raised.value.detail) == (400, detail)


def test_where_there_are_none_none_is_taken() -> None:
    with pytest.raises(Problem, match="no parameter 'a'; there is none here"):
        read(request("a=1"), (SESSION_ID,))


def test_what_is_needed_must_be_given() -> None:
    with pytest.raises(Problem, match=r"need is missing: What is needed\."):
        read(request(), (NEEDED,))


def test_a_session_is_a_whole_id() -> None:
    assert read(request(session_id=str(ID)), (SESSION_ID,)) == {"session_id": ID}
    for text in ("4f2c", "..", "../etc/passwd", str(ID) + "x"):
        with pytest.raises(Problem, match="not a session id") as raised:
            read(request(session_id=text), (SESSION_ID,))
        assert raised.value.status == 400


def test_a_header_is_found_by_its_name() -> None:
    last = Parameter(name="Last-Event-ID", about="Where to go on.", place="header")

    assert read(request(headers={"last-event-id": "c1"}), (last,)) == {"Last-Event-ID": "c1"}


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        (LIMIT, {"type": "integer", "minimum": 1, "maximum": 500}),
        (KIND, {"type": "string", "enum": ["user", "system"]}),
        (TEXT, {"type": "string", "maxLength": 5}),
        (RATE, {"type": "number", "minimum": 0.5}),
        (FLAG, {"type": "boolean"}),
        (SESSION_ID, {"type": "string", "format": "uuid"}),
    ],
)
def test_a_schema_says_what_is_taken(parameter: Parameter, schema: dict[str, Any]) -> None:
    assert parameter.schema() == schema


def test_a_name_that_is_long_is_cut_where_it_is_told() -> None:
    with pytest.raises(Problem) as raised:
        read(request(urlencode({"x" * 1000: "1"})), ())

    assert raised.value.detail == f"no parameter '{'x' * 80}'; there is none here"
