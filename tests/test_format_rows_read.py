"""What stands for rows, found while a file is folded, is what reading it row by row finds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from chats import FIRST, Chats, name, rows
from samples import chunk_line, header_line, trailer_line
from sessiontail.format.rows_read import RowsKept, RowsRead
from sessiontail.session.auditing import ToFold, answer_of, fold_batch, request_of
from sessiontail.session.kept_rows import KeptRows
from sessiontail.session.rows import FileRows, Looks
from sessiontail.system.stamps import FileId


def folded(path: Path) -> RowsKept | None:
    (one,) = answer_of(fold_batch(request_of([ToFold(str(path))])))
    return msgspec.msgpack.decode(one.rows, type=RowsKept) if one.rows else None


def read(path: Path) -> FileRows:
    """All of its rows, one by one."""
    found = FileRows((str(path),), FileId.of(path.stat()), Looks())
    found.begun()
    while found.digest(len(found._ends)) is not None:
        pass
    return found


LINES = [
    chunk_line(0, "a"), chunk_line(1, "ü", "assistant"), trailer_line(2), b"\n", b" \r\n", b"damaged\n",
    chunk_line(2, "b").replace(b"{", b" {", 1), header_line(),
]  # fmt: skip
HEAD = header_line(parent_session_ids=[name(1)])


@settings(max_examples=100)
@given(lines=st.lists(st.sampled_from(LINES), max_size=7))
def test_rows_of_a_fold_are_rows_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_bytes(HEAD + b"".join(lines) + b"{torn")

    kept, one = folded(path), read(path)

    assert kept is not None
    assert (kept.digests, kept.ends, kept.answers) == (
        bytes(one._digests), one._ends.tolist(), one._answers.tolist(),
    )  # fmt: skip
    assert (kept.id_text, kept.parent_text, kept.finished) == (one.id_text, name(1), one.finished)


def test_a_file_goes_on_behind_what_was_kept(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST), closed=False)
    kept = folded(path)
    assert kept is not None
    restored = KeptRows((str(path),), FileId.of(path.stat()), Looks(number=1))
    restored.restore(kept, path.stat())
    with path.open("ab") as file:
        file.write(chunk_line(6, "more") + trailer_line(7))

    while restored.digest(len(restored._ends)) is not None:
        pass

    assert restored._digests == read(path)._digests
    assert restored.finished


def test_of_what_begins_anew_and_of_a_part_nothing_is_kept(tmp_path: Path) -> None:
    path = Chats(tmp_path).write(1, rows(*FIRST), parents=(), lineage_kind="op_create")

    assert folded(path) is None


def test_behind_the_first_line_that_is_none_nothing_is_taken() -> None:
    found = RowsRead()
    found.add(b"a\n", 2, "user")
    found.finished = True
    found.add(b"b\n", 4, "assistant")

    assert (found.ends.tolist(), found.answers.tolist(), len(found.digests)) == ([2], [], 16)
