"""A URL -> an object whose bytes are read in ranges."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from sessiontail.system import objects
from sessiontail.system.buckets import Bucket, Listed
from sessiontail.system.objects import BucketObject, ask_for_ends, begun_ahead, opened_ahead

DATA = bytes(range(251)) * 4000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Where the requests begin and end, each in blocks of 64 KiB."""
    spans: list[tuple[int, int]] = []
    read: Callable[..., bytes] = Bucket.read

    def noted(self: Bucket, name: str, listed: Listed, start: int, end: int) -> bytes:
        spans.append((start, end))
        return read(self, name, listed, start, end)

    monkeypatch.setattr(Bucket, "read", noted)
    objects._kept.clear()
    return spans


def put(directory: Path, *names: str, data: bytes = DATA) -> list[str]:
    for name in names:
        (directory / name).write_bytes(data)
    return [f"file://{directory}/{name}" for name in names]


@settings(max_examples=60)
@given(
    reads=st.lists(st.tuples(st.integers(0, len(DATA) + 5), st.integers(0, 300_000)), max_size=8)
)
def test_whatever_is_read_is_what_is_there(tmp_path: Path, reads: list[tuple[int, int]]) -> None:
    (url,) = put(tmp_path, "x")

    with BucketObject(url) as one:
        for offset, size in reads:
            buffer = bytearray(size)
            assert one.read(offset, size) == DATA[offset : offset + size]
            got = one.read_into(memoryview(buffer), offset)
            assert buffer[:got] == DATA[offset : offset + size]
        assert one.size == len(DATA) == one.now().st_size


def test_who_reads_on_is_given_more_each_time(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    (url,) = put(tmp_path, "x")
    one = BucketObject(url)

    for offset in range(0, len(DATA), 1000):
        one.read(offset, 1000)

    assert len(asked) < 6
    assert asked[0] == (0, 65536)
    assert asked[-1][1] == len(DATA)


def test_who_reads_all_asks_for_all_of_a_short_one_at_once(
    tmp_path: Path, asked: list[tuple[int, int]]
) -> None:
    urls = put(tmp_path, *"abc")

    with closing(opened_ahead(urls)) as opened:
        read = [one(url).read(0, len(DATA)) for url, one in zip(urls, opened, strict=True)]

    assert read == [DATA] * 3
    assert asked == [(0, len(DATA))] * 3


def test_both_ends_are_two_requests_and_are_not_asked_for_again(
    tmp_path: Path, asked: list[tuple[int, int]]
) -> None:
    urls = put(tmp_path, *"abc")

    ask_for_ends([*urls, f"file://{tmp_path}/nothing"], 4096)
    assert len(asked) == 6
    for url in urls:
        assert BucketObject(url).read(0, 4096) == DATA[:4096]
        assert BucketObject(url).read(5000, 16384) == DATA[5000:21384]
        assert BucketObject(url).read(len(DATA) - 4096, 4096) == DATA[-4096:]

    assert len(asked) == 6


def test_begins_are_read_ahead_and_what_is_no_object_passes(
    tmp_path: Path, asked: list[tuple[int, int]]
) -> None:
    names = [str(number) for number in range(100)]
    urls = [*put(tmp_path, *names, data=b"12345"), "/no/url"]

    passed = begun_ahead(urls, str)

    assert next(passed) == urls[0]
    assert asked == [(0, 5)] * 64
    assert [*passed] == urls[1:]
    assert len(asked) == 100


def test_what_cannot_be_opened_is_told_when_its_turn_comes(tmp_path: Path) -> None:
    (there,) = put(tmp_path, "x", data=b"12")
    gone = f"file://{tmp_path}/gone"

    with closing(opened_ahead([gone, there])) as opened:
        first, second = opened

    with pytest.raises(FileNotFoundError):
        first(gone)
    assert second(there).read(0, 9) == b"12"


def test_an_empty_one_has_nothing_to_read(tmp_path: Path) -> None:
    (url,) = put(tmp_path, "x", data=b"")

    assert (BucketObject(url).size, BucketObject(url).read(0, 10)) == (0, b"")
    with pytest.raises(OSError, match="before the begin") as caught:
        BucketObject(url).read(-1, 2)
    assert caught.value.errno == errno.EINVAL
