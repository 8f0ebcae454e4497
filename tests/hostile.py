"""Hostile session files, and what must come of each: damage that writers, crashes and disks do."""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

from samples import ID, chunk_line, header_line, json_line, trailer_line
from sessiontail import TokenUsage

__all__ = ["CASES", "Case"]


class Case(NamedTuple):
    """A file, and what a reader must say of it."""

    data: bytes
    #: Whole chunks; None where there is no header, so that nothing can be kept.
    chunks: int | None
    closed: bool = False
    usage: TokenUsage | None = None
    #: Line and reason of every damaged line.
    damage: tuple[tuple[int, str], ...] = ()
    torn_bytes: int = 0
    #: ``chunk_count`` in a listing that does not verify; None: as ``chunks``.
    listed_chunks: int | None = None
    #: Whether a listing has it: it starts with a header.
    listed: bool = True


HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()
SPEC = {
    "image": "py",
    "entrypoint": ["a", "b"],
    "env": {"a": "b"},
    "timeout_seconds": 12.5,
    "working_dir": "/x",
}
DEEP = b"[" * 5_000 + b"]" * 5_000


def _good(data: bytes, *, usage: TokenUsage | None = None) -> Case:
    """A closed session of one chunk, odd but whole."""
    return Case(data, 1, closed=True, usage=usage)


def _header(**fields: Any) -> Case:
    """A header that is odd but taken."""
    return _good(header_line(**fields) + CHUNK + TRAILER)


def _bad_header(line: bytes, reason: str = "malformed-header") -> Case:
    return Case(line + CHUNK, None, damage=((1, reason), (2, "record-before-header")), listed=False)


def _bad_value(**fields: Any) -> Case:
    return _bad_header(header_line(**fields))


def _bad_line(raw: bytes, reason: str) -> Case:
    """A closed session with one chunk behind a damaged line."""
    return Case(HEADER + raw + b"\n" + CHUNK + TRAILER, 1, closed=True, damage=((2, reason),))


def _trailer(**fields: Any) -> bytes:
    return json_line({"record_type": "trailer", "final_chunk_count": 1} | fields)


def _bad_trailer(usage: Any) -> Case:
    line = _trailer(cumulative_usage=usage)
    return Case(HEADER + CHUNK + line, 1, damage=((3, "malformed-trailer"),))


def _content(raw: bytes) -> bytes:
    return CHUNK.replace(b'"hi"', raw)


CASES: dict[str, Case] = {
    "ok": _good(HEADER + CHUNK + trailer_line(1, (10, 5, 15)), usage=TokenUsage(10, 5, 15)),
    # characters that are data
    "u2028_in_payload": _good(HEADER + chunk_line(0, "a\u2028\u2029b") + TRAILER),
    "u0085_in_payload": _good(HEADER + chunk_line(0, "a\u0085b") + TRAILER),
    "u2028_in_header": _header(lineage_operator="a\u2028b"),
    "nul_escape_in_payload": _good(HEADER + chunk_line(0, "\x00") + TRAILER),
    "lone_surrogate_escape": _good(HEADER + _content(b'"\\ud83d"') + TRAILER),
    "lone_surrogate_in_header": _good(HEADER.replace(b"implicit", b"\\ud83d") + CHUNK + TRAILER),
    # numbers
    "nan_in_payload": _good(HEADER + _content(b"NaN") + TRAILER),
    "infinity_in_payload": _good(HEADER + _content(b"-Infinity") + TRAILER),
    "float_too_large_in_payload": _good(HEADER + _content(b"1e400") + TRAILER),
    "float_too_small_in_payload": _good(HEADER + _content(b"1e-99999999") + TRAILER),
    "bigint_in_payload": _good(HEADER + _content(b"1" + b"0" * 400) + TRAILER),
    "integer_of_5000_digits": _bad_line(_content(b"9" * 5_000)[:-1], "invalid-json"),
    # torn and glued
    "empty_file": Case(b"", None, listed=False),
    "only_newlines": Case(b"\n\r\n\n", None, listed=False),
    "only_partial_header": Case(HEADER[:300], None, torn_bytes=300, listed=False),
    "only_nul": Case(b"\x00" * 4_096, None, torn_bytes=4_096, listed=False),
    "header_only": Case(HEADER, 0),
    "header_without_newline": Case(HEADER[:-1], None, torn_bytes=len(HEADER) - 1, listed=False),
    "cut_mid_line": Case(HEADER + CHUNK + CHUNK[:74], 1, torn_bytes=74),
    "cut_mid_utf8": Case(HEADER + CHUNK + chunk_line(1, "é")[:-5], 1, torn_bytes=len(CHUNK) - 5),
    "trailer_without_newline": Case(HEADER + CHUNK + TRAILER[:-1], 1, torn_bytes=len(TRAILER) - 1),
    "nul_tail": Case(HEADER + CHUNK + b"\x00" * 100, 1, torn_bytes=100),
    "nul_line": Case(
        HEADER + CHUNK + b"\x00" * 100 + b"\n" + CHUNK, 2, damage=((3, "invalid-json"),)
    ),
    "glued_after_crash": _bad_line(CHUNK[:60] + HEADER[:-1], "invalid-json"),
    "torn_tail_after_trailer": Case(HEADER + CHUNK + TRAILER + b'{"rec', 1, True, torn_bytes=5),
    # encodings
    "invalid_utf8_midfile": Case(
        HEADER + CHUNK + _content(b'"\xff"') + TRAILER,
        1,
        True,
        damage=((3, "invalid-utf8"),),
    ),
    "invalid_utf8_in_header": _bad_header(HEADER.replace(b"implicit", b"\xff"), "invalid-utf8"),
    "invalid_utf8_in_a_skipped_field": _bad_line(CHUNK[:-2] + b', "more": "\xff"}', "invalid-utf8"),
    "surrogate_in_utf8": _bad_line(_content(b'"\xed\xa0\x80"')[:-1], "invalid-utf8"),
    "byte_order_mark": _bad_header(b"\xef\xbb\xbf" + HEADER, "invalid-json"),
    "utf16": Case(
        "{}\n{}\n".encode("utf-16-le"),
        None,
        damage=((1, "invalid-json"), (2, "invalid-json")),
        torn_bytes=1,
        listed=False,
    ),
    "gzip": Case(
        gzip.compress(HEADER + CHUNK, mtime=0).replace(b"\n", b"\r") + b"\n",
        None,
        damage=((1, "invalid-utf8"),),
        listed=False,
    ),
    # blank lines and white space
    "blank_lines_and_crlf": _good(
        (HEADER + b"\n" + CHUNK + b"  \n" + TRAILER + b"\n").replace(b"\n", b"\r\n")
    ),
    "header_after_blank_lines": _good(b"\n\r\n \n" + HEADER + CHUNK + TRAILER),
    "no_break_space_around": _good(
        HEADER + "\u00a0".encode() + CHUNK[:-1] + "\u00a0\n".encode() + TRAILER
    ),
    # lines that are no records
    "record_is_array": _bad_line(b"[1,2]", "not-an-object"),
    "record_is_number": Case(HEADER + b"42\n", 0, damage=((2, "not-an-object"),)),
    "record_is_null": _bad_line(b"null", "not-an-object"),
    "record_is_text": _bad_line(b'"chunk"', "not-an-object"),
    "record_is_empty": _bad_line(b"{}", "unknown-record"),
    "record_without_type": _bad_line(
        b'{"index": 0, "kind": "user", "payload": {"content": "x"}}', "unknown-record"
    ),
    "unknown_record_type": _bad_line(b'{"record_type": "note"}', "unknown-record"),
    "record_type_list": _bad_line(b'{"record_type": ["chunk"]}', "unknown-record"),
    "record_type_null": _bad_line(b'{"record_type": null}', "unknown-record"),
    "nested_5000_deep": _bad_line(_content(DEEP)[:-1], "invalid-json"),
    "two_objects_on_a_line": _bad_line(CHUNK[:-1] + b" " + CHUNK[:-1], "invalid-json"),
    "object_over_two_lines": Case(
        HEADER + CHUNK.replace(b", ", b",\n", 1) + TRAILER,
        0,
        True,
        damage=((2, "invalid-json"), (3, "invalid-json")),
        listed_chunks=1,
    ),
    # order
    "chunk_before_header": Case(
        CHUNK + HEADER + CHUNK + TRAILER,
        1,
        True,
        damage=((1, "record-before-header"),),
        listed=False,
    ),
    "trailer_before_header": Case(
        TRAILER + HEADER + CHUNK, 1, damage=((1, "record-before-header"),), listed=False
    ),
    "duplicate_header": Case(
        HEADER + CHUNK + HEADER + CHUNK + trailer_line(2),
        2,
        True,
        damage=((3, "duplicate-header"),),
    ),
    "chunk_after_trailer": Case(HEADER + CHUNK + TRAILER + CHUNK, 2, True),
    "two_trailers": Case(
        HEADER + trailer_line(0, (1, 1, 2)) + CHUNK + trailer_line(1, (3, 4, 7)),
        1,
        True,
        TokenUsage(3, 4, 7),
    ),
    "two_trailers_the_last_unknown": Case(
        HEADER + CHUNK + trailer_line(1, (1, 1, 2)) + trailer_line(1), 1, True
    ),
    "header_twice_bad_then_good": Case(
        header_line(id="x") + HEADER + CHUNK, 1, damage=((1, "malformed-header"),), listed=False
    ),
    # headers
    "schema_version_bad_string": _bad_value(schema_version="abc"),
    "schema_version_null": _bad_value(schema_version=None),
    "schema_version_list": _bad_value(schema_version=[]),
    "schema_version_infinite": _bad_header(HEADER.replace(b'n": 1', b'n": 1e999')),
    "schema_version_nan": _bad_value(schema_version=float("nan")),
    "schema_version_text_float": _bad_value(schema_version="1.0"),
    "schema_version_float": _header(schema_version=1.0),
    "schema_version_numeric_string": _header(schema_version="1"),
    "schema_version_true": _header(schema_version=True),
    "schema_version_0": _bad_header(header_line(schema_version=0), "unsupported-version"),
    "schema_version_2": _bad_header(header_line(schema_version=2), "unsupported-version"),
    "schema_version_negative": _bad_header(
        header_line(schema_version=-(10**18)), "unsupported-version"
    ),
    "schema_version_missing": _bad_header(
        HEADER.replace(b'"schema_version": 1, ', b""), "unsupported-version"
    ),
    "created_at_naive": _header(created_at="2026-01-01T00:00:00"),
    "created_at_z": _header(created_at="2026-01-01T00:00:00Z"),
    "created_at_week_date": _header(created_at="2026-W01-4"),
    "created_at_first_moment": _header(created_at="0001-01-01T00:00:00+23:59"),
    "created_at_last_moment": _header(created_at="9999-12-31T23:59:59-23:59"),
    "created_at_null": _bad_value(created_at=None),
    "created_at_number": _bad_value(created_at=1_767_225_600.5),
    "id_not_a_uuid": _bad_value(id="foo"),
    "id_in_braces": _header(id=f"{{{ID}}}"),
    "id_as_urn": _header(id=f"urn:uuid:{ID}"),
    "id_null": _bad_value(id=None),
    "id_missing": _bad_header(HEADER.replace(b'"id"', b'"ID"')),
    "parents_some_bad": _header(parent_session_ids=["zz", str(ID), 5, None, [], {}]),
    "parents_text": _header(parent_session_ids="text"),
    "parents_number": _bad_value(parent_session_ids=5),
    "extras_odd": _header(lineage_extras=[["a"], [1, 2], "ab", None, ["k", [1]]]),
    "extras_number": _bad_value(lineage_extras=5),
    "extras_object": _header(lineage_extras={"a": 1}),
    "extras_5000_deep": _bad_header(
        HEADER.replace(b'extras": []', b'extras": ' + DEEP), "invalid-json"
    ),
    "extras_object_5000_deep": _bad_header(
        HEADER.replace(b'extras": []', b'extras": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
        "invalid-json",
    ),
    "lineage_kind_unknown": _header(lineage_kind="op_new"),
    "lineage_kind_list": _header(lineage_kind=[1]),
    "lineage_operator_number": _header(lineage_operator=5),
    "sandbox_spec_full": _header(sandbox_backend="opensandbox", sandbox_spec=SPEC),
    "sandbox_spec_empty": _header(sandbox_spec={}),
    "sandbox_spec_string": _bad_value(sandbox_spec="abc"),
    "sandbox_spec_list": _bad_value(sandbox_spec=[1]),
    "timeout_infinite": _bad_value(sandbox_spec=SPEC | {"timeout_seconds": float("inf")}),
    "timeout_nan": _bad_value(sandbox_spec=SPEC | {"timeout_seconds": float("nan")}),
    "timeout_of_400_digits": _bad_value(sandbox_spec=SPEC | {"timeout_seconds": 10**400}),
    "timeout_text": _bad_value(sandbox_spec=SPEC | {"timeout_seconds": "soon"}),
    "entrypoint_number": _bad_value(sandbox_spec=SPEC | {"entrypoint": 5}),
    "env_list": _bad_value(sandbox_spec=SPEC | {"env": [1, 2]}),
    "env_list_of_lists": _bad_value(sandbox_spec=SPEC | {"env": [[[1], 2]]}),
    "header_of_1_mb": _header(lineage_operator="x" * 1_000_000),
    "header_keys_twice": _good(HEADER.replace(b'"id"', b'"id": "x", "id"') + CHUNK + TRAILER),
    # chunks
    "duplicate_keys": _good(HEADER + CHUNK.replace(b'"kind"', b'"kind": "tool", "kind"') + TRAILER),
    "unknown_kind": _bad_line(CHUNK.replace(b"user", b"tool")[:-1], "malformed-chunk"),
    "kind_null": _bad_line(CHUNK.replace(b'"user"', b"null")[:-1], "malformed-chunk"),
    "kind_list": _bad_line(CHUNK.replace(b'"user"', b'["user"]')[:-1], "malformed-chunk"),
    "payload_list": _bad_line(CHUNK.replace(b'{"content": "hi"}', b"[1]")[:-1], "malformed-chunk"),
    "payload_null": _bad_line(CHUNK.replace(b'{"content": "hi"}', b"null")[:-1], "malformed-chunk"),
    "payload_missing": _bad_line(CHUNK.replace(b"payload", b"Payload")[:-1], "malformed-chunk"),
    "index_missing_and_text": Case(
        HEADER
        + CHUNK.replace(b'"index": 0, ', b"")
        + CHUNK.replace(b'"index": 0', b'"index": "x"')
        + trailer_line(2),
        2,
        True,
    ),
    "damaged_chunk_in_a_wal": Case(
        HEADER + CHUNK + CHUNK.replace(b"user", b"tool"),
        1,
        damage=((3, "malformed-chunk"),),
        listed_chunks=2,  # counted, not decoded
    ),
    # trailers
    "trailer_count_mismatch": Case(HEADER + CHUNK + trailer_line(5), 1, True, listed_chunks=5),
    "final_chunk_count_text": _good(HEADER + CHUNK + _trailer(final_chunk_count="many")),
    "final_chunk_count_missing": _good(HEADER + CHUNK + json_line({"record_type": "trailer"})),
    "closed_at_null": _good(HEADER + CHUNK + _trailer(closed_at=None)),
    "closed_at_text": _good(HEADER + CHUNK + _trailer(closed_at="today")),
    "trailer_of_1_mb": _good(HEADER + CHUNK + _trailer(note="x" * 1_000_000)),
    "usage_floats_and_nulls": _good(
        HEADER + CHUNK + _trailer(cumulative_usage={"prompt_tokens": None, "total_tokens": 1.7}),
        usage=TokenUsage(0, 0, 1),
    ),
    "usage_digits_in_text": _good(
        HEADER + CHUNK + _trailer(cumulative_usage={"prompt_tokens": "7"}),
        usage=TokenUsage(7, 0, 0),
    ),
    "usage_text": _bad_trailer({"prompt_tokens": "many"}),
    "usage_infinite": _bad_trailer({"prompt_tokens": float("inf")}),
    "usage_nan": _bad_trailer({"prompt_tokens": float("nan")}),
    "usage_nested": _bad_trailer({"prompt_tokens": [1]}),
    "usage_not_an_object": _bad_trailer([1, 2]),
}
