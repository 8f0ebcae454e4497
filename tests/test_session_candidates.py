"""Which lines of a file can match: none is lost between two buffers, and few others come."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from samples import chunk_line, header_line
from sessiontail.format.needles import needles_of_literal
from sessiontail.session.candidates import Candidates
from sessiontail.system.files import SessionFile
from sessiontail.system.haystack import Haystack


def candidates(
    path: Path,
    word: str,
    *,
    room: int = 4096,
    max_line_bytes: int = 10_000,
    ignore_case: bool = False,
) -> Candidates:
    needles = needles_of_literal(word, ignore_case=ignore_case)
    assert needles is not None
    file = SessionFile(path)
    size = path.stat().st_size
    return Candidates(file, size, needles, Haystack(room), max_line_bytes=max_line_bytes)


def found(made: Candidates) -> list[tuple[int, int, bytes]]:
    return [one for one in made.behind_the_first() if not isinstance(one, int)]


_LINES = st.lists(
    st.sampled_from((b"needle", b"x\\u006eeedle", b"need", b"le", b"\\u00e9", b"")).flatmap(
        lambda word: st.integers(0, 40).map(lambda n: b"." * n + word + b"\n")
    ),
    max_size=30,
)


@given(lines=_LINES, room=st.integers(340, 420), torn=st.booleans())
@settings(max_examples=60)
def test_each_line_with_a_needle_comes_once_with_its_place(
    tmp_path: Path, *, lines: list[bytes], room: int, torn: bool
) -> None:
    path = tmp_path / "x.jsonl"
    head = header_line()
    assert len(head) < 340
    path.write_bytes(head + b"".join(lines) + b"needle" * torn)

    offset, expected = len(head), []
    for line in lines:
        if b"needle" in line or b"\\u006e" in line:
            expected.append((offset, offset + len(line), line))
        offset += len(line)

    assert found(candidates(path, "needle", room=room)) == expected


def test_it_says_how_much_was_searched(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    data = header_line() + chunk_line(0, "x" * 900) + chunk_line(1)
    path.write_bytes(data)

    told = [one for one in candidates(path, "needle", room=512).behind_the_first() if isinstance(one, int)]  # fmt: skip

    assert sum(told) + len(header_line()) >= len(data) > sum(told) - len(header_line())


def test_a_line_longer_than_the_buffer_may_match_and_one_over_the_maximum_may_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.jsonl"
    head, long, longer = header_line(), chunk_line(0, "x" * 900), chunk_line(1, "x" * 2000)
    path.write_bytes(head + long + longer + chunk_line(2, "needle") + longer[:-1])
    made = candidates(path, "needle", room=512, max_line_bytes=1500)

    assert [raw for _, _, raw in found(made)] == [long, chunk_line(2, "needle")]
    assert made.too_long == 1


def test_a_file_that_is_cut_meanwhile_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(header_line() + chunk_line(0, "needle") * 9)
    made = candidates(path, "needle", room=512)
    stream = made.behind_the_first()
    next(stream)
    with path.open("r+b") as file:
        file.truncate(100)

    assert all(isinstance(one, (int, tuple)) for one in stream)


@pytest.mark.parametrize(
    ("line", "reliable"),
    [
        (header_line(), True),
        (header_line(schema_version=0), False),
        (header_line().replace(b'"id"', b'"schema_version": 0, "id"'), False),
        (header_line(lineage_operator='"'), False),
        (header_line().replace(b": ", b":"), False),
        (chunk_line(0), False),
        (b"\n", False),
    ],
)
def test_whether_bytes_can_be_trusted_is_told_by_the_first_line(
    tmp_path: Path, line: bytes, *, reliable: bool
) -> None:
    (tmp_path / "x.jsonl").write_bytes(line)

    assert candidates(tmp_path / "x.jsonl", "needle").reliable == reliable
