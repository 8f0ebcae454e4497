from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from samples import ID, session_bytes
from sessiontail import CursorInvalid, read_session
from sessiontail.format.cursor import Position
from sessiontail.format.directory_cursor import DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key
from sessiontail.format.marks import WINDOW_BYTES, fingerprint

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


STEMS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]))


KEYS = st.binary(min_size=22, max_size=22)


@given(
    st.dictionaries(STEMS, POSITIONS),
    st.dictionaries(STEMS | st.uuids().map(str), KEYS),
)
def test_a_directory_position_survives_as_text(
    positions: dict[str, Position], ended: dict[str, bytes]
) -> None:
    done = EndedSessions()
    for stem, key in ended.items():
        done.add(stem, key)
    found = DirectoryPosition.decode(DirectoryPosition(positions, done).encode())

    assert found.open == positions
    assert {stem: found.ended.get(stem) for stem in (*found.ended.ids, *found.ended.names)} == ended


def test_a_cursor_goes_with_what_has_ended_since_the_one_before() -> None:
    done = EndedSessions()
    for n in range(3):
        done.add(str(UUID(int=n)), ended_key(n, n))
    first = DirectoryPosition({}, done).encode()
    done.add(str(UUID(int=7)), ended_key(7, 7))
    done.add(str(UUID(int=1)), ended_key(1, 99))
    done.discard(str(UUID(int=2)))
    second = DirectoryPosition({}, done).encode()
    done.add(str(UUID(int=8)), ended_key(8, 8))
    third = DirectoryPosition({}, done).encode()

    assert len(DirectoryPosition.decode(first).ended) == 3
    assert DirectoryPosition.decode(second).ended.ids.keys() == {
        str(UUID(int=n)) for n in (0, 1, 7)
    }
    assert DirectoryPosition.decode(second).ended.get(str(UUID(int=1))) == ended_key(1, 99)
    assert DirectoryPosition.decode(third).ended.ids == done.ids


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


def test_a_directory_cursor_is_no_cursor_of_a_session() -> None:
    with pytest.raises(CursorInvalid):
        Position.decode(DirectoryPosition({}, EndedSessions()).encode())
    with pytest.raises(CursorInvalid):
        DirectoryPosition.decode(POSITION.encode())


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


@pytest.mark.parametrize("stem", ["../outside", "/etc/passwd", "nul\0"])
def test_a_directory_cursor_names_nothing_outside(stem: str) -> None:
    done = EndedSessions()
    done.add(stem, bytes(22))
    for forged in (
        DirectoryPosition({stem: POSITION}, EndedSessions()),
        DirectoryPosition({}, done),
    ):
        with pytest.raises(CursorInvalid, match="cannot be a session of this directory"):
            DirectoryPosition.decode(forged.encode())


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
