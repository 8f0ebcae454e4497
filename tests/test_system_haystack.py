"""A buffer that is searched: by whatever is there, as ``bytes.find`` does."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from sessiontail.system.files import SessionFile
from sessiontail.system.haystack import Haystack, finds_beside_others

_FINDERS = ["stringzilla", "memmem", "find"]


def only(finder: str, patch: pytest.MonkeyPatch) -> None:
    if finder != "stringzilla":
        patch.setitem(sys.modules, "stringzilla", None)
    if finder == "find":
        patch.setattr(ctypes, "CDLL", lambda _: object())


@pytest.mark.parametrize("finder", _FINDERS)
@given(
    data=st.binary(max_size=60).map(lambda data: bytes(byte % 3 for byte in data)),
    needle=st.binary(min_size=1, max_size=4).map(lambda data: bytes(byte % 3 for byte in data)),
    start=st.integers(0, 40),
    length=st.integers(0, 60),
)
@settings(max_examples=25)
def test_bytes_are_found_where_find_finds_them(
    finder: str, tmp_path: Path, *, data: bytes, needle: bytes, start: int, length: int
) -> None:
    (tmp_path / "file").write_bytes(data)
    start = min(start, len(data))
    end = min(start + length, len(data))
    with pytest.MonkeyPatch.context() as patch:
        only(finder, patch)
        buffer = Haystack(64)

    assert buffer.fill(SessionFile(tmp_path / "file"), 0, 64, fold=False) == len(data)
    assert buffer.find(needle, start, end) == data.find(needle, start, end)


@pytest.mark.parametrize("finder", _FINDERS)
def test_threads_search_at_once_where_the_c_library_does_it(
    finder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(finder, monkeypatch)

    assert finds_beside_others() == (finder == "memmem")


def test_letters_are_folded_for_the_search_and_not_for_who_takes_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ABC\xc3\x89\nDef\n")
    buffer = Haystack(64)
    buffer.fill(SessionFile(tmp_path / "file"), 0, 64, fold=True)

    assert buffer.find(b"abc", 0, 10) == 0
    assert buffer.match(re.compile(rb"\xc3\x89"), 0, 10) == 3
    assert buffer.has(re.compile(rb"de"), 6)
    assert buffer.cut(buffer.line_start(7), buffer.line_end(7)) == b"Def\n"


def test_what_was_read_before_is_not_found_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one two\n")
    file = SessionFile(tmp_path / "file")
    buffer = Haystack(8)
    buffer.fill(file, 0, 8, fold=False)

    assert buffer.fill(file, 4, 100, fold=False) == 4
    assert buffer.cut(0, buffer.line_end(0)) == b"two\n"
    assert buffer.find(b"two\n", 0, buffer.length) == 0
    assert buffer.fill(file, 8, 100, fold=False) == 0
    assert buffer.line_end(0) == 0
