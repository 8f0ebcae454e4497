"""Where a reader of a whole directory stands is text, checked before it is taken."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from samples import ID
from sessiontail import CursorInvalid
from sessiontail.format.cursor import START, Position
from sessiontail.format.directory_cursor import NOT_BEGUN, DirectoryPosition
from sessiontail.format.ended import EndedSessions, ended_key

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


STEMS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]))


KEYS = st.binary(min_size=22, max_size=22)


@given(
    st.dictionaries(STEMS, POSITIONS),
    st.dictionaries(STEMS | st.uuids().map(str), KEYS),
    st.dictionaries(STEMS, st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))),
)
def test_a_directory_position_survives_as_text(
    positions: dict[str, Position],
    ended: dict[str, bytes],
    before_end: dict[str, tuple[int, int]],
) -> None:
    done = EndedSessions()
    for stem, key in ended.items():
        done.add(stem, key)
    found = DirectoryPosition.decode(DirectoryPosition(positions, done, before_end).encode())

    assert (found.open, found.before_end) == (positions, before_end)
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


def test_a_directory_cursor_is_no_cursor_of_a_session() -> None:
    with pytest.raises(CursorInvalid):
        Position.decode(DirectoryPosition({}, EndedSessions()).encode())
    with pytest.raises(CursorInvalid):
        DirectoryPosition.decode(POSITION.encode())


@pytest.mark.parametrize("stem", ["../outside", "/etc/passwd", "nul\0"])
def test_a_directory_cursor_names_nothing_outside(stem: str) -> None:
    done = EndedSessions()
    done.add(stem, bytes(22))
    for forged in (
        DirectoryPosition({stem: POSITION}, EndedSessions()),
        DirectoryPosition({}, done),
        DirectoryPosition({}, EndedSessions(), {stem: (1, 9)}),
    ):
        with pytest.raises(CursorInvalid, match="cannot be a session of this directory"):
            DirectoryPosition.decode(forged.encode())


def token_of(*shape: Any, ids: bytes = b"") -> str:
    """A token with any content and a checksum that fits, as a forger makes it."""
    packed = zlib.compress(msgspec.msgpack.encode(shape))
    return sealed(urlsafe_b64encode(packed).rstrip(b"=") + b"." + ids + b".")


def sealed(text: bytes) -> str:
    return f"st3d.{text.decode()}{zlib.crc32(text):08x}"


def test_a_token_is_text_of_letters_digits_and_a_few_signs() -> None:
    done = EndedSessions()
    done.add(str(ID), ended_key(1, 2))
    done.add("named", ended_key(3, 4))
    token = DirectoryPosition({"é漢": POSITION, "s": START}, done, {"t": (3, 900)}).encode()

    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,-_")
    assert DirectoryPosition.decode(f" {token}\n").encode() == token


@given(st.integers(0), st.sampled_from("Aa0-_.,!é"))
def test_a_mistyped_letter_is_found(at: int, letter: str) -> None:
    done = EndedSessions()
    done.add(str(ID), ended_key(1, 2))
    token = DirectoryPosition({"s": POSITION}, done).encode()
    at %= len(token)
    mistyped = token[:at] + letter + token[at + 1 :]

    if mistyped == token:
        return
    with pytest.raises(CursorInvalid):
        DirectoryPosition.check(mistyped)
    with pytest.raises(CursorInvalid):
        DirectoryPosition.decode(mistyped)


def test_a_token_that_was_cut_off_anywhere_is_refused() -> None:
    token = DirectoryPosition({"s": POSITION}, EndedSessions()).encode()

    DirectoryPosition.check(token)
    for end in range(len(token)):
        with pytest.raises(CursorInvalid, match=r"damaged|must begin with 'st3d\.'"):
            DirectoryPosition.check(token[:end])


@pytest.mark.parametrize("token", ["st3d.\udc80", "st3d.\udc80.00000000", "st3d.a.\ud800"])
def test_what_no_text_can_hold_is_damage(token: str) -> None:
    with pytest.raises(CursorInvalid, match="damaged"):
        DirectoryPosition.decode(token)


@pytest.mark.parametrize("token", [None, b"st3d.", 5])
def test_what_is_no_text_is_refused_by_its_type(token: Any) -> None:
    with pytest.raises(CursorInvalid, match=f"a cursor is text, not {type(token).__name__}"):
        DirectoryPosition.decode(token)


@given(st.binary(), st.binary())
def test_no_text_with_a_checksum_that_fits_raises_anything_else(packed: bytes, ids: bytes) -> None:
    parts = (urlsafe_b64encode(zlib.compress(packed)), urlsafe_b64encode(packed))
    for first in parts:
        text = first.rstrip(b"=") + b"." + urlsafe_b64encode(ids + b"x" * 39).rstrip(b"=") + b"."

        with pytest.raises(CursorInvalid):
            DirectoryPosition.decode(sealed(text))


@pytest.mark.parametrize(
    "token",
    [
        token_of({}, {"a": bytes(21)}, {}),
        token_of({}, {"a": bytes(23)}, {}),
        token_of({"a": [-1, 0, None, False, b"", b"", None]}, {}, {}),
        token_of({}, {}, {"a": (-1, 5)}),
        token_of({}, {}, {"a": (1,)}),
        token_of({}, {}),
        token_of([], {}, {}),
        token_of({}, {}, {}, ids=urlsafe_b64encode(bytes(37)).rstrip(b"=")),
        token_of({}, {}, {}, ids=b"A"),
        sealed(b"...."),
        sealed(b""),
        sealed(b"new."),
    ],
)
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(CursorInvalid, match="damaged"):
        DirectoryPosition.decode(token)


def test_the_forgers_own_way_makes_a_token_where_all_is_well() -> None:
    key = ended_key(5, 6)
    token = token_of({"s": START}, {"n": key}, {"b": (1, 2)}, ids=b"")

    found = DirectoryPosition.decode(token)

    assert (found.open, found.ended.names) == ({"s": START}, {"n": key})
    assert found.before_end == {"b": (1, 2)}


@pytest.mark.parametrize(
    "packed",
    [b"\x91" * 100_000, bytes(80 * 1024 * 1024)],
    ids=["nested deeply", "80 MB from 80 KB"],
)
def test_a_token_that_would_exhaust_us_is_refused(packed: bytes) -> None:
    token = sealed(urlsafe_b64encode(zlib.compress(packed)).rstrip(b"=") + b"..")

    with pytest.raises(CursorInvalid, match="damaged"):
        DirectoryPosition.decode(token)


def test_who_has_not_begun_stands_nowhere() -> None:
    assert NOT_BEGUN.startswith("st3d.")
    with pytest.raises(CursorInvalid):
        Position.decode(NOT_BEGUN)
    with pytest.raises(CursorInvalid):
        DirectoryPosition.decode(NOT_BEGUN)
