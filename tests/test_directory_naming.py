"""Which sessions are called so: by an id, a beginning of one, a file's name; and which nearly are."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from commands import ONE, TWO, closed, crashed
from samples import session_bytes
from sessiontail import SessionStore
from sessiontail.directory.naming import SessionNames, named_after_it, shorten, whole_id

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # nothing here waits in a way of its own


async def names_in(directory: Path) -> SessionNames:
    return SessionNames(await SessionStore(directory).scan().rest())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4f2c", [ONE]),
        ("4F2C0000-00", [ONE]),
        ("4f2c000000", [ONE]),
        ("4f2", [ONE, TWO]),
        (ONE, [ONE]),
        (ONE.replace("-", ""), [ONE]),
        ("renamed", [TWO]),
        ("", []),
        ("-", []),
        ("4f2e", []),
        ("00000000-0000-4000-8000-000000000000", []),
    ],
)
async def test_a_session_is_found_by_what_it_is_called(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    closed(tmp_path, ONE, "a")
    closed(tmp_path, TWO, "a").rename(tmp_path / "renamed.jsonl")

    called = (await names_in(tmp_path)).called(text)

    assert sorted(map(str, called)) == found


async def test_of_several_files_of_a_session_the_one_that_is_named_after_it_is_meant(
    tmp_path: Path,
) -> None:
    (tmp_path / "a-copy.jsonl").write_bytes(session_bytes(1))
    (tmp_path / f"{ONE}.jsonl").write_bytes(session_bytes(1))
    (tmp_path / "z-copy.jsonl").write_bytes(session_bytes(1))

    (meta,) = (await names_in(tmp_path)).called("4f2c").values()

    assert (meta.path.name, named_after_it(meta)) == (f"{ONE}.jsonl", True)


async def test_the_nearest_ids_are_those_that_look_like_it(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "a")
    crashed(tmp_path, TWO)
    names = await names_in(tmp_path)

    assert sorted(map(str, names.nearest("4f2e", 3))) == [ONE, TWO]
    assert names.nearest(ONE.replace("1", "3"), 1) == [UUID(ONE)]
    assert names.nearest("beef", 3) == []


def test_a_whole_id_is_told_from_the_beginning_of_one() -> None:
    assert whole_id(ONE) == UUID(ONE)
    assert whole_id("4f2c") is None


def test_ids_are_shortened_to_what_tells_them_apart() -> None:
    assert shorten([ONE, TWO]) == {ONE: "4f2c0000", TWO: "4f2d0000"}
    near = ONE[:-1] + "2"
    assert shorten({ONE, near}) == {ONE: ONE, near: near}
