"""One line is a record, or there is a reason why it is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from samples import ID, chunk_line, header_line, json_line, trailer_line
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
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.parsing import (
    UNTAKEABLE,
    Refused,
    as_trailer,
    pairs_of,
    sandbox_spec_of,
    take_record,
    time_of,
)

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()
DEEP = b"[" * 5_000 + b"]" * 5_000


def decode(data: bytes) -> list[Record]:
    return RecordDecoder().decode(Block.cut(data)).records


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


# -- the exact path itself


@pytest.mark.parametrize("version", [None, 0, 1])
@pytest.mark.parametrize("raw", [b"", b"\n", b" \t\r\n", "\u00a0\u2028\n".encode()])
def test_a_blank_line_is_nothing_and_changes_nothing(raw: bytes, version: int | None) -> None:
    assert take_record(raw, version) == (None, version)


@pytest.mark.parametrize("newline", [b"\n", b"", b"\r\n"])
def test_a_line_is_the_same_with_and_without_its_newline(newline: bytes) -> None:
    for line, before in ((HEADER, None), (CHUNK, 1), (TRAILER, 1)):
        record, version = take_record(line[:-1] + newline, before)

        assert (record, version) == take_record(line, before)
        assert record is not None
        assert version == 1


@pytest.mark.parametrize("name", DAMAGED)
def test_a_refused_line_says_why(name: str) -> None:
    raw, reason, message = DAMAGED[name]

    with pytest.raises(Refused) as caught:
        take_record(raw, 1)

    assert (caught.value.reason, caught.value.message) == (reason, message)
    assert f"{caught.value}" == message


@pytest.mark.parametrize("raw", [TRAILER, TRAILER[:-1], b' {"record_type": "trailer"} \r\n'])
def test_a_trailer_is_taken_for_one_without_a_header(raw: bytes) -> None:
    assert as_trailer(raw) == take_record(raw, 1)[0]


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", HEADER, CHUNK, b"null", b"[1]", b"{}", *(raw for raw, *_ in DAMAGED.values())],
)
def test_what_is_no_trailer_is_none(raw: bytes) -> None:
    assert as_trailer(raw) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, ()),
        ([], ()),
        ("text", ()),
        ([["a", 1], ["a", None]], (("a", 1), ("a", None))),
        ([["a"], ["a", 1, 2], [1, "a"], ("a", 1), "ab", None, {"a": 1}, ["b", [2]]], (("b", [2]),)),
    ],
)
def test_what_is_no_pair_is_left_out(raw: Any, expected: tuple[tuple[str, Any], ...]) -> None:
    assert pairs_of(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T12:00:00.5Z", datetime(2026, 1, 1, 12, 0, 0, 500_000, UTC)),
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_767_225_600, None),
        (["2026-01-01"], None),
    ],
)
def test_a_time_is_aware_or_unknown(raw: Any, expected: datetime | None) -> None:
    found = time_of(raw)

    assert found == expected
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    "raw",
    [
        "text",
        [1],
        5,
        {"entrypoint": 5},
        {"env": 5},
        {"env": ["abc"]},
        {"timeout_seconds": "soon"},
        {"timeout_seconds": []},
        {"timeout_seconds": 1e300},
        {"timeout_seconds": float("nan")},
    ],
)
def test_an_odd_sandbox_raises_what_its_callers_expect(raw: Any) -> None:
    assert sandbox_spec_of(None) is None

    with pytest.raises(UNTAKEABLE):
        sandbox_spec_of(raw)


# Any line of JSON, and any other.
ANY = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["record_type", "kind", "payload", "id", "created_at", "index"]),
                inner
                | st.sampled_from(["header", "chunk", "trailer", "user", str(ID), "2026-01-01"]),
                max_size=6,
            )
        ),
    ).map(json_line),
)


@given(ANY, st.sampled_from([None, 1]))
def test_any_line_is_a_record_or_blank_or_refused_and_nothing_else_is_raised(
    raw: bytes, version: int | None
) -> None:
    try:
        record, behind = take_record(raw, version)
    except Refused:
        return
    assert isinstance(record, (Header, Chunk, Trailer, NoneType))
    assert behind == (1 if isinstance(record, Header) else version)
