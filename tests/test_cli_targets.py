"""What is typed -> the session that is meant, by every name that it may have."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import click
import pytest

from commands import ONE, TWO, closed, crashed, run
from sessiontail import Scan, SessionStore
from sessiontail.cli.targets import Finder, Target, shorten, told_apart
from sessiontail.errors import SessionNotFound


def test_an_id_may_be_shortened_until_it_is_ambiguous(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    closed(tmp_path, TWO, "two")

    exact = run("--dir", tmp_path, "cat", "4f2d", "-k", "user")
    ambiguous = run("cat", "4f2", "--dir", tmp_path)
    wrong = run("cat", "zz", "--dir", tmp_path)
    absent = run("cat", "zz", "--dir", tmp_path / "absent")
    undashed = run("cat", TWO.replace("-", "")[:12], "--dir", tmp_path, "-k", "user")

    assert undashed.stdout == exact.stdout
    assert (exact.stdout, exact.stderr) == ("user        two\n", "")
    assert (ambiguous.returncode, ambiguous.stderr) == (
        2,
        (
            f"sessiontail: '4f2' begins 2 ids, type more of one: {ONE}, {TWO}; "
            "see 'sessiontail cat --help'\n"
        ),
    )
    assert (wrong.returncode, wrong.stderr) == (
        1,
        f"sessiontail: {tmp_path}: no session is called 'zz'; `sessiontail ls` lists them\n",
    )
    assert (absent.returncode, absent.stderr) == (
        1,
        (
            f"sessiontail: {tmp_path}/absent: no such directory; "
            "give the one where sessions lie with --dir\n"
        ),
    )


def test_a_file_that_no_listing_shows_is_found_by_its_id_and_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{ONE}.jsonl"
    path.touch()

    strict = run("cat", "4f2c", "--strict", "--dir", tmp_path)
    tail = run("tail", ONE, "--dir", tmp_path)

    no_header = f"sessiontail: {path}: no header: not a session file\n"
    assert (strict.returncode, strict.stderr) == (3, no_header)
    assert (tail.returncode, tail.stderr) == (1, "sessiontail: nothing to print\n")
    assert run("rm", ONE, "--dir", tmp_path, "--yes").returncode == 0
    assert not path.exists()


@pytest.mark.anyio
async def test_a_session_is_meant_by_its_id_its_begin_its_file_or_its_path(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    final, wal = closed(tmp_path, ONE), crashed(tmp_path, TWO)
    one, two = Target(UUID(ONE), None), Target(UUID(TWO), None)

    assert await Finder(store).find(ONE) == one
    assert await Finder(store).find(ONE.upper()) == one
    assert await Finder(store).find("4F2D") == two
    assert await Finder(store).find(f"{{{TWO}}}") == two
    assert await Finder(store).find(str(final)) == Target(None, final)
    assert await Finder(store).find(str(wal)) == Target(None, wal)


@pytest.mark.anyio
async def test_however_many_are_meant_the_directory_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SessionStore(tmp_path)
    for session_id in (ONE, TWO):
        closed(tmp_path, session_id)
    scans = []
    real = store.scan

    def counted() -> Scan:
        scans.append(real())
        return scans[-1]

    monkeypatch.setattr(store, "scan", counted)

    found, missed = await Finder(store).find_all((ONE, "4f2d", "zz", TWO))

    one, two = Target(UUID(ONE), None), Target(UUID(TWO), None)
    assert (found, missed, len(scans)) == ([one, two, two], 1, 1)


@pytest.mark.anyio
async def test_a_path_that_was_renamed_since_it_was_listed_is_the_same_session(
    tmp_path: Path,
) -> None:
    store = SessionStore(tmp_path)
    final, wal = closed(tmp_path, ONE), crashed(tmp_path, TWO)

    assert await Finder(store).find(f"{final}.__partial__") == Target(None, final)
    assert await Finder(store).find(str(wal).removesuffix(".__partial__")) == Target(None, wal)


@pytest.mark.anyio
async def test_a_copy_is_meant_by_its_name_and_read_by_its_path(tmp_path: Path) -> None:
    copy = tmp_path / "export.jsonl"
    closed(tmp_path, ONE).rename(copy)
    store = SessionStore(tmp_path)

    for text in ("export", "4f2c", ONE):
        assert await Finder(store).find(text) == Target(UUID(ONE), copy)
    closed(tmp_path, ONE)
    assert await Finder(store).find("4f2c") == Target(UUID(ONE), None)


@pytest.mark.anyio
async def test_only_a_whole_id_or_a_path_can_be_waited_for(tmp_path: Path) -> None:
    store, path = SessionStore(tmp_path), tmp_path / "new.jsonl"

    assert await Finder(store).find(ONE, may_be_absent=True) == Target(UUID(ONE), None)
    assert await Finder(store).find(str(path), may_be_absent=True) == Target(None, path)
    with pytest.raises(click.UsageError, match="'4f2c' is no whole id"):
        await Finder(store).find("4f2c", may_be_absent=True)
    closed(tmp_path, ONE)
    assert await Finder(store).find("4f2c", may_be_absent=True) == Target(UUID(ONE), None)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["", "-", "zz", TWO, "./absent", "absent.jsonl"])
async def test_what_nothing_is_called_is_not_found(tmp_path: Path, text: str) -> None:
    closed(tmp_path, ONE)

    with pytest.raises(SessionNotFound):
        await Finder(SessionStore(tmp_path)).find(text)


@pytest.mark.anyio
async def test_of_many_that_are_meant_the_first_eight_are_listed(tmp_path: Path) -> None:
    ids = [f"4f2c0000-0000-4000-8000-0000000000{i}" for i in range(10, 21)]
    for session_id in ids:
        closed(tmp_path, session_id)

    listed = ", ".join(ids[:8])
    with pytest.raises(click.UsageError, match=re.escape(f"{listed} and 3 more")) as caught:
        await Finder(SessionStore(tmp_path)).find("4f2c")
    assert "begins 11 ids" in caught.value.message


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        ([], []),
        (["abcdefghij"], ["abcdefgh"]),
        (["abcdefghij", "abcdefghkl"], ["abcdefghi", "abcdefghk"]),
        (["abcdefgh-1", "abcdefgh-2", "zz"], ["abcdefgh-1", "abcdefgh-2", "zz"]),
        (["aaaaaaaaaa", "aaaaaaaaab", "aaaaaaaabb"], ["aaaaaaaaaa", "aaaaaaaaab", "aaaaaaaab"]),
    ],
)
def test_an_id_is_shortened_to_eight_letters_or_what_no_other_shares(
    ids: list[str], short: list[str]
) -> None:
    assert shorten(set(ids)) == dict(zip(ids, short, strict=True))


def test_sessions_are_called_by_what_no_other_of_the_command_is() -> None:
    twin = UUID(ONE[:-1] + "9")
    alone = told_apart([Target(UUID(ONE), None), Target(None, Path("/tmp/run.jsonl"))])
    both = told_apart([Target(UUID(ONE), None), Target(twin, None)])

    assert [target.name for target in alone] == ["4f2c0000", "run.jsonl"]
    assert [target.name for target in both] == [ONE, str(twin)]
    assert Target(UUID(ONE), None).name == "4f2c0000"
