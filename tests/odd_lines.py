"""Lines that the fast ways of decoding must not take for what they are not, in any company."""

from __future__ import annotations

from hypothesis import strategies as st

from samples import header_line, trailer_line
from sessiontail import Record
from sessiontail.format import RecordDecoder

__all__ = [
    "FIRST",
    "HALF",
    "LINES",
    "OBJECT",
    "ODD",
    "TWO_FOR_ONE",
    "cut",
    "one_by_one",
    "parts",
]

HEADER, TRAILER = header_line(), trailer_line()
DEEP = b"[" * 5_000 + b"]" * 5_000

OBJECT = b'{"record_type": "chunk", "index": 0, "kind": "user", "payload": {"content": "hi"}}'
ODD = [
    OBJECT.replace(b'"hi"', b"NaN"),
    OBJECT.replace(b'"hi"', b"-Infinity"),
    OBJECT.replace(b'"hi"', b"1e400"),
    OBJECT.replace(b'"hi"', b"1e-400"),
    OBJECT.replace(b'"hi"', b"-0.0"),
    OBJECT.replace(b'"hi"', b"123456789012345678901234567890"),
    OBJECT.replace(b'"hi"', b"9" * 5_000),
    OBJECT.replace(b'"hi"', b'"\\ud83d"'),
    OBJECT.replace(b'"hi"', b'"\\ud83d\\ude00"'),
    OBJECT.replace(b'"hi"', '"\u2028\u2029\u0085"'.encode()),
    OBJECT.replace(b'"hi"', b'"\xff"'),
    OBJECT.replace(b'"hi"', b'"\x01"'),
    OBJECT.replace(b'"hi"', b'"}\\n{\\"record_type\\": \\"chunk\\""'),
    OBJECT.replace(b'"hi"', DEEP),
    OBJECT.replace(b'"index": 0', b'"index": 1.0'),
    OBJECT.replace(b'"index": 0, ', b""),
    OBJECT.replace(b'"kind": "user"', b'"kind": "system", "kind": "user"'),
    OBJECT.replace(b'"kind": "user"', b'"kind": "\xff"'),
    OBJECT.replace(b'"kind": "user"', b'"kind": "user", "more": "\xff"'),
    OBJECT.replace(b'"kind": "user"', b'"kind": "user", "more": [1]'),
    OBJECT.replace(b'"chunk"', b'"chunk", "record_type": "chunk"'),
    OBJECT.replace(b'"chunk"', b'"chunk", "record_type": "trailer"'),
    OBJECT.replace(b'"chunk"', b'"chunk", "record_type": "header"'),
    OBJECT.replace(b'"payload": {"content": "hi"}', b'"payload": [1]'),
    OBJECT.replace(b'"payload": {', b'"payload": {"content": 1, '),
    OBJECT.replace(b", ", b","),
    b'{"payload": {}, "kind": "user", "record_type": "chunk"}',
    b"  " + OBJECT + b"\t",
    OBJECT + b"\r",
    "\u00a0".encode() + OBJECT + "\u00a0".encode(),
    b"\xef\xbb\xbf" + OBJECT,
    OBJECT + b"\x00",
    OBJECT + OBJECT,
    OBJECT + b" " + OBJECT,
    OBJECT + b"," + OBJECT,
    OBJECT[:40],
    OBJECT[40:],
    OBJECT[:-1],
    b"}",
    OBJECT[: OBJECT.index(b"{", 1)],
    OBJECT[OBJECT.index(b"{", 1) :],
    b"",
    b"\r",
    b" \t",
    "\u00a0\u2028".encode(),
    b"null",
    b"{}",
    b"[]",
    HEADER[:-1],
    TRAILER[:-1],
    TRAILER[:-1].replace(b"null", b"[1]"),
    TRAILER[:-1].replace(b'"trailer"', b'"trailer", "record_type": "chunk"'),
    b" " + TRAILER[:-1],
]
LINES = st.lists(
    st.one_of(st.just(OBJECT), st.just(OBJECT), st.sampled_from(ODD), st.binary(max_size=8)).map(
        lambda raw: raw.replace(b"\n", b"")
    ),
    min_size=1,
    max_size=7,
)
FIRST = st.sampled_from([HEADER, HEADER, HEADER, b"", header_line(id=None)])

HALF = OBJECT.index(b' "kind"')

#: As many objects as lines, though not one a line.
TWO_FOR_ONE = [
    [OBJECT + OBJECT, OBJECT[:HALF], OBJECT[HALF:]],
    [OBJECT[:HALF], OBJECT[HALF:], OBJECT + OBJECT],
    [OBJECT + OBJECT, b"", OBJECT],
    [b"", OBJECT + OBJECT, OBJECT],
    [OBJECT, b"", OBJECT + OBJECT],
    [OBJECT + OBJECT + OBJECT, OBJECT[:HALF], OBJECT[HALF:], b""],
    [OBJECT[:HALF], OBJECT[HALF:], OBJECT + OBJECT, TRAILER[:-1]],
    [OBJECT + OBJECT, TRAILER[:-1]],
    [OBJECT + b'{"record_type": "chunk"', b'"kind": "user", "payload": {}}'],
]


def cut(data: bytes) -> list[bytes]:
    """The lines of some bytes, each with its newline."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def one_by_one(data: bytes) -> list[tuple[Record, int, int]]:
    """Every record by the exact path, with offset and line behind it."""
    decoder, offset, found = RecordDecoder(), 0, []
    for number, raw in enumerate(cut(data), 1):
        record = decoder.decode_line(raw, line=number, offset=offset)
        offset += len(raw)
        if record is not None:
            found.append((record, offset, number))
    return found


def parts(data: bytes, cuts: set[int]) -> list[bytes]:
    """Whole lines in parts that end after so many lines."""
    lines = cut(data)
    ends = sorted({*(end for end in cuts if end < len(lines)), len(lines)})
    return [b"".join(lines[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
