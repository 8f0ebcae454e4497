"""Whether a record is what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from actors import records_of
from samples import chunk_line, header_line, trailer_line
from sessiontail.format.awaited import Awaited
from sessiontail.format.patterns import TextPattern, text_pattern

CALL = {"id": "1", "type": "function", "function": {"name": "run", "arguments": '{"cmd": "ls"}'}}
RECORDS = records_of(
    header_line()
    + chunk_line(0, "Say it")
    + chunk_line(1, None, "assistant", tool_calls=[CALL])
    + chunk_line(2, "a file", "tool_result", name="run", tool_call_id="1")
    + chunk_line(3, "another", "tool_result", name=7, tool_call_id="2")
    + b"not a record\n"
    + chunk_line(4, "Said it", "assistant", reasoning_content="say nothing")
    + trailer_line(5)
)


def literal(text: str) -> TextPattern:
    return text_pattern(text, literal=True, ignore_case=True, clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"kinds": ["assistant"]}, [2, 6]),
        ({"kinds": ["header", "trailer", "damage"]}, [0, 5, 7]),
        ({"kinds": []}, []),
        ({"tools": ["run"]}, [2, 3]),
        ({"tools": ["run"], "kinds": ["tool_result"]}, [3]),
        ({"tools": ["7"]}, [4]),
        ({"tools": ["other"]}, []),
        ({"pattern": literal("SAY")}, [1, 6]),
        ({"pattern": literal("not a")}, [5]),
        ({"pattern": literal("ls")}, [2]),
        ({"pattern": literal("it"), "kinds": ["assistant"]}, [6]),
        ({"pattern": literal("file"), "tools": ["run"]}, [3]),
        ({"pattern": literal("closed_at")}, []),
    ],
)
def test_a_record_is_it_that_fits_all_that_is_given(
    wanted: dict[str, Any], taken: list[int]
) -> None:
    awaited = Awaited(**wanted)

    assert [i for i, record in enumerate(RECORDS) if awaited.takes(record)] == taken


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"^no kind of record is called 'tool': system, user, "
    ) as e:
        Awaited(kinds=["user", "tool"])

    assert str(e.value).endswith("header, trailer, damage")


def test_only_a_long_text_that_is_searched_through_is_heavy() -> None:
    (long,) = records_of(header_line() + chunk_line(0, ["x" * 200_000, {"a": "y" * 100_000}]))[1:]

    assert Awaited(pattern=literal("x")).heavy(long)
    assert not Awaited().heavy(long)
    assert [Awaited(pattern=literal("x")).heavy(record) for record in RECORDS] == [False] * 8
