"""Lines made clean: what is whole stays byte for byte, and what was done is said of each line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings, strategies as st

from odd_lines import ODD, one_by_one
from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import Chunk, Damage, Header, Mend, MendAction
from sessiontail.format import LineFramer
from sessiontail.format.mending import Mender

HEADER, A, B, TRAILER = header_line(), chunk_line(0, "a"), chunk_line(1, "bä"), trailer_line(2)
OTHER = "4f2d0000-0000-4000-8000-000000000002"
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


class Whole(NamedTuple):
    data: bytes
    mends: list[Mend]
    mender: Mender


def mended(
    data: bytes, *, size: int = 1 << 16, close: bool = False, longest: int = 1 << 20
) -> Whole:
    """Mend all of a file that is read in parts of a size."""
    framer, mender = LineFramer(max_line_bytes=longest), Mender()
    found = []
    for at in range(0, len(data), size):
        found += [mender.take(item) for item in framer.feed(data[at : at + size])]
    tail = None if framer.skipping else data[framer.offset :]
    place = {"line": framer.line, "offset": framer.offset}
    found.append(mender.finish(tail, length=framer.pending, **place))
    if close:
        found.append(mender.close(MOMENT, line=framer.line, offset=len(data)))
    clean = b"".join(one.data for one in found)
    return Whole(clean, [mend for one in found for mend in one.mends], mender)


def said(data: bytes, **options: bool) -> list[tuple[int, int, int, str, str, int, int, int]]:
    return [
        (
            mend.line,
            mend.offset,
            mend.length,
            mend.action.value,
            mend.reason,
            mend.kept_records,
            mend.kept_bytes,
            mend.dropped_bytes,
        )
        for mend in mended(data, **options).mends
    ]


def test_a_clean_file_stays_as_it_is_and_nothing_is_said() -> None:
    data = session_bytes(3)

    done = mended(data)

    assert (done.data, done.mends) == (data, [])
    assert (done.mender.records, done.mender.chunks) == (5, 3)


def test_a_torn_line_goes_and_the_record_glued_to_it_gets_a_line() -> None:
    torn = B[:-20]
    data = HEADER + torn + A + TRAILER

    assert mended(data).data == HEADER + A + TRAILER
    assert said(data) == [
        (2, len(HEADER), len(torn + A), "split", "glued", 1, len(A) - 1, len(torn))
    ]


def test_a_writer_that_came_back_leaves_no_second_header() -> None:
    torn = B[:-20]
    data = HEADER + A + torn + HEADER + B + TRAILER

    done = mended(data)

    assert done.data == HEADER + A + B + TRAILER
    assert done.mends == [
        Mend(
            3,
            len(HEADER + A),
            len(torn + HEADER),
            MendAction.SPLIT,
            "glued",
            f"{len(torn)} bytes that are no record dropped; "
            f"{len(HEADER) - 1} bytes dropped: a second header",
            dropped_bytes=len(torn + HEADER) - 1,
        )
    ]
    assert mended(HEADER + A + HEADER + B).data == HEADER + A + B


def test_a_header_of_another_session_is_told_as_one() -> None:
    data = HEADER + A + header_line(OTHER) + B

    (mend,) = mended(data).mends

    assert mend.message == (
        f"a second header, of another session, {OTHER}: what follows may be that one's"
    )


def test_lines_that_are_no_records_go_each_with_its_reason() -> None:
    lines = [
        b"\n",
        b"\xff\n",
        b"[1]\n",
        b'{"record_type": "note"}\n',
        chunk_line(1, "x", "tool"),
        b'{"record_type": "trailer", "cumulative_usage": 1}\n',
    ]
    data = HEADER + b"".join(lines) + A

    assert mended(data).data == HEADER + A
    assert [
        (line, action, reason, kept, dropped)
        for line, _, _, action, reason, kept, _, dropped in said(data)
    ] == [
        (2, "dropped", "blank", 0, 1),
        (3, "dropped", "invalid-utf8", 0, 2),
        (4, "dropped", "not-an-object", 0, 4),
        (5, "dropped", "unknown-record", 0, 24),
        (6, "dropped", "malformed-chunk", 0, len(lines[4])),
        (7, "dropped", "malformed-trailer", 0, len(lines[5])),
    ]


def test_what_comes_before_the_header_goes() -> None:
    assert mended(A + HEADER + B).data == HEADER + B


def test_a_torn_end_is_cut_and_a_whole_one_gets_its_newline() -> None:
    place = (3, len(HEADER + A))
    torn = b'{"record_type": "chu\xe5'

    assert mended(HEADER + A + torn).data == HEADER + A
    assert said(HEADER + A + torn) == [(*place, len(torn), "cut", "torn-tail", 0, 0, len(torn))]
    assert mended(HEADER + A + B[:-1]).data == HEADER + A + B
    assert said(HEADER + A + B[:-1]) == [
        (*place, len(B) - 1, "ended", "no-newline", 1, len(B) - 1, 0)
    ]
    # Torn, and a header that was written behind it and is not needed.
    assert mended(HEADER + A + torn + HEADER[:-1]).data == HEADER + A
    # Torn, and a record behind it.
    assert mended(HEADER + A + torn + B[:-1]).data == HEADER + A + B
    assert said(HEADER + A + torn + B[:-1]) == [
        (*place, len(torn + B) - 1, "cut", "torn-tail", 1, len(B) - 1, len(torn))
    ]


def test_a_character_that_ends_a_line_to_openrath_is_escaped_and_the_value_stays() -> None:
    odd = chunk_line(0, "a\u2028b\u2029c\u0085d")
    spaced = B.replace(b'"kind"', b'\r "kind"')

    done = mended(HEADER + odd + spaced + "\u2028".encode() + A.rstrip() + b"\x0b\n")

    assert done.data == (
        HEADER
        + odd.decode()
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
        .replace("\u0085", "\\u0085")
        .encode()
        + spaced.replace(b"\r", b" ")
        + A
    )
    assert [mend.reason for mend in done.mends] == ["line-ends"] * 3
    assert len(done.data.decode().splitlines()) == 4
    assert done.mender.chunks == 3


def test_a_carriage_return_before_the_newline_stays() -> None:
    data = (HEADER + A).replace(b"\n", b"\r\n")

    assert (mended(data).data, mended(data).mends) == (data, [])


def test_a_line_that_is_too_long_is_told_and_goes() -> None:
    long = chunk_line(0, "x" * 2000)
    data = HEADER + long + A

    done = mended(data, longest=1000)

    assert done.data == HEADER + A
    assert [(mend.line, mend.reason, mend.dropped_bytes) for mend in done.mends] == [
        (2, "line-too-long", len(long))
    ]
    assert mended(HEADER + A + long[:-1], longest=1000).data == HEADER + A


def test_a_trailer_is_added_where_there_is_none_and_its_tokens_are_unknown() -> None:
    done = mended(HEADER + A + B, close=True)

    assert done.data == HEADER + A + B + (
        b'{"record_type": "trailer", "closed_at": "2026-01-02T00:00:00+00:00", '
        b'"final_chunk_count": 2, "cumulative_usage": null}\n'
    )
    assert said(HEADER + A + B, close=True) == [
        (4, len(HEADER + A + B), 0, "closed", "no-trailer", 0, 0, 0)
    ]
    assert mended(HEADER + A + TRAILER, close=True).data == HEADER + A + TRAILER
    # One that only lacked its newline is the session's own, with its tokens.
    assert mended(HEADER + A + TRAILER[:-1], close=True).data == HEADER + A + TRAILER


def test_a_mend_as_json_has_every_field() -> None:
    (mend,) = mended(HEADER + b"x\n").mends

    assert mend.to_dict() == {
        "schema": 1,
        "line": 2,
        "offset": len(HEADER),
        "length": 2,
        "action": "dropped",
        "reason": "invalid-json",
        "message": "invalid JSON: Expecting value (column 1)",
        "kept_records": 0,
        "kept_bytes": 0,
        "dropped_bytes": 2,
    }


LINE = st.sampled_from(
    [HEADER, A, A, B, TRAILER, header_line(OTHER), chunk_line(3, "\u2028"), b"\n", b"\0", B[:-9]]
    + [odd + b"\n" for odd in ODD if b"\n" not in odd]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A session that was written, cut, gone on with, glued and flipped."""
    data = HEADER + b"".join(draw(st.lists(LINE, max_size=6)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["cut", "flip", "resume", "join"]))
        if what == "cut":
            data = data[:at]
        elif what == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif what == "resume":
            data = data[:at] + HEADER + draw(LINE)
        else:
            end = data.find(b"\n", at)
            data = data[:end] + data[end + 1 :] if end >= 0 else data
    return data


def plain(data: bytes) -> list[tuple[type, bytes]]:
    """Every whole record by the exact path, with its line."""
    found, lines = [], data.split(b"\n")
    for record, _, number in one_by_one(data):
        if not isinstance(record, Damage):
            found.append((type(record), lines[number - 1] + b"\n"))
    return found


def is_within(some: list[bytes], all_: list[bytes]) -> bool:
    rest = iter(all_)
    return all(one in rest for one in some)


@settings(max_examples=150)
@given(damaged(), st.integers(1, 5000))
def test_the_copy_has_every_whole_record_in_order_and_no_damage(data: bytes, size: int) -> None:
    done = mended(data, size=size)

    clean = plain(done.data)
    assert len(clean) == done.data.count(b"\n") == done.mender.records
    assert sum(kind is Chunk for kind, _ in clean) == done.mender.chunks
    assert sum(kind is Header for kind, _ in clean) == (done.mender.header is not None)
    changed = {mend.line for mend in done.mends if mend.action is MendAction.ESCAPED}
    lines = data.split(b"\n")
    kept = [
        line
        for kind, line in plain(data)
        # A header that was glued can come before the one that a reader finds.
        if kind is not Header and not any(lines[number - 1] + b"\n" == line for number in changed)
    ]
    assert done.mender.header is not None or Header not in {kind for kind, _ in plain(data)}
    assert is_within(kept, [line for _, line in clean])
    # Again, there is nothing to do.
    assert mended(done.data)[:2] == (done.data, [])
    # Of each line it is said what became of it, once.
    numbers = [mend.line for mend in done.mends]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_how_it_is_read_changes_nothing(size: int) -> None:
    data = HEADER + A + B[:-20] + HEADER + b"\n[]\n" + B + TRAILER + A[:-1]

    assert mended(data, size=size)[:2] == mended(data)[:2]
    assert mended(data).mender.header is not None
    assert mended(data).mender.header.id == ID  # type: ignore[union-attr] # there is one
