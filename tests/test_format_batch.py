"""A batch knows where it begins, and where each of its records ends."""

from __future__ import annotations

from itertools import pairwise

import pytest

from odd_lines import cut
from samples import chunk_line, header_line, session_bytes, trailer_line
from sessiontail.format import Block, LongLine, RecordDecoder
from sessiontail.format.marks import Mark

HEADER, CHUNK, TRAILER = header_line(), chunk_line(), trailer_line()


def block(data: bytes, *, offset: int = 0, line: int = 1) -> Block:
    return Block.cut(data, offset=offset, line=line)


def place(mark: Mark) -> tuple[int, int | None]:
    return mark.offset, mark.lines


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"".join(chunk_line(i) for i in range(9)), id="chunks"),
        pytest.param(b"".join(chunk_line(i) for i in range(9)) + TRAILER, id="chunks, trailer"),
        pytest.param(b"\n" + CHUNK + b"\r\n\n" + b"[]\n" + CHUNK + b"\n\n", id="odd lines"),
        pytest.param(TRAILER, id="trailer"),
    ],
)
def test_a_batch_knows_the_place_behind_each_record(data: bytes) -> None:
    decoder = RecordDecoder(header_version=1)

    batch = decoder.decode(block(data, offset=1_000, line=50))

    fresh = RecordDecoder(header_version=1)
    behind, offset = [], 1_000
    for number, raw in enumerate(cut(data), 50):
        offset += len(raw)
        if fresh.decode_line(raw) is not None:
            behind.append((offset, number))
    behind[-1] = (1_000 + len(data), 49 + data.count(b"\n"))
    places = [(1_000, 49), *behind]
    order = list(range(len(places)))
    assert [place(batch.at(count)) for count in order] == places
    assert [place(batch.at(count)) for count in reversed(order)] == places[::-1]


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2, 3]])
def test_a_place_has_the_ends_of_the_file_before_it_however_the_blocks_are_cut(
    cuts: list[int],
) -> None:
    data = session_bytes(3)
    lines = cut(data)
    decoder, offset = RecordDecoder(), 0

    for start, end in pairwise([0, *cuts, len(lines)]):
        part = b"".join(lines[start:end])
        batch = decoder.decode(block(part, offset=offset, line=start + 1))
        for count in range(len(batch.records) + 1):
            so_far = b"".join(lines[: start + count])
            version = 1 if so_far else None
            assert batch.at(count) == Mark(
                len(so_far), start + count, version, so_far[:256], so_far[-256:]
            )
        offset += len(part)

    assert decoder.mark == batch.end


def test_damage_before_the_header_lies_in_no_version() -> None:
    data = CHUNK + HEADER + CHUNK

    batch = RecordDecoder().decode(block(data))

    assert [batch.at(count).header_version for count in range(4)] == [None, None, 1, 1]


def test_blank_lines_belong_to_the_record_before_them_only_at_the_end() -> None:
    data = HEADER + b"\n\n" + CHUNK + b"\n\n"

    batch = RecordDecoder().decode(block(data))

    assert len(batch.records) == 2
    assert batch.at(1) == Mark(len(HEADER), 1, 1, HEADER[:256], HEADER[-256:])
    assert batch.at(2) == batch.end == Mark(len(data), 6, 1, data[:256], data[-256:])


def test_a_batch_without_a_record_ends_behind_its_blank_lines() -> None:
    batch = RecordDecoder(start=Mark(9, 1, 1, b"x" * 9, b"x" * 9)).decode(
        block(b"\n\r\n", offset=9, line=2)
    )

    assert (batch.records, batch.start.offset) == ([], 9)
    assert batch.at(0) == batch.end
    assert place(batch.end) == (12, 3)


def test_a_line_that_is_too_long_has_a_place_before_and_behind() -> None:
    long = LongLine(b"x" * 4, 100, 7, 5_000, b"f" * 256, b"l" * 256)

    batch = RecordDecoder(header_version=1).decode(long)

    assert batch.at(0) == batch.start
    assert (*place(batch.start), batch.start.header_version) == (100, 6, 1)
    assert batch.at(1) == batch.end == Mark(5_100, 7, 1, b"f" * 256, b"l" * 256)


def test_who_goes_on_behind_any_record_gets_the_rest() -> None:
    data = HEADER + chunk_line(0) + b"[]\n\n" + chunk_line(1, "é") + TRAILER
    batch = RecordDecoder().decode(block(data))

    for count in range(len(batch.records) + 1):
        place = batch.at(count)
        assert place.lines is not None
        if rest := data[place.offset :]:
            decoder = RecordDecoder(start=place)
            found = decoder.decode(block(rest, offset=place.offset, line=place.lines + 1))
            assert found.records == batch.records[count:]
            assert found.end == batch.end


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_parts_have_all_records_and_follow_each_other(most: int) -> None:
    batch = RecordDecoder().decode(block(HEADER + b"\n" + CHUNK + b"[]\n" + CHUNK + b"\n"))

    parts = [*batch.parts(most)]

    assert [record for part in parts for record in part.records] == batch.records
    assert [at for part in parts for at in part.places] == batch.places
    assert max(len(part.records) for part in parts) == min(most, 4)
    marks = [parts[0].start, *(part.end for part in parts)]
    assert [part.start for part in parts] == marks[:-1]
    assert (marks[0], marks[-1]) == (batch.start, batch.end)


@pytest.mark.parametrize("blank", [b"", b"\n"], ids=["records only", "with a blank line"])
def test_chunks_up_to_a_place_are_left_out_and_the_places_of_the_others_stay(blank: bytes) -> None:
    data = HEADER + blank + chunk_line(0) + b"[]\n" + chunk_line(1) + chunk_line(2) + TRAILER
    batch = RecordDecoder().decode(block(data))
    end = data.index(chunk_line(2))

    kept = batch.without_chunks(end)

    assert kept.records == [record for i, record in enumerate(batch.records) if i not in {1, 3}]
    places = [batch.at(i + 1) for i in (0, 2, 4, 5)]
    assert [kept.at(i + 1) for i in range(4)] == places
    assert batch.before_chunk(end) == 4
    assert batch.before_chunk(0) == 1
    assert batch.before_chunk(len(data)) == len(batch.records)
    first = batch.first(4)
    assert (first.records, first.end) == (batch.records[:4], batch.at(4))
    assert batch.first(0).end == batch.start


def test_a_line_that_is_too_long_is_never_left_out() -> None:
    long = LongLine(b"x" * 4, 100, 7, 5_000, b"f" * 256, b"l" * 256)
    batch = RecordDecoder(header_version=1).decode(long)

    assert batch.before_chunk(0) == 1
    assert len(batch.without_chunks(5_100).records) == 1
