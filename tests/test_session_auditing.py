"""Files -> what is known behind their last whole lines: in one go or several, of any size of line."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail.format.audit_state import AuditState
from sessiontail.format.auditing import AuditFold
from sessiontail.session import auditing
from sessiontail.session.auditing import (
    Folded,
    ToFold,
    answer_of,
    fold_batch,
    fold_source,
    request_of,
)


def fold(path: Path, state: bytes | None = None, **options: int) -> Folded:
    (folded,) = answer_of(fold_batch(request_of([ToFold(str(path), state)], **options)))
    return folded


def state_of(folded: Folded) -> AuditState:
    return AuditState.from_bytes(folded.state)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{ID}.jsonl"


def test_a_file_is_folded_to_its_last_whole_line(path: Path) -> None:
    path.write_bytes(session_bytes(3) + b"torn")

    folded = fold(path)

    status = path.stat()
    assert (folded.file, folded.errno) == (str(path), 0)
    assert folded.status == (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
    assert state_of(folded).mark.offset == len(session_bytes(3))
    assert state_of(folded).tally.rows == 3


@pytest.mark.parametrize("name", [b"\xff\xfe.jsonl", "é\N{SNOWMAN}.jsonl".encode(), b"\xc3.jsonl"])
def test_a_file_whose_name_is_no_utf8_is_folded_among_others(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(session_bytes(2))
    files = [ToFold(str(path)), ToFold(str(tmp_path / "none.jsonl"))]

    one, none = answer_of(fold_batch(request_of(files)))

    assert (one.file, one.errno, state_of(one).tally.rows) == (str(path), 0, 2)
    assert (none.file, none.errno) == (files[1].file, errno.ENOENT)


@pytest.mark.parametrize("size", [200, 700, 1500])
def test_lines_longer_than_a_slice_are_read_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    body = [header_line(), chunk_line(0, "x" * size), chunk_line(1, "é" * size), trailer_line(2)]
    path.write_bytes(b"".join(body) + b'{"torn' + b"x" * 2000)
    whole = state_of(fold(path))

    monkeypatch.setattr(auditing, "_SLICE_BYTES", 512)
    monkeypatch.setattr(auditing, "_buffer", auditing._Buffer())

    assert state_of(fold(path)) == whole
    assert (whole.tally.rows, whole.mark.lines) == (2, 4)


def test_a_line_over_the_maximum_is_one_damage_in_whatever_slices(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = chunk_line(1, "x" * 3000)
    path.write_bytes(header_line() + chunk_line(0) + long + chunk_line(2) + trailer_line(3))
    whole = state_of(fold(path, max_line_bytes=2000))

    monkeypatch.setattr(auditing, "_SLICE_BYTES", 512)
    monkeypatch.setattr(auditing, "_buffer", auditing._Buffer())
    sliced = state_of(fold(path, max_line_bytes=2000))

    assert sliced == whole
    assert [(one.reason, one.line) for one in whole.findings] == [
        ("line-too-long", 3), ("index-gap", 4),
    ]  # fmt: skip
    assert f"{len(long)} bytes" in whole.findings[0].message


def test_what_was_folded_is_not_read_again_if_it_is_there(path: Path) -> None:
    path.write_bytes(session_bytes(3, closed=False))
    first = fold(path)
    with path.open("ab") as file:
        file.write(chunk_line(3) + trailer_line(4))

    again = fold(path, first.state)

    assert state_of(again) == state_of(fold(path))
    assert state_of(again).tally.rows == 4


@pytest.mark.parametrize(
    "other",
    [session_bytes(5, session_id="4f2c0000-0000-4000-8000-000000000009"), session_bytes(1), b""],
)
def test_another_file_under_the_name_is_folded_from_its_start(path: Path, other: bytes) -> None:
    path.write_bytes(session_bytes(3, closed=False))
    first = fold(path)
    path.write_bytes(other)

    assert state_of(fold(path, first.state)) == state_of(fold(path))


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x90", b"\x80"])
def test_a_state_that_is_none_is_not_gone_on_with(path: Path, state: bytes) -> None:
    path.write_bytes(session_bytes(3))

    assert fold(path, state) == fold(path)


@pytest.mark.parametrize("offset", [-5, -(10**6), 10**6])
def test_a_state_of_a_place_that_is_not_there_is_not_gone_on_with(path: Path, offset: int) -> None:
    path.write_bytes(session_bytes(3))
    state = AuditState()
    state.mark = msgspec.structs.replace(state.mark, offset=offset)

    assert fold(path, state.as_bytes()) == fold(path)


def test_a_file_that_is_rewritten_while_it_is_read_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place, and no byte more: what was read may be half of the one, half of the other."""
    one = header_line() + chunk_line(0)
    path.write_bytes(one)
    os.utime(path, (0, 0))
    read = fold_source
    times: list[int] = []

    def and_rewrite(*args: Any, **options: Any) -> AuditFold:
        fold = read(*args, **options)
        if not times:
            path.write_bytes(one[:-10] + b"x" * 10)
        times.append(1)
        return fold

    monkeypatch.setattr(auditing, "fold_source", and_rewrite)

    assert state_of(fold(path)).tally.rows == 0
    assert len(times) == 2


def test_a_part_ends_where_it_is_told(path: Path) -> None:
    path.write_bytes(session_bytes(3))
    until = len(header_line() + chunk_line(0) + chunk_line(1))

    (folded,) = answer_of(fold_batch(request_of([ToFold(str(path), until=until)])))

    assert state_of(folded).tally.rows == 2


def test_a_wal_that_was_closed_meanwhile_is_found_under_its_other_name(path: Path) -> None:
    path.write_bytes(session_bytes(1))

    assert fold(Path(f"{path}.__partial__")).file == str(path)


def test_what_cannot_be_read_is_an_answer_too(path: Path) -> None:
    gone = fold(path)
    path.mkdir()

    assert (gone.state, gone.errno, gone.error) == (b"", 2, "No such file or directory")
    assert (fold(path).errno, fold(path).error) == (22, "not a regular file")
