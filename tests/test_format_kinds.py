"""What records are called where they are chosen by kind."""

from __future__ import annotations

from actors import records_of
from samples import chunk_line, header_line, trailer_line
from sessiontail.format.kinds import KINDS, kind_of


def test_each_record_is_of_one_kind_and_each_kind_is_listed() -> None:
    chunks = [chunk_line(kind=kind) for kind in ("system", "user", "assistant", "tool_result")]
    data = header_line() + b"".join(chunks) + trailer_line() + b"no record\n"

    kinds = [kind_of(record) for record in records_of(data)]

    assert kinds == ["header", "system", "user", "assistant", "tool_result", "trailer", "damage"]
    assert {*kinds} == {*KINDS}
