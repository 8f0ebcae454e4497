"""A session as messages: an array of what ``Chunk.to_message`` gives."""

from __future__ import annotations

import json

from sessiontail import Chunk, ChunkKind, Record, Trailer
from sessiontail.format.facts import Facts
from sessiontail.format.messages import Messages, message_text

HELLO = Chunk(kind=ChunkKind.USER, payload={"content": "a\u202e\ud83d\u2028"})
RESULT = Chunk(kind=ChunkKind.TOOL_RESULT, payload={"tool_call_id": "c", "content": "r"})


def written(*batches: list[Record]) -> str:
    messages = Messages()
    pieces = [*messages.begin(None, Facts(name="a")), *messages.left_out(2, "b")]
    for batch in batches:
        pieces += messages.take(batch)
    return "".join([*pieces, *messages.end(5)])


def test_a_row_is_a_message_and_nothing_else_is() -> None:
    text = written([HELLO], [Trailer()], [RESULT])

    assert text == (
        '[\n{"role": "user", "content": "a\\u202e\\ud83d\\u2028"},\n'
        '{"role": "tool", "tool_call_id": "c", "content": "r"}\n]\n'
    )
    assert json.loads(text) == [HELLO.to_message(), RESULT.to_message()]


def test_no_rows_are_an_empty_array() -> None:
    assert written() == written([Trailer()]) == "[]\n"


def test_a_message_is_one_line_that_any_output_takes() -> None:
    assert message_text(HELLO).isascii()
