"""The README's code runs, its output is what it prints, and its test command is the one that CI runs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import sessiontail
from sessiontail import (
    Chunk,
    ChunkKind,
    Header,
    Record,
    SessionWriter,
)

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
SESSION_ID = UUID("4f2c8a10-0000-4000-8000-000000000001")

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    return tmp_path / "sessions"


async def write_session(directory: Path, *, damaged: bool) -> None:
    """Write the session of the README's first example."""
    functions = [
        {"name": "run_tests", "arguments": '{"path": "tests/test_dates.py"}'},
        {"name": "read_file", "arguments": '{"path": "dates.py"}'},
    ]
    calls = [
        {"id": f"c{i}", "type": "function", "function": one} for i, one in enumerate(functions)
    ]
    code = "def next_month(day): return day.replace(month=day.month + 1)"
    answer = "31 January has no 31 February to go to."
    header = Header(id=SESSION_ID, created_at=datetime(2026, 11, 20, 9, tzinfo=UTC))
    async with SessionWriter(header, directory=directory) as writer:
        said: list[tuple[ChunkKind, dict[str, Any]]] = [
            (ChunkKind.USER, {"content": "Why does tests/test_dates.py fail?"}),
            (
                ChunkKind.ASSISTANT,
                {"content": "I run it, and look at the code.", "tool_calls": calls},
            ),
            *(
                (ChunkKind.TOOL_RESULT, {"tool_call_id": f"c{i}", "name": name, "content": said})
                for i, (name, said) in enumerate(
                    [("run_tests", "FAILED test_end_of_month"), ("read_file", code)]
                )
            ),
        ]
        for kind, payload in said:
            await writer.write(Chunk(kind=kind, payload=payload))
        with writer.partial_path.open("ab") as file:
            file.write(b"" if not damaged else b'{"record_type": "chunk", "ind\n')
        await writer.write(Chunk(kind=ChunkKind.ASSISTANT, payload={"content": answer}))


async def run(code: str, names: dict[str, Any]) -> None:
    compiled = compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(compiled, names)
    if inspect.iscoroutine(made):
        await made


def names_for_the_reader(handle: Callable[[Record], Awaitable[None]]) -> dict[str, Any]:
    """Return what the README's text has introduced before its later blocks."""
    return {
        **{name: getattr(sessiontail, name) for name in ("Chunk", "tail_session")},
        "session_id": SESSION_ID,
        "cursor": None,
        "directory_cursor": None,
        "handle": handle,
    }


async def test_the_first_example_prints_what_stands_below_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await write_session(home, damaged=True)
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]

    await run(PYTHON[0], {"session_id": SESSION_ID})

    assert capsys.readouterr().out == shown


class EnoughError(Exception):
    """Ends a stream that never ends by itself."""


async def test_every_other_block_of_python_runs(home: Path) -> None:
    await write_session(home, damaged=False)
    handled: list[Record] = []

    async def handle(record: Record) -> None:
        handled.append(record)

    names = names_for_the_reader(handle)
    for code in PYTHON[1:]:
        if "tail_all" in code:
            continue
        await run(code, names)

    assert [type(record).__name__ for record in handled] == [
        "Header", "Chunk", "Chunk", "Chunk", "Chunk", "Chunk", "Trailer",
    ]  # fmt: skip
    assert names["tail"].outcome == "closed"
    assert names["answer"].tool_calls[0].name == "run_tests"


async def test_the_block_that_follows_a_directory_runs(home: Path) -> None:
    header = Header(id=SESSION_ID, created_at=datetime(2026, 11, 20, tzinfo=UTC))
    handled: list[Record] = []

    async def handle(record: Record) -> None:
        handled.append(record)
        raise EnoughError

    (code,) = (code for code in PYTHON if "tail_all" in code)
    async with SessionWriter(header, directory=home):
        with pytest.raises(EnoughError):
            await run(code, names_for_the_reader(handle))

    assert handled == [header]


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    assert SHELL[1].strip() in (ROOT / ".ci" / "run").read_text("utf-8")


def test_what_the_api_table_names_exists() -> None:
    named = re.findall(r"^\| `(\w+)(?!\.)\b", README, re.MULTILINE)

    assert named
    assert [name for name in named if name not in sessiontail.__all__] == []
