"""A chunk as people read it: thought, text, calls as a program writes them, answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sessiontail.cli.drawing import Piece, call_text, chunk_pieces
from sessiontail.format.records import Chunk, ChunkKind, ToolCall

LAID_OUT = f"""\
f(edits=...)
   edits:
     [
       {{
         "old": "{"a" * 40}",
         "new": "{"b" * 40}"
       }}
     ]"""
CODE = 'def f():\n    return "a"'


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"path": "tests/test_dates.py"}', 'f(path="tests/test_dates.py")'),
        ("{}", "f()"),
        ("", "f()"),
        ('{"n": 1.5, "all": true, "no": null}', "f(n=1.5, all=true, no=null)"),
        ('{"at": [1, {"a": "é"}]}', 'f(at=[1, {"a": "é"}])'),
        ('{"quote": "a \\"b\\" \\\\ c"}', 'f(quote="a \\"b\\" \\\\ c")'),
        ('{"a key": 1, "": 2}', 'f("a key"=1, ""=2)'),
        ("{broken", "f({broken)"),
        ("[1, 2]", "f([1, 2])"),
        ('"text"', 'f("text")'),
        (
            json.dumps({"path": "a.py", "content": CODE + "\n"}),
            'f(path="a.py", content=...)\n   content:\n     def f():\n         return "a"',
        ),
        (
            json.dumps({"long": "x" * 80}),
            f"f(long=...)\n   long:\n     {'x' * 80}",
        ),
        (
            json.dumps({"edits": [{"old": "a" * 40, "new": "b" * 40}]}),
            LAID_OUT,
        ),
    ],
)
def test_a_call_is_drawn_as_a_program_writes_it(arguments: str, shown: str) -> None:
    assert call_text(ToolCall("1", "f", arguments)) == f"-> {shown}"


def test_arguments_nested_too_deeply_stand_as_they_are() -> None:
    arguments = '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}"

    assert call_text(ToolCall("1", "f", arguments)) == f"-> f({arguments})"


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    ("kind", "payload", "pieces"),
    [
        ("user", {"content": "hi"}, [Piece("hi")]),
        ("user", {"content": [{"type": "image_url", "image_url": ""}]}, [Piece("[image, 0 B]")]),
        ("assistant", {"content": None}, [Piece("(empty)")]),
        ("assistant", {"content": ""}, [Piece("")]),
        (
            "assistant",
            {"content": "so", "reasoning_content": "hm", "tool_calls": [CALL]},
            [Piece("(thought) hm", "dim"), Piece("so"), Piece("-> f(a=1)")],
        ),
        ("assistant", {"content": None, "reasoning": "hm"}, [Piece("(thought) hm", "dim")]),
        ("assistant", {"content": None, "tool_calls": [CALL]}, [Piece("-> f(a=1)")]),
        ("tool_result", {"name": "f", "content": '{"a": 1}'}, [Piece('[f] {"a": 1}')]),
        ("tool_result", {"name": ["f"], "content": {"a": None}}, [Piece('[["f"]] {"a": null}')]),
        ("tool_result", {"name": "f"}, [Piece("[f] ")]),
    ],
)
def test_a_chunk_is_its_thought_its_text_and_its_calls(
    kind: str, payload: dict[str, Any], pieces: list[Piece]
) -> None:
    assert list(chunk_pieces(Chunk(kind=ChunkKind(kind), payload=payload))) == pieces
