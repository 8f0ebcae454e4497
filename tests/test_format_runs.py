"""Whole lines in a buffer become records where they lie: what the lines are, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from odd_lines import FIRST, HALF, LINES, OBJECT, ODD, TWO_FOR_ONE, one_by_one, parts
from samples import all_of, chunk_line, header_line, trailer_line
from sessiontail import Record
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.marks import BEGIN
from sessiontail.format.runs import MAX_RUN_LINES, Run, decode_run

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()


def records(run: Run) -> list[Record]:
    return [*filter(None, [run.header]), *run.chunks, *filter(None, [run.trailer])]


def whole_run(decoder: RecordDecoder, data: bytes) -> Run:
    run = decode_run(decoder, data, 0, len(data))
    assert run is not None
    return run


def assert_runs_equal_lines(data: bytes, cuts: set[int]) -> None:
    """Decode in runs out of a buffer that has other bytes before and behind; as blocks if not.

    A decoder that takes the same lines as one block is at the same place behind them.
    """
    decoder, offset, number, found = RecordDecoder(), 0, 1, list[Record]()
    for part in parts(data, cuts):
        buffer = bytearray(b"}\n" + part + OBJECT + b"\n")
        while len(buffer) > len(OBJECT) + 3:
            rest = bytes(buffer[2 : -len(OBJECT) - 1])
            other = RecordDecoder(header_version=decoder.header_version, start=decoder.mark)
            run = decode_run(decoder, buffer, 2, 2 + len(rest) + HALF)
            if run is None:
                assert decoder.mark == other.mark
                found += decoder.decode(Block.cut(rest, offset=offset, line=number)).records
                offset, number = offset + len(rest), number + rest.count(b"\n")
                break
            length = run.stop - 2
            assert run.lines == rest[:length].count(b"\n")
            other.decode(Block.cut(rest[:length], offset=offset, line=number))
            assert (decoder.mark, decoder.header_version) == (other.mark, other.header_version)
            found += records(run)
            offset, number = offset + length, number + run.lines
            del buffer[2 : run.stop]

    assert [all_of(record) for record in found] == [
        all_of(record) for record, *_ in one_by_one(data)
    ]


@settings(max_examples=300)
@given(FIRST, LINES, st.sets(st.integers(min_value=1, max_value=7)), st.sampled_from([set(), {1}]))
def test_runs_give_what_single_lines_give(
    first: bytes, lines: list[bytes], cuts: set[int], behind_the_header: set[int]
) -> None:
    assert_runs_equal_lines(first + b"\n".join(lines) + b"\n", cuts | behind_the_header)


@pytest.mark.parametrize("line", ODD)
def test_an_odd_line_beside_any_other_is_decided_alone(line: bytes) -> None:
    for other in (OBJECT, *ODD):
        assert_runs_equal_lines(HEADER + line + b"\n" + other + b"\n", {1})
    for cuts in (set[int](), {1}):  # the header in the same run, and in its own
        assert_runs_equal_lines(HEADER + line + b"\n", cuts)
        assert_runs_equal_lines(HEADER + OBJECT + b"\n" + line + b"\n" + TRAILER, cuts)


@pytest.mark.parametrize("lines", TWO_FOR_ONE)
def test_two_objects_on_a_line_do_not_make_up_for_one_over_two(lines: list[bytes]) -> None:
    for cuts in (set[int](), {1}):
        assert_runs_equal_lines(HEADER + b"\n".join(lines) + b"\n", cuts)


def test_a_run_has_a_limited_number_of_lines_and_the_next_goes_on_there() -> None:
    data = HEADER + CHUNK * (MAX_RUN_LINES + 5) + TRAILER
    decoder = RecordDecoder()

    first = whole_run(decoder, data)
    second = decode_run(decoder, data, first.stop, len(data))
    assert second is not None

    assert (len(first.chunks), first.lines, first.trailer) == (2_048, 2_049, None)
    assert (len(second.chunks), second.lines, second.stop) == (5, 6, len(data))
    assert second.trailer is not None
    assert (decoder.mark.offset, decoder.mark.lines) == (len(data), MAX_RUN_LINES + 7)


def test_a_run_of_just_the_limit_has_its_trailer() -> None:
    data = HEADER + CHUNK * MAX_RUN_LINES + TRAILER

    run = whole_run(RecordDecoder(), data)

    assert (len(run.chunks), run.lines, run.stop) == (2_048, 2_050, len(data))
    assert run.trailer is not None


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (HEADER, 0),
        (HEADER + TRAILER, 0),
        (HEADER + CHUNK, 1),
        (HEADER + CHUNK * 3 + TRAILER, 3),
    ],
    ids=["a header", "no chunk", "no trailer", "all"],
)
def test_a_session_as_the_writer_writes_it_is_one_run(data: bytes, chunks: int) -> None:
    run = whole_run(RecordDecoder(), data)

    assert run.header is not None
    assert len(run.chunks) == chunks
    assert (run.trailer is not None) is data.endswith(TRAILER)
    assert (run.stop, run.lines) == (len(data), data.count(b"\n"))


@pytest.mark.parametrize("tail", [b"x", CHUNK[:-1], TRAILER[:-1], b"{", b"\xc3"])
def test_what_follows_the_last_newline_is_left(tail: bytes) -> None:
    data = HEADER + CHUNK

    run = whole_run(RecordDecoder(), data + tail)

    assert (run.stop, run.lines, run.trailer) == (len(data), 2, None)


@pytest.mark.parametrize("data", [b"", b"x", b"\n", HEADER[:-1], b"\n" + HEADER, CHUNK, TRAILER])
def test_what_does_not_begin_with_the_usual_header_is_no_run(data: bytes) -> None:
    decoder = RecordDecoder()

    assert decode_run(decoder, data, 0, len(data)) is None
    assert (decoder.mark, decoder.header_version) == (BEGIN, None)


@pytest.mark.parametrize("version", [-1, 0, 2])
def test_chunks_behind_a_header_of_another_version_are_no_run(version: int) -> None:
    decoder = RecordDecoder(header_version=version)

    assert decode_run(decoder, CHUNK * 2, 0, len(CHUNK) * 2) is None
    assert decoder.header_version == version
