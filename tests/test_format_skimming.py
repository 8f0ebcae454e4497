"""Lines that are passed over in C are what the exact path takes, or they are not taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from samples import chunk_line
from sessiontail.format import skimming
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.records import Chunk
from sessiontail.format.skimming import SkimmedRow, skim_lines


def skimmed(*lines: bytes) -> list[SkimmedRow] | None:
    data = b"".join(lines)
    ends = [i + 1 for i, byte in enumerate(data) if byte == 0x0A]
    return skim_lines(data, 0, ends)


def test_a_row_is_who_speaks_and_which_tools() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    rows = skimmed(
        chunk_line(0, "hi"),
        chunk_line(1, None, "assistant", tool_calls=[call, call]),
        chunk_line(2, "no", "tool_result", tool_call_id="c1", name="bash", is_error=True),
    )

    assert rows is not None
    assert [(row.kind, row.index) for row in rows] == [
        ("user", 0), ("assistant", 1), ("tool_result", 2),
    ]  # fmt: skip
    assert [one.function.name for one in rows[1].payload.tool_calls or ()] == ["bash", "bash"]
    assert (rows[2].payload.tool_call_id, rows[2].payload.is_error) == ("c1", True)
    assert bytes(rows[2].payload.content) == b'"no"'


def odd(body: bytes) -> bytes:
    return (
        b'{"record_type": "chunk", "index": 0, "kind": "user", "payload": {"content": %s}}\n' % body
    )


REFUSED = {
    "invalid UTF-8": odd(b'"\xff"'),
    "invalid UTF-8 in a long line": odd(b'"%s\xff"' % ("é" * 700_000).encode()),
    "a surrogate in UTF-8": odd(b'"\xed\xa0\x80"'),
    "a control character": odd(b'"\x01"'),
    "an escape that is none": odd(b'"\\x"'),
    "half an escape": odd(b'"\\u12"'),
    "a number with a leading zero": odd(b"01"),
    "a number without an end": odd(b"1."),
    "NaN": odd(b"NaN"),
    "more digits than Python takes": odd(b"1" * 5000),
    "more digits than Python takes, in a text": odd(b'"%s"' % (b"1" * 5000)),
    "two objects on a line": odd(b"1")[:-1] + b" " + odd(b"1"),
    "one object over two lines": odd(b"1").replace(b", ", b",\n", 1),
    "a blank line": b"\n" + odd(b"1"),
    "no object": b"[]\n",
    "an unknown kind": odd(b"1").replace(b"user", b"root"),
    "an unknown key": odd(b"1").replace(b'"index"', b'"more"'),
    "a payload that is no object": b'{"record_type": "chunk", "kind": "user", "payload": []}\n',
    "a trailer": b'{"record_type": "trailer"}\n',
    "an index as text": odd(b"1").replace(b": 0", b': "0"'),
    "a call without a function": chunk_line(0, None, "assistant", tool_calls=[{"id": "a"}]),
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED.values(), ids=REFUSED)
def test_what_is_not_proven_is_left_to_the_exact_path(line: bytes) -> None:
    assert skimmed(chunk_line(0), line) is None


TAKEN = {
    "a number out of range": odd(b"1e999"),
    "an integer of 4,000 digits": odd(b"1" * 4000),
    "U+2028": odd("\u2028".encode().join([b'"', b'"'])),
    "900 levels": odd(b"[" * 900 + b"]" * 900),
    "keys twice": odd(b"1").replace(b'"kind"', b'"kind": "system", "kind"'),
    "no index": odd(b"1").replace(b' "index": 0,', b""),
}


@pytest.mark.parametrize("line", TAKEN.values(), ids=TAKEN)
def test_what_json_may_have_is_taken_as_the_exact_path_takes_it(line: bytes) -> None:
    exact = RecordDecoder(header_version=1).decode_line(line)

    rows = skimmed(line)

    assert isinstance(exact, Chunk)
    assert rows is not None
    assert (rows[0].kind, rows[0].index) == (exact.kind.value, exact.index)


@pytest.mark.parametrize("levels", [1001, 5000])
def test_what_is_nested_too_deeply_is_left_to_the_exact_path(
    levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a Python whose own limit is higher."""
    monkeypatch.setattr(skimming, "TAKES_DEEPER", True)

    assert skimmed(odd(b"[" * levels + b"]" * levels)) is None


pieces = st.sampled_from(
    [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"1", b"e", b"-", b".", b"\x00", b"\x1f", b"\x7f",
     b"\xc3\xa9", b"\xff", b"\xe2\x80", b"\\u", b"d800", b"null", b"tru", b"a", b" ", b"\t", b"\r"]
)  # fmt: skip


@given(body=st.lists(pieces, max_size=12).map(b"".join), rest=st.booleans())
def test_whatever_stands_in_a_content_both_ways_agree(body: bytes, *, rest: bool) -> None:
    line = odd(b'"%s"' % body if rest else body)
    exact = RecordDecoder(header_version=1).decode_line(line)

    rows = skimmed(line)

    if rows is not None:
        assert isinstance(exact, Chunk)
        assert json.loads(bytes(rows[0].payload.content)) == exact.payload["content"]
