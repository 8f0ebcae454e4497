"""A result says that its tool failed, or it does not: of a payload, and of bytes in the file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sessiontail.format.tool_errors import raw_says_failed, says_failed

FAILED = [
    '{"ok": false, "error_kind": "timeout", "message": "too long"}',
    '{"exit_code": 1, "stdout": "", "stderr": "no"}',
    '{"exit_code": -9}',
    '{"exit_code": 0.5}',
    '{"error": "NameError"}',
    ' \n{"ok": false}',
    '{"note": NaN, "ok": false}',
    '{"ok": true, "ok": false}',
]
FINE = [
    "",
    "Error: it only says so",
    '{"ok": true}',
    '{"exit_code": 0, "stdout": "{\\"ok\\": false}"}',
    '{"exit_code": false}',
    '{"exit_code": "1"}',
    '{"error": null}',
    '{"error": ""}',
    '[{"ok": false}]',
    '{"data": "ok\\": false"}',
    '{"ok": false, "cut off...(truncated)',
    None,
    ["ok"],
    {"ok": False},
]


@pytest.mark.parametrize("content", FAILED)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_failure_is_told(content: str, *, ensure_ascii: bool) -> None:
    assert says_failed({"content": content})
    assert raw_says_failed(json.dumps(content, ensure_ascii=ensure_ascii).encode())


@pytest.mark.parametrize("content", FINE)
def test_what_tells_none_is_none(content: Any) -> None:
    assert not says_failed({"content": content})
    assert not raw_says_failed(json.dumps(content).encode())


def test_who_says_so_beside_the_content_is_believed() -> None:
    assert says_failed({"content": "fine", "is_error": True})
    assert says_failed({"isError": True})
    assert not says_failed({"is_error": "yes", "isError": 1})


def test_letters_that_are_escaped_are_the_same_letters() -> None:
    assert raw_says_failed(b'"\\u007b\\"\\u006fk\\": fal\\u0073e}"')
    assert raw_says_failed(b'"{\\"ok\\": false, \\"x\\": \\"\\ud800\\"}"')


def test_nothing_is_nothing() -> None:
    assert not raw_says_failed(b"")
    assert not raw_says_failed(b'"')


values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3), st.just([])
)
objects = st.dictionaries(
    st.sampled_from(
        ["ok", "exit_code", "error", "stdout", 'a"ok'],
    ),
    values,
    max_size=4,
)


@given(value=objects, ensure_ascii=st.booleans())
def test_both_ways_agree(value: dict[str, Any], *, ensure_ascii: bool) -> None:
    content = json.dumps(value)

    assert raw_says_failed(json.dumps(content, ensure_ascii=ensure_ascii).encode()) == says_failed(
        {"content": content}
    )
