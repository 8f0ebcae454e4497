from __future__ import annotations

import pytest

from sessiontail import PersistenceError
from sessiontail.format.framing import LineFramer
from sessiontail.relay.entries import Hole, Keys, fields_of, lines_in, named, safe_stem


def entries(
    data: bytes, *, generation: int = 7, first: int = 1, most: int = 100
) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: list[tuple[bytes, dict[bytes, bytes]]] = []
    for item in LineFramer(max_line_bytes=most).feed(data):
        for pair in fields_of(item):
            found.append((f"{generation}-{first + len(found)}".encode(), dict([pair])))
    return found


def test_every_byte_of_whole_lines_comes_back_blank_and_damaged_ones_too() -> None:
    data = b'{"a": 1}\n\n \xff\xfe\0\n' + "\u2028\u0085\n".encode()

    lines = lines_in(entries(data), 7, 1)

    assert lines == [line + b"\n" for line in data.split(b"\n")[:-1]]


def test_a_line_that_is_too_long_is_known_by_its_ends_and_its_length() -> None:
    data = b"short\n" + b"x" * 5000 + b"end\n" + b"after\n"

    [short, hole, after] = lines_in(entries(data, most=1000), 7, 1)

    assert (short, after) == (b"short\n", b"after\n")
    assert isinstance(hole, Hole)
    assert (hole.length, hole.head) == (5004, b"x" * 1000)
    assert hole.tail == (b"x" * 252 + b"end\n")


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([0, 1, 2], [b"a\n", b"b\n", b"c\n"]),
        ([0, 2], [b"a\n"]),
        ([1, 2], []),
        ([0, 0], [b"a\n"]),
    ],
)
def test_lines_end_where_one_is_missing_or_comes_twice(
    taken: list[int], expected: list[bytes]
) -> None:
    all_ = entries(b"a\nb\nc\n")

    assert lines_in([all_[i] for i in taken], 7, 1) == expected


def test_a_line_of_another_generation_is_none_of_these() -> None:
    assert lines_in(entries(b"a\n", generation=8), 7, 1) == []


def test_an_entry_that_holds_a_newline_or_nothing_known_is_not_taken() -> None:
    assert lines_in([(b"7-1", {b"d": b"a\nb"})], 7, 1) == []
    assert lines_in([(b"7-1", {b"other": b"a"})], 7, 1) == []


@pytest.mark.parametrize("name", [b"", b"a/b", b"../x", b"a\0b", b"x" * 238])
def test_a_name_that_leads_out_of_the_directory_is_none(name: bytes) -> None:
    assert safe_stem(name) is None


def test_a_name_that_is_no_utf8_is_a_name() -> None:
    stem = safe_stem(b"caf\xe9")

    assert stem == "caf\udce9"
    assert Keys("p").lines("host", stem) == b"p:host:lines:caf\xe9"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 65, "ü"])
def test_a_name_that_cannot_stand_in_a_key_is_refused(name: str) -> None:
    with pytest.raises(PersistenceError, match="a name is 1 to 64 of A-Z"):
        named("a name", name)
