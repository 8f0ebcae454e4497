"""Records handed over, and the position behind the last of them, without a file."""

from __future__ import annotations

import msgspec
import pytest

from samples import ID, chunk_line, header_line, session_bytes, trailer_line
from sessiontail import Header, Record
from sessiontail.format import Block, RecordDecoder
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START, Position
from sessiontail.session.stream import RecordStream

LINES = [header_line(), chunk_line(0), chunk_line(1, "two"), trailer_line(2)]


def batches(*blocks: bytes) -> list[Batch]:
    """What a reader gives for parts of one file."""
    decoder, offset, line, found = RecordDecoder(), 0, 1, []
    for data in blocks:
        found.append(decoder.decode(Block.cut(data, offset=offset, line=line)))
        offset, line = offset + len(data), line + data.count(b"\n")
    return found


def place(stream: RecordStream) -> tuple[int, int | None]:
    return stream.position.offset, stream.position.lines


def behind(count: int) -> tuple[int, int]:
    return len(b"".join(LINES[:count])), count


def test_before_anything_was_read_it_stands_where_it_was_told_to_begin() -> None:
    after = Position(500, 3, 1, True, b"12345678", b"87654321", ID)
    stream = RecordStream(after)

    assert stream.position == after
    assert (stream.waiting, stream.header, stream.session_id) == (0, None, ID)


def test_the_position_follows_what_is_handed_over_not_what_was_read() -> None:
    (batch,) = batches(b"".join(LINES))
    stream = RecordStream(START)
    stream.put(batch)
    places, taken = [place(stream)], []
    while stream.waiting:
        taken.append(stream.take())
        places.append(place(stream))

    assert taken == batch.records
    assert places == [behind(count) for count in range(5)]


@pytest.mark.parametrize("count", range(5))
def test_the_rest_is_what_was_not_taken_yet(count: int) -> None:
    (batch,) = batches(b"".join(LINES))
    stream = RecordStream(START)
    stream.put(batch)
    taken: list[Record] = [stream.take() for _ in range(count)]

    assert taken + stream.take_rest() == batch.records
    assert (stream.waiting, place(stream)) == (0, behind(4))
    assert (stream.take_rest(), place(stream)) == ([], behind(4))


def test_a_batch_is_handed_over_whole_with_its_places() -> None:
    (batch,) = batches(b"".join(LINES))
    stream = RecordStream(START)
    stream.put(batch)

    assert stream.take_batch() is batch
    assert (stream.waiting, place(stream), stream.session_id) == (0, behind(4), ID)


def test_it_is_the_same_place_wherever_the_file_was_cut_into_batches() -> None:
    (whole,) = batches(b"".join(LINES))
    one, many = RecordStream(START), RecordStream(START)
    one.put(whole)
    for batch in batches(*LINES):
        many.put(batch)
        assert many.take() == one.take()

        assert many.position == one.position


@pytest.mark.parametrize("at_once", [True, False])
def test_header_and_trailer_count_once_they_are_handed_over(*, at_once: bool) -> None:
    (batch,) = batches(b"".join(LINES))
    stream = RecordStream(START)
    stream.put(batch)
    seen = [(stream.header, stream.session_id, stream.position.trailer_seen)]
    if at_once:
        stream.take_rest()
    else:
        for _ in range(3):
            stream.take()
        seen.append((stream.header, stream.session_id, stream.position.trailer_seen))
        stream.take()
    seen.append((stream.header, stream.session_id, stream.position.trailer_seen))
    header = batch.records[0]

    assert isinstance(header, Header)
    middle = [] if at_once else [(header, ID, False)]
    assert seen == [(None, None, False), *middle, (header, ID, True)]


def test_blank_lines_behind_the_last_record_are_behind_the_position() -> None:
    blank = b"\n\r\n"
    (batch,) = batches(header_line() + blank + chunk_line() + blank)
    stream = RecordStream(START)
    stream.put(batch)
    stream.take()
    between = place(stream)
    stream.take()

    assert between == (len(header_line()), 1)
    assert place(stream) == (len(header_line() + blank + chunk_line() + blank), 6)


def test_a_batch_of_blank_lines_moves_the_position_though_none_waits() -> None:
    first, blank = batches(header_line(), b"\n\n\n")
    stream = RecordStream(START)
    stream.put(first)
    stream.take()
    stream.put(blank)

    assert (stream.waiting, place(stream)) == (0, (len(header_line()) + 3, 4))


def test_what_is_dropped_is_forgotten_but_for_the_position_and_the_id() -> None:
    (batch,) = batches(session_bytes(2))
    stream = RecordStream(START)
    stream.put(batch)
    stream.take_rest()
    before = stream.position
    stream.drop()

    assert (stream.header, stream.session_id, stream.waiting) == (None, ID, 0)
    assert stream.position == before
    assert before.trailer_seen


def test_dropping_before_anything_was_read_moves_nothing() -> None:
    stream = RecordStream(START)
    stream.drop()

    assert stream.position == START


def test_the_place_of_a_record_has_no_line_where_reading_began_too_far_from_the_start() -> None:
    (batch,) = batches(b"".join(LINES))
    far = msgspec.structs.replace(batch, start=msgspec.structs.replace(batch.start, lines=None))
    stream = RecordStream(START)
    stream.put(far)
    before = stream.place
    stream.take()
    stream.take()

    assert (before, stream.place) == ((None, None), (None, behind(1)[0]))
