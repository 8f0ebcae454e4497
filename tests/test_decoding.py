from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from samples import ID, chunk_line, header_line, json_line, session_bytes, trailer_line
from sessiontail import (
    Chunk,
    ChunkKind,
    Damage,
    DamageReason,
    Header,
    LineageKind,
    Record,
    SandboxSpec,
    TokenUsage,
    Trailer,
)
from sessiontail.format import Block, LongLine, RecordDecoder
from sessiontail.format.marks import Mark
from sessiontail.format.runs import MAX_RUN_LINES, decode_run
from sessiontail.format.usual import usual_header, usual_trailer

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()
DEEP = b"[" * 5_000 + b"]" * 5_000


def block(data: bytes, *, offset: int = 0, line: int = 1) -> Block:
    return Block.cut(data, offset=offset, line=line)


def decode(data: bytes) -> list[Record]:
    return RecordDecoder().decode(block(data)).records


def one_by_one(data: bytes) -> list[tuple[Record, int, int]]:
    """Every record by the exact path, with offset and line behind it."""
    decoder, offset, found = RecordDecoder(), 0, []
    for number, raw in enumerate(cut(data), 1):
        record = decoder.decode_line(raw, line=number, offset=offset)
        offset += len(raw)
        if record is not None:
            found.append((record, offset, number))
    return found


def cut(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def test_a_session_as_the_writer_writes_it() -> None:
    spec = {
        "image": "py",
        "entrypoint": ["a", "b"],
        "env": {"a": "b"},
        "timeout_seconds": 12.5,
        "working_dir": "/x",
    }
    parent = UUID(int=5)
    header = header_line(
        parent_session_ids=["zz", str(parent), 5, None],
        lineage_operator="fork",
        lineage_kind="op_fork",
        lineage_extras=[["a", {"b": 1}], ["lonely"], [1, 2], "ab"],
        sandbox_backend="local",
        sandbox_spec=spec,
        sandbox_handle_id="h",
    )

    records = decode(header + chunk_line(0, "é\u2028") + trailer_line(1, (10, 5, 15)))

    assert records == [
        Header(
            id=ID,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            schema_version=1,
            parent_session_ids=(parent,),
            lineage_operator="fork",
            lineage_kind=LineageKind.OP_FORK,
            lineage_extras=(("a", {"b": 1}),),
            sandbox_backend="local",
            sandbox_spec=SandboxSpec("py", ("a", "b"), {"a": "b"}, timedelta(seconds=12.5), "/x"),
            sandbox_handle_id="h",
        ),
        Chunk(kind=ChunkKind.USER, payload={"content": "é\u2028"}, index=0),
        Trailer(
            closed_at=datetime(2026, 1, 1, tzinfo=UTC),
            final_chunk_count=1,
            cumulative_usage=TokenUsage(10, 5, 15),
            raw=json.loads(trailer_line(1, (10, 5, 15))),
        ),
    ]


def test_a_header_of_the_least_keys_has_the_defaults() -> None:
    record = {"record_type": "header", "id": str(ID), "created_at": "2026-01-01", "more": 1}

    records = decode(json_line(record | {"schema_version": 1}))

    assert records == [Header(id=ID, created_at=datetime(2026, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"schema_version": 1.9}, "schema_version", 1),
        ({"schema_version": "1"}, "schema_version", 1),
        ({"schema_version": True}, "schema_version", 1),
        ({"id": f"{{{ID}}}"}, "id", ID),
        ({"id": f"urn:uuid:{ID}"}, "id", ID),
        ({"id": int("1" * 32)}, "id", UUID("1" * 32)),
        ({"created_at": "2026-W01-4"}, "created_at", datetime(2026, 1, 1, tzinfo=UTC)),
        ({"created_at": "2026-01-01T00:00:00Z"}, "created_at", datetime(2026, 1, 1, tzinfo=UTC)),
        (
            {"created_at": "2026-01-01T00:00:00+02:00"},
            "created_at",
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        ),
        ({"lineage_kind": "op_new"}, "lineage_kind", LineageKind.UNKNOWN),
        ({"lineage_kind": ["op_fork"]}, "lineage_kind", LineageKind.UNKNOWN),
        ({"lineage_kind": None}, "lineage_kind", LineageKind.UNKNOWN),
        ({"lineage_extras": None}, "lineage_extras", ()),
        ({"lineage_extras": 0}, "lineage_extras", ()),
        ({"parent_session_ids": None}, "parent_session_ids", ()),
        ({"parent_session_ids": "text"}, "parent_session_ids", ()),
        ({"lineage_operator": None}, "lineage_operator", "None"),
        ({"sandbox_spec": {}}, "sandbox_spec", SandboxSpec()),
        ({"sandbox_spec": {"env": ["ab"]}}, "sandbox_spec", SandboxSpec(env={"a": "b"})),
    ],
)
def test_a_header_value_is_taken_as_the_format_says(
    fields: dict[str, Any], name: str, expected: Any
) -> None:
    (header,) = decode(header_line(**fields))

    assert isinstance(header, Header)
    assert getattr(header, name) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, TokenUsage(0, 0, 0)),
        ({"prompt_tokens": 1.7, "completion_tokens": None}, TokenUsage(1, 0, 0)),
        ({"prompt_tokens": "7", "total_tokens": True, "x": []}, TokenUsage(7, 0, 1)),
        ({"prompt_tokens": [], "total_tokens": ""}, TokenUsage(0, 0, 0)),
    ],
)
def test_usage_is_taken_as_the_format_says(usage: Any, expected: TokenUsage | None) -> None:
    line = json_line({"record_type": "trailer", "cumulative_usage": usage})

    _, trailer = decode(HEADER + line)

    assert isinstance(trailer, Trailer)
    assert trailer.cumulative_usage == expected


def test_what_no_count_and_no_time_is_in_a_trailer_is_unknown() -> None:
    record = {"record_type": "trailer", "closed_at": 5, "final_chunk_count": "1"}

    _, trailer = decode(HEADER + json_line(record))

    assert trailer == Trailer(raw=record)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (b"7", 7),
        (b"-0", 0),
        (b"1.0", None),
        (b"true", None),
        (b'"1"', None),
        (b"null", None),
        (b"1" + b"0" * 30, 10**30),
    ],
)
def test_an_index_is_an_integer_or_unknown(index: bytes, expected: int | None) -> None:
    line = CHUNK.replace(b'"index": 0', b'"index": ' + index)

    _, chunk = decode(HEADER + line)

    assert chunk == Chunk(kind=ChunkKind.USER, payload={"content": "hi"}, index=expected)


# What a damaged line after a header becomes: its bytes, the reason, the message.
DAMAGED = {
    "cut inside a character": (
        b'{"a": "\xc3"}',
        DamageReason.INVALID_UTF8,
        "invalid UTF-8: invalid continuation byte at byte 7 of the line",
    ),
    "a surrogate in UTF-8": (
        b'"\xed\xa0\x80"',
        DamageReason.INVALID_UTF8,
        "invalid UTF-8: invalid continuation byte at byte 1 of the line",
    ),
    "two records glued": (
        b'{"a"{}',
        DamageReason.INVALID_JSON,
        "invalid JSON: Expecting ':' delimiter (column 5)",
    ),
    "two objects": (
        b"{} {}",
        DamageReason.INVALID_JSON,
        "invalid JSON: Extra data (column 4)",
    ),
    "NUL": (b"\x00\x00", DamageReason.INVALID_JSON, "invalid JSON: Expecting value (column 1)"),
    "a byte order mark": (
        b"\xef\xbb\xbf{}",
        DamageReason.INVALID_JSON,
        "invalid JSON: Unexpected UTF-8 BOM (decode using utf-8-sig) (column 1)",
    ),
    "nested too deeply": (DEEP, DamageReason.INVALID_JSON, "invalid JSON: nested too deeply"),
    "an integer of 5,000 digits": (
        b"9" * 5_000,
        DamageReason.INVALID_JSON,
        (
            "invalid JSON: Exceeds the limit (4300 digits) for integer string conversion: value has "
            "5000 digits; use sys.set_int_max_str_digits() to increase the limit"
        ),
    ),
    "an array": (b"[1]", DamageReason.NOT_AN_OBJECT, "a record is a JSON object, not list"),
    "null": (b"null", DamageReason.NOT_AN_OBJECT, "a record is a JSON object, not NoneType"),
    "NaN": (b"NaN", DamageReason.NOT_AN_OBJECT, "a record is a JSON object, not float"),
    "an empty object": (b"{}", DamageReason.UNKNOWN_RECORD, "unknown record_type=None"),
    "a list of types": (
        b'{"record_type": ["chunk"]}',
        DamageReason.UNKNOWN_RECORD,
        "unknown record_type=['chunk']",
    ),
    "a long type": (
        b'{"record_type": "' + b"x" * 100 + b'"}',
        DamageReason.UNKNOWN_RECORD,
        "unknown record_type='" + "x" * 56 + "...",
    ),
    "a second header": (HEADER[:-1], DamageReason.DUPLICATE_HEADER, "a second header"),
    "an unknown kind": (
        b'{"record_type": "chunk", "kind": "tool", "payload": {}}',
        DamageReason.MALFORMED_CHUNK,
        "unknown chunk kind='tool'",
    ),
    "no kind": (
        b'{"record_type": "chunk", "payload": {}}',
        DamageReason.MALFORMED_CHUNK,
        "unknown chunk kind=None",
    ),
    "a list of kinds": (
        b'{"record_type": "chunk", "kind": ["user"], "payload": {}}',
        DamageReason.MALFORMED_CHUNK,
        "unknown chunk kind=['user']",
    ),
    "a payload that is no object": (
        b'{"record_type": "chunk", "kind": "user", "payload": [1]}',
        DamageReason.MALFORMED_CHUNK,
        "a chunk's payload is a JSON object, not list",
    ),
    "no payload": (
        b'{"record_type": "chunk", "kind": "user"}',
        DamageReason.MALFORMED_CHUNK,
        "a chunk's payload is a JSON object, not NoneType",
    ),
    "a usage that is no object": (
        b'{"record_type": "trailer", "cumulative_usage": [1, 2]}',
        DamageReason.MALFORMED_TRAILER,
        "malformed trailer: cumulative_usage: 'list' object has no attribute 'get'",
    ),
    "a usage in words": (
        b'{"record_type": "trailer", "cumulative_usage": {"prompt_tokens": "many"}}',
        DamageReason.MALFORMED_TRAILER,
        "malformed trailer: cumulative_usage: invalid literal for int() with base 10: 'many'",
    ),
    "a usage without end": (
        b'{"record_type": "trailer", "cumulative_usage": {"total_tokens": 1e999}}',
        DamageReason.MALFORMED_TRAILER,
        "malformed trailer: cumulative_usage: cannot convert float infinity to integer",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("before", [HEADER, HEADER + CHUNK, HEADER + CHUNK + b"\r\n" + CHUNK])
def test_a_damaged_line_is_a_value_with_its_place(name: str, before: bytes) -> None:
    raw, reason, message = DAMAGED[name]

    records = decode(before + raw + b"\n" + CHUNK)

    assert records[-2:] == [
        Damage(
            line=before.count(b"\n") + 1,
            offset=len(before),
            length=len(raw) + 1,
            reason=reason,
            message=message,
            raw=raw,
        ),
        Chunk(kind=ChunkKind.USER, payload={"content": "hi"}, index=0),
    ]


MALFORMED_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "a version in words": (
        {"schema_version": "abc"},
        "schema_version: invalid literal for int() with base 10: 'abc'",
    ),
    "no id": ({"id": None}, "the header: badly formed hexadecimal UUID string"),
    "no time": ({"created_at": None}, "the header: Invalid isoformat string: 'None'"),
    "a spec in words": (
        {"sandbox_spec": "abc"},
        "the header: 'str' object has no attribute 'get'",
    ),
    "extras that are a number": (
        {"lineage_extras": 5},
        "the header: 'int' object is not iterable",
    ),
    "a timeout without end": (
        {"sandbox_spec": {"timeout_seconds": float("inf")}},
        "the header: cannot convert float infinity to integer",
    ),
}


@pytest.mark.parametrize("name", MALFORMED_HEADERS)
def test_a_malformed_header_is_a_value_and_so_is_what_follows(name: str) -> None:
    fields, message = MALFORMED_HEADERS[name]
    line = header_line(**fields)

    assert decode(line + CHUNK + TRAILER) == [
        Damage(
            line=1,
            offset=0,
            length=len(line),
            reason=DamageReason.MALFORMED_HEADER,
            message=f"malformed header: {message}",
            raw=line[:-1],
        ),
        Damage(
            line=2,
            offset=len(line),
            length=len(CHUNK),
            reason=DamageReason.RECORD_BEFORE_HEADER,
            message="chunk before the header",
            raw=CHUNK[:-1],
        ),
        Damage(
            line=3,
            offset=len(line + CHUNK),
            length=len(TRAILER),
            reason=DamageReason.RECORD_BEFORE_HEADER,
            message="trailer before the header",
            raw=TRAILER[:-1],
        ),
    ]


def test_a_header_without_a_key_names_the_key() -> None:
    (damage,) = decode(json_line({"record_type": "header", "schema_version": 1}))

    assert isinstance(damage, Damage)
    assert damage.message == "malformed header: the header: no 'id'"


def test_a_header_after_damage_is_the_header() -> None:
    first, second, third = decode(b"\n" + CHUNK + HEADER + CHUNK)

    assert isinstance(first, Damage)
    assert (first.line, first.offset, first.reason) == (2, 1, DamageReason.RECORD_BEFORE_HEADER)
    assert isinstance(second, Header)
    assert isinstance(third, Chunk)


def test_a_line_that_is_too_long_is_one_damage() -> None:
    batch = RecordDecoder().decode(LongLine(b'{"rec', 100, 7, 5_000, b"f" * 256, b"l" * 256))

    assert batch.records == [
        Damage(
            line=7,
            offset=100,
            length=5_000,
            reason=DamageReason.LINE_TOO_LONG,
            message="line of 5000 bytes, longer than max_line_bytes",
            raw=b'{"rec',
        )
    ]
    assert batch.start == Mark(100, 6, None, b"", b"")
    assert batch.end == Mark(5_100, 7, None, b"f" * 256, b"l" * 256)


# Depths that json still parses and that repr(), a few frames deeper, may not.
ALMOST_TOO_DEEP = range(880, 1_000)


def nested(line: bytes, depth: int) -> bytes:
    return line.replace(b'"DEEP"', b"[" * depth + b"]" * depth)


@pytest.mark.parametrize("key", ["record_type", "schema_version", "id", "created_at"])
def test_a_header_value_nested_almost_too_deeply_raises_nothing(key: str) -> None:
    fields: dict[str, Any] = {key: "DEEP"}

    found = [decode(nested(header_line(**fields), depth)) for depth in ALMOST_TOO_DEEP]

    assert [type(record) for (record,) in found] == [Damage] * len(ALMOST_TOO_DEEP)


@pytest.mark.parametrize("key", ["kind", "index", "payload", "record_type"])
def test_a_chunk_value_nested_almost_too_deeply_raises_nothing(key: str) -> None:
    record: dict[str, Any] = {"record_type": "chunk", "index": 0, "kind": "user", "payload": {}}
    line = json_line(record | {key: "DEEP"})

    found = [decode(HEADER + nested(line, depth) + CHUNK) for depth in ALMOST_TOO_DEEP]

    assert [type(records[-1]) for records in found] == [Chunk] * len(ALMOST_TOO_DEEP)
    assert {type(records[1]) for records in found} <= {Chunk, Damage}


@pytest.mark.parametrize("before", [1, 3], ids=["alone", "among others"])
@pytest.mark.parametrize(
    "value",
    [
        b"[" * 1_000 + b"1" + b", 2]" * 1_000,
        b'{"a": ' * 1_000 + b"1" + b', "b": 2}' * 1_000,
        b'[{"a": ' * 5_000 + b"1" + b', "b": 2}, 3]' * 5_000,
    ],
    ids=["arrays", "objects", "both"],
)
def test_how_deep_a_line_may_be_does_not_depend_on_the_python_that_reads_it(
    value: bytes, before: int
) -> None:
    deep = chunk_line(content="DEEP").replace(b'"DEEP"', value)
    extras = header_line(lineage_extras=[["a", "DEEP"]]).replace(b'"DEEP"', value)

    records = decode(HEADER + CHUNK * before + deep + CHUNK)

    assert [type(record) for record in records] == [Header, *[Chunk] * before, Damage, Chunk]
    assert [type(record) for record in decode(extras)] == [Damage]


def test_a_lineage_kind_nested_almost_too_deeply_is_unknown() -> None:
    line = header_line(lineage_kind="DEEP")

    kinds = {
        record.lineage_kind
        for depth in ALMOST_TOO_DEEP
        for record in decode(nested(line, depth))
        if isinstance(record, Header)
    }

    assert kinds == {LineageKind.UNKNOWN}


# -- the fast path gives what the exact path gives

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


def runs(data: bytes, cuts: set[int]) -> list[str]:
    """Decode in runs out of a buffer that has other bytes before and behind; as blocks if not."""
    decoder, offset, number, found = RecordDecoder(), 0, 1, []
    all_lines = cut(data)
    ends = sorted({*(end for end in cuts if end < len(all_lines)), len(all_lines)})
    for start, end in zip([0, *ends], ends, strict=False):
        part = b"".join(all_lines[start:end])
        buffer = bytearray(b"}\n" + part + OBJECT + b"\n")
        while part:
            run = decode_run(decoder, buffer, 2, 2 + len(part) + HALF)
            if run is None:
                found += decoder.decode(block(part, offset=offset, line=number)).records
                offset, number = offset + len(part), number + part.count(b"\n")
                break
            found += [*filter(None, [run.header]), *run.chunks, *filter(None, [run.trailer])]
            assert run.lines == part[: run.stop - 2].count(b"\n")
            offset, number = offset + run.stop - 2, number + run.lines
            part = part[run.stop - 2 :]
            del buffer[2 : run.stop]
    return [repr(record) for record in found]


def assert_blocks_equal_lines(data: bytes, cuts: set[int]) -> None:
    """Decode in blocks that end after these lines, and line by line; compare."""
    decoder, offset, number = RecordDecoder(), 0, 1
    all_lines = cut(data)
    found = []

    ends = sorted({*(end for end in cuts if end < len(all_lines)), len(all_lines)})
    for start, end in zip([0, *ends], ends, strict=False):
        part = b"".join(all_lines[start:end])
        batch = decoder.decode(block(part, offset=offset, line=number))
        for count, record in enumerate(batch.records, 1):
            found.append((record, count == len(batch.records), *batch.at(count)[:2]))
        offset, number = offset + len(part), number + end - start

    expected = one_by_one(data)
    assert [repr(record) for record, *_ in found] == [repr(record) for record, *_ in expected]
    assert runs(data, cuts) == [repr(record) for record, *_ in expected]
    assert [place for _, last, *place in found if not last] == [
        list(place) for (_, last, *_), (_, *place) in zip(found, expected, strict=True) if not last
    ]


@settings(max_examples=300)
@given(FIRST, LINES, st.sets(st.integers(min_value=1, max_value=7)), st.sampled_from([set(), {1}]))
def test_whole_blocks_give_what_single_lines_give(
    first: bytes, lines: list[bytes], cuts: set[int], behind_the_header: set[int]
) -> None:
    assert_blocks_equal_lines(first + b"\n".join(lines) + b"\n", cuts | behind_the_header)


@pytest.mark.parametrize("line", ODD)
def test_an_odd_line_beside_any_other_is_decided_alone(line: bytes) -> None:
    for other in (OBJECT, *ODD):
        assert_blocks_equal_lines(HEADER + line + b"\n" + other + b"\n", {1})
    for cuts in (set[int](), {1}):  # the header in the same block, and in its own
        assert_blocks_equal_lines(HEADER + line + b"\n", cuts)
        assert_blocks_equal_lines(HEADER + OBJECT + b"\n" + line + b"\n" + TRAILER, cuts)


@pytest.mark.parametrize(
    "lines",
    [
        [OBJECT + OBJECT, OBJECT[:HALF], OBJECT[HALF:]],
        [OBJECT[:HALF], OBJECT[HALF:], OBJECT + OBJECT],
        [OBJECT + OBJECT, b"", OBJECT],
        [b"", OBJECT + OBJECT, OBJECT],
        [OBJECT, b"", OBJECT + OBJECT],
        [OBJECT + OBJECT + OBJECT, OBJECT[:HALF], OBJECT[HALF:], b""],
        [OBJECT[:HALF], OBJECT[HALF:], OBJECT + OBJECT, TRAILER[:-1]],
        [OBJECT + OBJECT, TRAILER[:-1]],
        [OBJECT + b'{"record_type": "chunk"', b'"kind": "user", "payload": {}}'],
    ],
)
def test_two_objects_on_a_line_do_not_make_up_for_one_over_two(lines: list[bytes]) -> None:
    for cuts in (set[int](), {1}):
        assert_blocks_equal_lines(HEADER + b"\n".join(lines) + b"\n", cuts)


def test_a_run_has_a_limited_number_of_lines_and_the_next_goes_on_there() -> None:
    data = HEADER + CHUNK * (MAX_RUN_LINES + 5) + TRAILER
    decoder = RecordDecoder()

    first = decode_run(decoder, data, 0, len(data))
    assert first is not None
    second = decode_run(decoder, data, first.stop, len(data))
    assert second is not None

    assert (len(first.chunks), first.lines, first.trailer) == (2_048, 2_049, None)
    assert (len(second.chunks), second.lines, second.stop) == (5, 6, len(data))
    assert second.trailer is not None


@pytest.mark.parametrize("data", [b"", b"\n", HEADER[:-1], b"\n" + HEADER, CHUNK, TRAILER])
def test_what_does_not_begin_with_the_usual_header_is_no_run(data: bytes) -> None:
    assert decode_run(RecordDecoder(), data, 0, len(data)) is None


USAGE = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "more"]),
        st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=3)),
    ),
    st.integers(),
)


@given(
    st.dictionaries(
        st.sampled_from(["closed_at", "final_chunk_count", "cumulative_usage", "more"]),
        st.one_of(st.integers(), st.text(max_size=3), st.floats(), USAGE),
    ),
    st.sampled_from([b"", b" ", b"\r\n", b"{}", b"\xff"]),
    st.sampled_from([b"", b"null"]),
)
def test_a_usual_trailer_is_what_the_exact_path_says(
    fields: dict[str, Any], behind: bytes, without: bytes
) -> None:
    record = json.loads(trailer_line(1, (1, 2, 3))) | fields
    line = json_line(record)[:-1].replace(without or b'"more"', b'"\xff"') + behind

    usual = usual_trailer(line)

    exact = RecordDecoder(header_version=1).decode_line(line)
    if usual is not None:
        assert isinstance(exact, Trailer)
        assert repr(usual) == repr(msgspec.structs.replace(exact, raw={}))


def test_the_real_writers_trailer_and_header_are_usual() -> None:
    for line in (TRAILER, trailer_line(1, (1, 2, 3))):
        trailer = RecordDecoder(header_version=1).decode_line(line)
        assert isinstance(trailer, Trailer)
        assert usual_trailer(line) == msgspec.structs.replace(trailer, raw={})
    assert usual_header(HEADER) == RecordDecoder().decode_line(HEADER)
    assert usual_header(HEADER.replace(b": ", b":")) is None
    assert usual_trailer(TRAILER.replace(b": ", b":")) is None


@given(FIRST, st.lists(st.binary(max_size=30)))
def test_no_bytes_raise_anything(first: bytes, lines: list[bytes]) -> None:
    data = first + b"".join(line + b"\n" for line in lines)

    records = decode(data) if data else []

    assert len(records) <= data.count(b"\n")


# -- places within a batch


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"".join(chunk_line(i) for i in range(9)), id="chunks"),
        pytest.param(b"".join(chunk_line(i) for i in range(9)) + TRAILER, id="chunks, trailer"),
        pytest.param(b"\n" + CHUNK + b"\r\n\n" + b"[]\n" + CHUNK + b"\n\n", id="odd lines"),
        pytest.param(TRAILER, id="trailer"),
    ],
)
def test_a_batch_knows_the_place_behind_each_record(data: bytes) -> None:
    decoder = RecordDecoder(header_version=1)

    batch = decoder.decode(block(data, offset=1_000, line=50))

    fresh = RecordDecoder(header_version=1)
    behind, offset = [], 1_000
    for number, raw in enumerate(cut(data), 50):
        offset += len(raw)
        if fresh.decode_line(raw) is not None:
            behind.append((offset, number))
    behind[-1] = (1_000 + len(data), 49 + data.count(b"\n"))
    places = [(1_000, 49), *behind]
    order = list(range(len(places)))
    assert [batch.at(count)[:2] for count in order] == places
    assert [batch.at(count)[:2] for count in reversed(order)] == places[::-1]


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2, 3]])
def test_a_place_has_the_ends_of_the_file_before_it_however_the_blocks_are_cut(
    cuts: list[int],
) -> None:
    data = session_bytes(3)
    lines = cut(data)
    decoder, offset = RecordDecoder(), 0

    for start, end in pairwise([0, *cuts, len(lines)]):
        part = b"".join(lines[start:end])
        batch = decoder.decode(block(part, offset=offset, line=start + 1))
        for count in range(len(batch.records) + 1):
            so_far = b"".join(lines[: start + count])
            version = 1 if so_far else None
            assert batch.at(count) == Mark(
                len(so_far), start + count, version, so_far[:256], so_far[-256:]
            )
        offset += len(part)

    assert decoder.mark == batch.end


def test_who_does_not_know_how_many_lines_there_are_says_of_no_damage_which_it_is() -> None:
    start = Mark(1_000, None, 1, b"h" * 256, b"b" * 256)
    decoder = RecordDecoder(start=start)

    batch = decoder.decode(block(CHUNK + b"[]\n", offset=1_000, line=1))

    assert [getattr(record, "line", 0) for record in batch.records] == [0, None]
    assert batch.end == start.behind(
        CHUNK + b"[]\n", CHUNK + b"[]\n", length=len(CHUNK) + 3, lines=2, header_version=1
    )
    assert batch.end.lines is None
