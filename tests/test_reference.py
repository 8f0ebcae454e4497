"""The real loader of openrath beside ours, wherever its word is the format's."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
import rath.session.persistence
from hypothesis import given, settings, strategies as st
from rath.session.chunk import ChunkKind, ChunkRow, ChunkTable
from rath.session.persistence.loader import load_session as their_load
from rath.session.persistence.writer import SessionWriter
from rath.session.session import Session

from hostile import CASES
from samples import ID, chunk_line, header_line, json_line, trailer_line
from sessiontail import PersistenceError, load_session, persistence

# A line ends at b"\n" only, so that what str.splitlines and universal newlines take for an end is
# data; a file cut inside a character has whole lines before; a trailer before the header is damage.
WANTED_DIFFERENCES = {
    "cut_mid_utf8",
    "u2028_in_payload",
    "u2028_in_header",
    "u0085_in_payload",
    "trailer_before_header",
}
if sys.version_info >= (3, 13):  # whose json goes on to 9,998 levels; what we take does not change
    WANTED_DIFFERENCES |= {"nested_5000_deep", "extras_5000_deep", "extras_object_5000_deep"}


def seen(session: Any) -> dict[str, Any]:
    """What a loaded session says, of either make, in plain values."""
    header, usage = session.header, session.cumulative_usage
    spec, created_at = header.sandbox_spec, header.created_at
    return {
        "chunks": [(row.kind.value, repr(row.payload)) for row in session.chunk_table],
        "closed": session.closed,
        "usage": usage and (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        "trailer": repr(session.trailer_raw),
        "created_at": created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
        "lineage_kind": header.lineage_kind.value,
        "spec": spec
        and tuple(
            getattr(spec, name) for name in ("image", "entrypoint", "env", "timeout", "working_dir")
        ),
        "rest": repr(
            [
                getattr(header, name)
                for name in (
                    "schema_version",
                    "id",
                    "parent_session_ids",
                    "lineage_operator",
                    "lineage_extras",
                    "sandbox_backend",
                    "sandbox_handle_id",
                )
            ]
        ),
    }


def theirs(path: Path) -> dict[str, Any] | None:
    """What openrath's loader says; None where it refuses the file, or fails over it."""
    try:
        return seen(their_load(ID, path=path))
    except Exception:  # noqa: BLE001 - it lets out what it does not foresee
        return None


def ours(path: Path) -> dict[str, Any] | None:
    try:
        return seen(anyio.run(lambda: load_session(path=path)))
    except PersistenceError:
        return None


@pytest.mark.parametrize("name", sorted(set(CASES) - WANTED_DIFFERENCES))
def test_a_hostile_file_is_taken_as_openrath_takes_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(CASES[name].data)

    assert ours(path) == theirs(path)


@pytest.mark.parametrize("name", sorted(WANTED_DIFFERENCES))
def test_a_wanted_difference_is_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(CASES[name].data)

    assert (ours(path) is None) != (theirs(path) is None)


# Strings that str.splitlines leaves whole, as JSON writes them; and without JSON, a bare CR.
BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters=BREAKS))
TAILS = st.text(st.characters(codec="ascii", exclude_characters=BREAKS + "\r\n"), max_size=5).map(
    str.encode
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda values: st.lists(values, max_size=2) | st.dictionaries(TEXT, values, max_size=2),
    max_leaves=4,
)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """A record some of whose fields are odd or missing."""
    return st.fixed_dictionaries({}, optional={n: s | JSON for n, s in fields.items()}).map(
        json_line
    )


def odd_header(fields: dict[str, Any]) -> bytes:
    return header_line(**fields)


KINDS = st.sampled_from(["system", "user", "assistant", "tool_result"])
IDS = st.uuids().map(str)
TIMES = st.datetimes(timezones=st.none() | st.just(UTC)).map(datetime.isoformat)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "created_at": TIMES,
        "parent_session_ids": st.lists(IDS | JSON, max_size=2) | JSON,
        "lineage_operator": TEXT | JSON,
        "lineage_kind": st.sampled_from(["op_fork", "leaf_user"]) | JSON,
        "lineage_extras": st.lists(st.tuples(TEXT, JSON) | JSON, max_size=2) | JSON,
        "sandbox_backend": TEXT | JSON,
        "sandbox_spec": st.fixed_dictionaries(
            {}, optional={"timeout_seconds": st.floats(), "env": JSON, "image": TEXT}
        )
        | JSON,
        "schema_version": st.sampled_from([1, "1", 1.5, True, 0, 2, None]),
    },
).map(odd_header)
COUNT = st.none() | st.integers() | st.floats() | JSON
COUNTS = st.fixed_dictionaries(
    {},
    optional={"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
)
USAGE = record(record_type=st.just("trailer"), cumulative_usage=COUNTS) | st.builds(
    lambda usage: trailer_line(2, usage), st.none() | st.just((1, 2, 3))
)
LINES = st.lists(
    st.builds(chunk_line, st.integers(), JSON, KINDS)
    | st.just(chunk_line())
    | record(record_type=st.just("chunk"), kind=KINDS, payload=JSON, index=JSON)
    | USAGE
    | JSON.map(json_line)
    | st.sampled_from([b"\n", b"\r\n", b" \t\n", b"{\n", b"\xff\n", b"{} {}\n"])
    | st.just(header_line()),
    max_size=4,
)


@settings(max_examples=200)
@given(st.just(header_line()) | HEADERS, LINES, TAILS)
def test_random_files_are_taken_as_openrath_takes_them(
    tmp_path: Path, header: bytes, lines: list[bytes], tail: bytes
) -> None:
    data = header + b"".join(lines) + tail
    path = tmp_path / "s.jsonl"
    path.write_bytes(data)

    assert ours(path) == theirs(path)


def test_samples_are_what_the_real_writer_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    session = Session(chunk_table=ChunkTable(rows=()))
    path = tmp_path / f"{uuid4()}.jsonl"

    with SessionWriter(session, path=path) as writer:
        writer.write_chunk(0, ChunkRow(ChunkKind.USER, {"content": "é\u2028"}))

    header, chunk, trailer = path.read_bytes().split(b"\n")[:-1]
    assert chunk + b"\n" == chunk_line(0, "é\u2028")
    created_at, closed_at = (
        json.loads(line)[key] for line, key in ((header, "created_at"), (trailer, "closed_at"))
    )
    assert header + b"\n" == header_line(
        session.id,
        created_at=created_at,
        lineage_operator=session.lineage_operator,
        lineage_kind=session.lineage_kind.value,
    )
    expected = json.loads(trailer_line(1)) | {"closed_at": closed_at}
    expected["cumulative_usage"] = json.loads(trailer)["cumulative_usage"]
    assert trailer + b"\n" == json_line(expected)


def test_the_drop_in_has_each_of_its_names() -> None:
    theirs = rath.session.persistence.__all__

    assert [name for name in theirs if name not in persistence.__all__] == []
    assert persistence.CURRENT_SCHEMA_VERSION == rath.session.persistence.CURRENT_SCHEMA_VERSION
