from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from samples import all_of, chunk_line, header_line
from sessiontail import Chunk, Damage
from sessiontail.format import Block, RecordDecoder, bigline, decoding
from sessiontail.format.bigline import BIG_LINE_BYTES, put_back, shorten


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every line for a big one, and strings above 32 bytes for huge."""
    monkeypatch.setattr(decoding, "BIG_LINE_BYTES", 0)
    monkeypatch.setattr(bigline, "SEGMENT_BYTES", 32)


def decoded(line: bytes, *, whole: bool = False) -> str:
    """What a line is behind a header: the decoder's word, or the exact path's."""
    decoder = RecordDecoder(header_version=1)
    if whole:
        return all_of(decoder.decode_line(line))
    records = decoder.decode(Block.cut(line)).records
    return all_of(records[0] if records else None)


PIECES = st.sampled_from(
    [
        "x",
        "x" * 31,
        "x" * 200,
        "é",
        "漢字" * 9,
        "😀",
        "\u2028",
        "\\\\",
        "\\\\" * 20,
        '\\"',
        "\\n" * 40,
        "\\/",
        "\\u00e9",
        "\\u6f22" * 12,
        "\\ud83d\\ude00",
        "\\ud83d\\ude00" * 15,
        "\\\\ud83d",
        "\\ud83d",
        "\\ude00",
        "\\u12",
        "\\q",
        "\\",
        "\x01",
        "\xff",
        "}",
        "{",
        ", ",
        '"',
    ]
)
# A few odd pieces among many plain ones.
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@pytest.mark.usefixtures("small")
@settings(max_examples=700)
@given(
    texts=st.lists(TEXTS, min_size=3, max_size=3),
    shape=st.sampled_from(
        [
            '{"record_type": "chunk", "index": 0, "kind": "user", "payload": {"content": "%s"}}',
            '{"record_type": "chunk", "kind": "user", "payload": {"a": "%s", "b": ["%s", {"c": "%s"}]}}',
            '{"record_type": "chunk", "kind": "user", "payload": {"a": "%s", "a": "%s", "n": NaN}}',
            '{"record_type": "chunk", "kind": "user", "payload": {"%s": 1, "%s": "%s"}}',
            '{"record_type": "chunk", "kind": "%s", "payload": {"a": "%s"}}',
            '{"record_type": "chunk", "kind": "user", "payload": "%s"}',
            '{"record_type": "chunk", "kind": "user", "payload": {"a": "%s"}, "more": "%s"}',
            '{"record_type": "%s", "kind": "user", "payload": {"a": "%s"}}',
            '{"record_type": "trailer", "closed_at": "%s", "x": "%s"}',
            '{"payload": {"a": "%s", "f": 1e400}, "kind": "user", "record_type": "chunk"}',
            '"%s"',
            '  {"record_type": "chunk", "kind": "user", "payload": {"a": "%s"}} \r',
            '{"record_type": "chunk", "kind": "user", "payload": {"a": "%s',
        ]
    ),
    behind=st.sampled_from([b"", b"}", b"\xff", b"\\"]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
)
def test_a_line_in_steps_is_the_line_in_one(
    texts: list[str], shape: str, behind: bytes, encoding: str
) -> None:
    text = shape % tuple(texts[: shape.count("%s")])
    line = text.encode(encoding, "replace").replace(b"\n", b" ") + behind + b"\n"

    assert decoded(line) == decoded(line, whole=True)


@pytest.mark.usefixtures("small")
@settings(max_examples=500)
@given(st.text(max_size=300), st.booleans())
def test_any_text_as_the_writer_or_another_writes_it_is_taken_in_steps(
    text: str,
    escaped: bool,  # noqa: FBT001 - of hypothesis
) -> None:
    text = text.encode("utf-8", "ignore").decode() + "x" * 40
    raw = json.dumps({"content": text}, ensure_ascii=escaped).encode()

    short = shorten(raw)

    assert short is not None
    values = msgspec.json.decode(short[0])
    assert len(short[0]) < 80
    assert put_back(values, short[1])
    assert values == {"content": text}


@pytest.mark.usefixtures("small")
def test_a_huge_string_that_is_a_key_or_is_replaced_is_not_put_back() -> None:
    for text in ('{"%s": 1}', '{"a": "%s", "a": 1}'):
        short = shorten((text % ("x" * 50)).encode())
        assert short is not None

        assert not put_back(msgspec.json.decode(short[0]), short[1])


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": [' + b"1, " * 200_000 + b"1]}",
        b'{"a": [' + b'"x", ' * 200_000 + b"1]}",
        b'{"a": "' + b"x" * 2_000_000,
        b'{"a": "' + b"\\n" * 1_000_000 + b"\\",
        b'{"a": "' + b"x" * 2_000_000 + b'\x01"}',
        b"x" * 2_000_000,
        b'{"a": "x"}',
        b"",
    ],
    ids=["numbers", "small", "no end", "a backslash", "control", "no quote", "short", "empty"],
)
def test_what_has_no_huge_string_or_a_damaged_one_is_decoded_as_usual(line: bytes) -> None:
    assert not shorten(line)


@pytest.mark.parametrize(
    "content",
    [
        "x" * 3_000_000,
        "ü漢" * 600_000,
        "x" * 1_500_000 + "😀" * 400_000,
        'a"\n' * 500_000,
        "\\" * 1_000_001,
    ],
    ids=["ascii", "utf-8", "wider and wider", "escapes", "backslashes"],
)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_line_of_megabytes_is_taken_in_steps(content: str, *, escaped: bool) -> None:
    record = {"record_type": "chunk", "index": 0, "kind": "user"}
    record_of = {**record, "payload": {"content": content, "more": [1.5, None]}}
    line = json.dumps(record_of, ensure_ascii=escaped).encode() + b"\n"
    decoder = RecordDecoder(header_version=1)

    (chunk,) = decoder.decode(Block.cut(line)).records

    assert len(line) > BIG_LINE_BYTES
    assert decoder._decode_big(line) == chunk
    assert isinstance(chunk, Chunk)
    assert chunk.payload == {"content": content, "more": [1.5, None]}


def test_a_big_line_among_others_keeps_its_place() -> None:
    big: Any = chunk_line(1, "y" * 2_000_000)
    data = header_line() + chunk_line(0) + big + b"x" * 2_000_000 + b"\n" + chunk_line(2)

    batch = RecordDecoder().decode(Block.cut(data))

    _, first, second, damage, last = batch.records
    assert isinstance(damage, Damage)
    assert isinstance(second, Chunk)
    assert (damage.line, damage.offset) == (4, data.index(b"xx"))
    assert second.text == "y" * 2_000_000
    assert [getattr(one, "index", None) for one in (first, last)] == [0, 2]
    behind = batch.at(3)
    assert (behind.offset, behind.lines) == (len(header_line() + chunk_line(0) + big), 3)
