"""What is kept of each session that is done with is enough to know it again."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from samples import ID, session_bytes
from sessiontail.format import ended
from sessiontail.format.ended import EndedSessions, content_print, ended_key, split_ids
from sessiontail.format.marks import WINDOW_BYTES


def key_of(path: Path) -> bytes:
    """What stands for a file as it is now."""
    data, status = path.read_bytes(), path.stat()
    print_ = content_print(data[:WINDOW_BYTES], data[-WINDOW_BYTES:])
    return ended_key(status.st_size, status.st_mtime_ns, print_)


def read_back(text: bytes) -> dict[str, bytes]:
    """The ids in a cursor's text, part after part: of two for an id the later one holds."""
    parts = (part + b"=" * (-len(part) % 4) for part in text.split(b","))
    return split_ids(b"".join(map(urlsafe_b64decode, parts)))


def test_a_file_that_was_only_touched_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(session_bytes(3))
    key = key_of(path)
    before = path.stat()
    os.utime(path, ns=(1, 1))
    after = path.stat()

    assert EndedSessions.same_stamp(key, before.st_size, before.st_mtime_ns)
    assert not EndedSessions.same_stamp(key, after.st_size, after.st_mtime_ns)
    assert EndedSessions.same_size(key, after.st_size)
    assert EndedSessions.content(key) == EndedSessions.content(key_of(path))


def test_a_file_of_the_same_size_that_says_something_else_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(session_bytes(3))
    other.write_bytes(session_bytes(3, session_id=UUID(int=5)))

    assert EndedSessions.same_size(key_of(path), other.stat().st_size)
    assert EndedSessions.content(key_of(path)) != EndedSessions.content(key_of(other))


@pytest.mark.parametrize("size", [0, 1, 255, 2**32, 2**48 - 1, 2**48 + 5, 2**63 - 1])
def test_a_key_has_one_length_whatever_the_size(size: int) -> None:
    key = ended_key(size, -(10**18))

    assert len(key) == 22
    assert EndedSessions.same_stamp(key, size, -(10**18))
    assert EndedSessions.same_size(key, size)
    for other in (size + 1, size ^ 256):
        assert not EndedSessions.same_stamp(key, other, -(10**18))
        assert not EndedSessions.same_size(key, other)


def test_a_file_that_was_never_read_has_no_content() -> None:
    content = content_print(b"head", b"tail")

    assert EndedSessions.content(ended_key(8, 1)) is None
    assert EndedSessions.content(ended_key(8, 1, content)) == content
    assert EndedSessions.same_stamp(ended_key(8, 1), 8, 1)


def test_where_the_head_ends_counts() -> None:
    assert content_print(b"ab", b"c") != content_print(b"a", b"bc")
    assert content_print(b"", b"1 a") != content_print(b"1 a", b"")


@pytest.mark.parametrize(
    "stem",
    [
        str(ID),
        str(ID).upper(),
        ID.hex,
        f"{{{ID}}}",
        f"{ID}\n",
        f"{ID}x",
        "4f2c0000-0000-4000-8000-00000000000g",
        "٤f2c0000-0000-4000-8000-000000000001",
        "name",
        "",
    ],
)
def test_a_session_comes_back_under_the_very_stem_it_went_by(stem: str) -> None:
    done = EndedSessions()

    done.add(stem, ended_key(1, 2))

    assert (stem in done, done.get(stem), len(done)) == (True, ended_key(1, 2), 1)
    assert {*read_back(done.ids_as_text()), *done.names} == {stem}
    done.discard(stem)
    assert (stem in done, done.get(stem), len(done)) == (False, None, 0)


def test_what_was_never_done_with_may_be_discarded() -> None:
    done = EndedSessions()
    for stem in (str(ID), "name"):
        done.discard(stem)

        assert done.get(stem) is None
    assert (len(done), done.ids_as_text()) == (0, b"")


STEMS = st.sampled_from([*(str(UUID(int=n)) for n in range(6)), "a", "b"])
KEYS = st.integers(0, 3).map(lambda n: ended_key(n, n))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), STEMS, KEYS),
        st.tuples(st.just("add"), STEMS, KEYS),
        st.tuples(st.just("discard"), STEMS, KEYS),
        st.tuples(st.just("update"), STEMS, KEYS),
        st.tuples(st.just("text"), STEMS, KEYS),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(STEPS, st.sampled_from([1, 2, 3, 5000]))
def test_the_text_of_a_moment_says_all_that_is_done_with_then(
    steps: list[tuple[str, str, bytes]], many: int
) -> None:
    done, model = EndedSessions(), dict[str, bytes]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "_MANY_RECENT", many)
        for step, stem, key in steps:
            if step == "add":
                done.add(stem, key)
                model[stem] = key
            elif step == "discard":
                done.discard(stem)
                model.pop(stem, None)
            elif step == "update":
                other = EndedSessions()
                other.add(stem, key)
                done.update(other)
                model[stem] = key
            else:
                assert read_back(done.ids_as_text()) == done.ids

    found = EndedSessions(read_back(done.ids_as_text()), done.names)
    assert {stem: found.get(stem) for stem in (*found.ids, *found.names)} == model
    assert len(done) == len(model)
    assert all(stem in done and done.get(stem) == key for stem, key in model.items())


def test_what_was_made_into_text_is_not_made_again() -> None:
    done = EndedSessions()
    for n in range(1_000):
        done.add(str(UUID(int=n)), ended_key(n, n))
    first = done.ids_as_text()
    done.add(str(UUID(int=1_000)), ended_key(0, 0))

    second = done.ids_as_text()

    assert second.startswith(first + b",")
    assert read_back(second) == done.ids


@pytest.mark.parametrize("cut", [1, 15, 16, 37, 39])
def test_ids_that_are_cut_off_are_refused(cut: int) -> None:
    done = EndedSessions()
    for n in range(2):
        done.add(str(UUID(int=n)), ended_key(n, n))
    data = b"".join(done.ids.values())

    assert split_ids(data) == done.ids
    assert split_ids(b"") == {}
    with pytest.raises(ValueError, match="cut off"):
        split_ids(data[:cut])
