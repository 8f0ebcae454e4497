"""Names with a stamp and a value come back from few entries; a name that is no text does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessiontail.system import packs
from sessiontail.system.cache import Cache
from sessiontail.system.packs import Pack

ENTRIES = {f"{i}.jsonl": (b"stamp", b"%d" % i) for i in range(10)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(packs, "_AT_ONCE", 4)
    path = tmp_path / "cache.sqlite"
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(path))
    return path


def test_what_was_written_is_read_in_few_entries(cache: Path) -> None:
    before = Pack("kind", "/a").read()
    Pack("kind", "/a").write(ENTRIES)

    assert before == {}
    assert Pack("kind", "/a").read() == ENTRIES
    assert Pack("kind", "/b").read() == Pack("other", "/a").read() == {}
    assert set(Cache(cache).read("kind", "/a")) == {"0", "4", "8"}


def test_what_is_written_stands_for_all_that_was_read(cache: Path) -> None:
    Pack("kind", "/a").write(ENTRIES)
    pack = Pack("kind", "/a")
    pack.read()
    few = {"new": (b"1", b"2")}
    pack.write(few)

    assert Pack("kind", "/a").read() == few
    assert set(Cache(cache).read("kind", "/a")) == {"0"}


def test_of_two_that_write_at_once_nothing_is_mixed_up(cache: Path) -> None:
    first, second = Pack("kind", "/a"), Pack("kind", "/a")
    first.write(ENTRIES)
    second.write({name: (b"later", value) for name, (_, value) in [*ENTRIES.items()][:5]})
    found = Pack("kind", "/a").read()

    assert found is not None
    assert {name: value for name, (_, value) in found.items()} == {
        f"{i}.jsonl": b"%d" % i for i in (0, 1, 2, 3, 4, 8, 9)
    }


def test_a_name_that_is_no_text_is_left_out(cache: Path) -> None:
    odd = os.fsdecode(b"\xff")
    Pack("kind", "/a").write({odd: (b"", b""), "\u00e9": (b"1", b"2")})

    assert Pack("kind", "/a").read() == {"\u00e9": (b"1", b"2")}


def test_an_entry_of_another_form_says_nothing(cache: Path) -> None:
    Pack("kind", "/a").write(ENTRIES)
    Cache(cache).write("kind", "/a", {"4": (b"", b"\xc1")})
    found = Pack("kind", "/a").read()

    assert found == {f"{i}.jsonl": ENTRIES[f"{i}.jsonl"] for i in (0, 1, 2, 3, 8, 9)}


def test_without_a_cache_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONTAIL_CACHE", "off")

    assert Pack("kind", "/a").read() is None
