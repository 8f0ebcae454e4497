"""Where a reader of one session stands is text that fits its own file only."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from samples import ID, session_bytes
from sessiontail import CursorInvalid, read_session
from sessiontail.format.cursor import START, Position
from sessiontail.format.marks import WINDOW_BYTES, Mark, fingerprint

POSITION = Position(600, 4, 1, False, b"12345678", b"abcdefgh", ID)

POSITIONS = st.builds(
    Position,
    st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | st.integers(-5, 5),
    st.booleans(),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=8, max_size=8),
    st.none() | st.uuids(),
)


@given(POSITIONS)
def test_a_position_survives_as_text(position: Position) -> None:
    token = position.encode()

    assert Position.decode(token) == position
    assert Position.decode(f" {token}\n") == position
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")


@given(st.text() | st.text().map("st1.".__add__) | st.binary().map(lambda raw: f"st1.{raw.hex()}"))
def test_no_text_is_mistaken_for_a_cursor(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Position.decode(text)


@given(st.integers(0, 200), st.sampled_from("Aa0-_.!é"))
def test_a_mistyped_letter_is_found(at: int, letter: str) -> None:
    token = POSITION.encode()
    at %= len(token)
    mistyped = token[:at] + letter + token[at + 1 :]

    try:
        position = Position.decode(mistyped)
    except CursorInvalid:
        return
    assert position == POSITION


def test_a_cursor_that_was_cut_off_says_so() -> None:
    with pytest.raises(CursorInvalid) as caught:
        Position.decode(POSITION.encode()[:-4])

    assert str(caught.value) == "the cursor is damaged: perhaps cut off when it was copied"


@pytest.mark.parametrize("prefix", ["st2.", "st1d.", "x"])
def test_a_cursor_of_another_kind_or_version_is_refused(prefix: str) -> None:
    token = prefix + POSITION.encode().removeprefix("st1.")

    with pytest.raises(CursorInvalid, match=r"must begin with 'st1\.', not"):
        Position.decode(token)


@pytest.mark.parametrize(
    "field",
    [
        {"offset": -1},
        {"lines": -1},
        {"offset": 2**63},
        {"head": "text"},
        {"header_version": -(10**12)},
    ],
)
def test_a_forged_cursor_is_refused_before_a_file_is_read(field: dict[str, Any]) -> None:
    forged = msgspec.structs.replace(POSITION, **field)

    with pytest.raises(CursorInvalid, match="damaged"):
        Position.decode(forged.encode())


@pytest.mark.parametrize(
    "packed",
    [b"\x91" * 100_000, bytes(80 * 1024 * 1024)],
    ids=["nested deeply", "80 MB from 80 KB"],
)
def test_a_token_that_would_exhaust_us_is_refused(packed: bytes) -> None:
    token = "st1." + urlsafe_b64encode(zlib.compress(packed)).decode()

    with pytest.raises(CursorInvalid, match="damaged"):
        Position.decode(token)


def test_a_position_fits_its_own_bytes_only() -> None:
    data = session_bytes(3)
    head, tail = data[:WINDOW_BYTES], data[-WINDOW_BYTES:]
    position = Position(len(data), 5, 1, True, fingerprint(head), fingerprint(tail))

    position.verify(head, tail)
    for other_head, other_tail in (
        (head[:-1], tail),
        (head, tail[:-1]),
        (head, b""),
        (b"X" + head[1:], tail),
        (head, b"X" + tail[1:]),
    ):
        with pytest.raises(CursorInvalid, match=f"taken at byte {len(data)} of another"):
            position.verify(other_head, other_tail)


def test_a_position_in_the_middle_of_a_line_is_refused() -> None:
    data = session_bytes(3)[:-5]
    head, tail = data[:WINDOW_BYTES], data[-WINDOW_BYTES:]
    position = Position(len(data), 5, 1, True, fingerprint(head), fingerprint(tail))

    with pytest.raises(CursorInvalid, match=f"in the middle of a line, at {len(data)}"):
        position.verify(head, tail)


def test_a_position_at_a_mark_fits_the_bytes_that_the_mark_has() -> None:
    data = session_bytes(9)
    mark = Mark(len(data), 11, 1, data[:WINDOW_BYTES], data[-WINDOW_BYTES:])

    position = Position.at(mark, trailer_seen=True, session_id=ID)

    position.verify(mark.head, mark.before)
    assert position == Position(
        len(data), 11, 1, True, fingerprint(mark.head), fingerprint(mark.before), ID
    )


def test_the_start_fits_every_file() -> None:
    assert Position.decode(START.encode()) == START
    START.verify(b"", b"")
    with pytest.raises(CursorInvalid, match="at byte 0 of another"):
        START.verify(b"x", b"")


@pytest.mark.parametrize("token", [None, b"st1.", 5, POSITION])
def test_what_is_no_text_is_refused_by_its_type(token: Any) -> None:
    with pytest.raises(CursorInvalid, match=f"a cursor is text, not {type(token).__name__}"):
        Position.decode(token)


@pytest.mark.anyio
async def test_the_cursor_behind_each_record_gives_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(session_bytes(3) + b"\n[]\n" + b"torn")
    cursors = []

    async with read_session(path=path) as reader:
        cursors.append(reader.cursor)
        records = []
        async for record in reader:
            records.append(record)
            cursors.append(reader.cursor)

    assert len(records) == 6
    moved = tmp_path / "copy.jsonl"
    path.rename(moved)
    for count, cursor in enumerate(cursors):
        assert [r async for r in read_session(path=moved, after=cursor)] == records[count:]


@pytest.mark.anyio
async def test_the_cursor_of_another_file_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "s.jsonl", tmp_path / "other.jsonl"
    path.write_bytes(session_bytes(3))
    other.write_bytes(session_bytes(3, lineage_operator="else-how"))
    async with read_session(path=path) as reader:
        async for _ in reader:
            pass

    with pytest.raises(CursorInvalid) as caught:
        await anext(read_session(path=other, after=reader.cursor))

    assert caught.value.path == other
