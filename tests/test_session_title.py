"""An open file, and where a session's own rows begin -> what it is about, in its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from chats import FIRST, Chats, rows
from samples import chunk_line, header_line
from sessiontail.session.title import title_of
from sessiontail.system.files import SessionFile


def title(path: Path, start: int = 0) -> str | None:
    file = SessionFile(path)
    try:
        return title_of(file, start)
    finally:
        file.close()


def test_a_session_is_called_by_its_first_own_question(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST))
    own = path.read_bytes().index(chunk_line(2, "more"))

    assert title(path) == "hello"
    assert title(path, own) == "more"


def test_where_no_user_speaks_what_is_said_first_stands_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        header_line()
        + chunk_line(0, "rules", "system")
        + chunk_line(1, None, "assistant", tool_calls=[])
        + chunk_line(2, "out", "tool_result", name="tool")
        + chunk_line(3, "done", "assistant")
    )

    assert title(path) == "done"


@pytest.mark.parametrize("content", [None, "", " \n "])
def test_an_empty_question_is_no_title(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(header_line() + chunk_line(0, content) + chunk_line(1, "Yes?"))

    assert title(path) == "Yes?"


def test_a_title_is_one_line_and_short(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(header_line() + chunk_line(0, "a\tb\n\nc  " + "x" * 10_000))

    found = title(path)

    assert found is not None
    assert found.startswith("a b c x")
    assert len(found) == 400


def test_damage_and_silence_have_no_title(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(header_line() + b"damaged\n")

    assert title(path) is None
