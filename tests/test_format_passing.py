"""Lines that are passed over: none of them matches, none says how a session ended, none is lost."""

from __future__ import annotations

import json
import time

from hypothesis import example, given, settings, strategies as st

from samples import chunk_line, header_line, trailer_line
from searched_files import Speller
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import Block
from sessiontail.format.matching import hits_in
from sessiontail.format.passing import Passed, Passing
from sessiontail.format.patterns import text_pattern
from sessiontail.format.records import Chunk, Damage, Record, Trailer

_ALPHABET = 'aAkK\u212asS\u017fiI\u0130\u0131éÉ/"\\\n\t😀会u06zfFx '
_texts = st.text(_ALPHABET, max_size=16)


@st.composite
def _lines(draw: st.DrawFn) -> tuple[list[bytes], str]:
    """Lines behind a header: chunks and trailers in any spelling, damage, blank ones; and a text."""
    texts = draw(st.lists(_texts, min_size=1, max_size=6))
    speller = Speller(draw(st.integers(0, 2**32)), draw(st.sampled_from((0, 15, 60))))
    lines = []
    for text in texts:
        said = speller.text(text)
        chunk = f'{{"record_type": "chunk", "kind": "user", "payload": {{"content": {said}}}}}\n'
        lines.append(
            draw(
                st.sampled_from(
                    (
                        chunk.encode("utf-8", "surrogatepass"),
                        chunk_line(text=text),
                        f"not JSON {said}\n".encode(),
                        b"\xff\xc3" + json.dumps(text).encode() + b"\n",
                        b"\n",
                        trailer_line().replace(b'"trailer"', speller.text("trailer").encode()),
                    )
                )
            )
        )
    text = draw(st.sampled_from((*texts, "xff", "\\xc3", "user")))
    start = draw(st.integers(0, max(0, len(text) - 1)))
    piece = text[start : start + draw(st.integers(1, 5))]
    return lines, draw(st.sampled_from((piece, piece.upper(), piece.lower()))) or "aa"


def decoded(data: bytes, offset: int, line: int) -> list[tuple[Record, int]]:
    decoder = RecordDecoder()
    decoder.decode(Block.cut(header_line()))
    batch = decoder.decode(Block.cut(data, offset=offset, line=line))
    return [(record, place[1]) for record, place in zip(batch.records, batch.places, strict=True)]


@settings(max_examples=150, deadline=None)
@given(_lines())
@example(([b"\xff\n", chunk_line(), chunk_line(), chunk_line(), chunk_line()], "xf"))
@example(([chunk_line(text="s"), *[chunk_line(text="no")] * 4], "\u017f"))
def test_what_is_passed_over_matches_not_and_is_no_trailer(case: tuple[list[bytes], str]) -> None:
    lines, text = case
    pattern = text_pattern(text, literal=True, ignore_case=True, clock=time.monotonic)
    if pattern.needles is None:
        return
    block = Block.cut(b"".join(lines), offset=1000, line=7)
    parts = [*Passing(pattern.needles).parts(block)]
    whole = [part.block if isinstance(part, Passed) else part for part in parts]
    passed = [
        record
        for part in parts
        if isinstance(part, Passed)
        for record, _ in decoded(part.block.data, part.block.offset, part.block.line)
    ]

    assert b"".join(part.data for part in whole) == block.data
    assert [
        line for part in whole for line in decoded(part.data, part.offset, part.line)
    ] == decoded(block.data, 1000, 7)
    assert [end + part.offset for part in whole for end in part.ends] == [
        end + 1000 for end in block.ends
    ]
    assert [one for one in passed if isinstance(one, Trailer)] == []
    searched = [one for one in passed if isinstance(one, (Chunk, Damage))]
    assert [one for one in searched if any(True for _ in hits_in(one, pattern))] == []


def test_of_many_lines_a_few_are_left_and_a_place_behind_the_others_is_the_same() -> None:
    texts = ["needle" if i in {3, 4, 40} else f"text {i}" for i in range(50)]
    data = b"".join(chunk_line(i, text) for i, text in enumerate(texts))
    pattern = text_pattern("NEEDLE", literal=True, ignore_case=True, clock=time.monotonic)
    assert pattern.needles is not None
    parts = [*Passing(pattern.needles).parts(Block.cut(data))]
    plain, passing = RecordDecoder(header_version=1), RecordDecoder(header_version=1)
    plain.decode(Block.cut(data))
    for part in parts:
        if isinstance(part, Passed):
            assert passing.pass_over(part.block).records == []
        else:
            passing.decode(part)

    runs = [
        (part.block.lines, "passed") if isinstance(part, Passed) else (part.lines, "left")
        for part in parts
    ]
    assert runs == [(3, "passed"), (2, "left"), (35, "passed"), (1, "left"), (9, "passed")]
    assert passing.mark == plain.mark
