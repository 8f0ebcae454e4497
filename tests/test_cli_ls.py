"""``sessiontail ls``: the table and its columns, filters, and what is no session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import (
    ONE,
    TORN,
    TWO,
    at_terminal,
    closed,
    crashed,
    json_lines,
    run,
    run_apart,
)
from sessiontail.directory import remembered
from sessiontail.session import known
from sessiontail.system import stamps


def test_a_narrow_terminal_gets_what_tells_sessions_apart(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    _, wide = at_terminal("ls", "--dir", tmp_path)
    _, narrow = at_terminal("ls", "--dir", tmp_path, env={"COLUMNS": "30"})

    for word in (b"closed", b"STATE", b"ID", b"4f2c0000"):
        assert word in wide
        assert word in narrow
    assert b"CHUNKS" in wide
    assert b"CHUNKS" not in narrow


def test_ls_shows_unknown_tokens_as_unknown_and_counts_what_it_skipped(tmp_path: Path) -> None:
    one, two = closed(tmp_path, ONE, "one"), crashed(tmp_path, TWO)
    (tmp_path / "notes.jsonl").write_bytes(b"")

    done = run_apart("ls", "--dir", tmp_path, "--sort", "id", env={"TZ": "UTC"})
    listed = run("ls", "--dir", tmp_path, "--sort", "id", "-o", "jsonl")

    rows = [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [[row[0], *row[2:]] for row in rows] == [
        ["STATE", "CHUNKS", "SIZE", "TOKENS", "ID", "FROM", "LINEAGE", "TITLE"],
        ["closed", "1", str(one.stat().st_size) + " B", "?", "4f2c0000", "run/op_create", "one"],
        [
            "abandoned",
            "1",
            str(two.stat().st_size) + " B",
            "?",
            "4f2d0000",
            "run/op_create",
            "before",
        ],
    ]
    assert done.stderr == (
        "sessiontail: 1 file skipped: 1 x no header: not a session file (notes.jsonl)\n"
    )
    assert [
        (one["id"], one["cumulative_usage"], one["torn_bytes"]) for one in json_lines(listed)
    ] == [
        (ONE, None, 0),
        (TWO, None, len(TORN)),
    ]


def test_ls_filters_by_state_and_time_and_says_when_nothing_fits(tmp_path: Path) -> None:
    closed(tmp_path, ONE)
    crashed(tmp_path, TWO)

    def ids(*options: str) -> list[object]:
        return [
            one["id"] for one in json_lines(run("ls", "--dir", tmp_path, "-o", "jsonl", *options))
        ]

    assert ids("--state", "abandoned") == [TWO]
    assert ids("--until", "2026-01-01") == []
    assert ids("--since", "2026-01-01", "--sort", "id", "-r") == [TWO, ONE]
    assert ids("--sort", "size", "-n", "1") == [TWO]
    nothing = run("ls", "--dir", tmp_path, "--since", "1s")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (
        1,
        "",
        f"sessiontail: none of the 2 sessions in {tmp_path} fits\n",
    )


def test_verifying_finds_damage_and_tells_by_exit_code(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")
    whole = run("ls", "--dir", tmp_path, "--verify")
    path.write_bytes(path.read_bytes().replace(b'"index": 0', b'"index: 0'))

    done = run("ls", "--dir", tmp_path, "--verify", "-o", "jsonl")

    assert whole.returncode == 0
    assert done.returncode == 1
    assert json_lines(done)[0]["damaged_lines"] == 1


def test_ls_without_the_cache_keeps_nothing_and_lists_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_MUCH", 1)
    monkeypatch.setattr(stamps, "SETTLED_S", 0)
    cache, sessions = tmp_path / "cache.sqlite", tmp_path / "sessions"
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(cache))
    sessions.mkdir()
    for id_ in (ONE, TWO):
        closed(sessions, id_, "hello")

    said = []
    for options in (["--no-cache"], ["--verify"], [], []):
        known.forget()
        listed = json_lines(run("ls", "--dir", sessions, "-o", "jsonl", *options))
        said.append((listed, cache.exists()))

    assert [there for _, there in said] == [False, False, True, True]
    assert said[0][0] == said[2][0] == said[3][0]


def test_a_cache_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_MUCH", 1)
    monkeypatch.setattr(stamps, "SETTLED_S", 0)
    cache, sessions = tmp_path / "cache", tmp_path / "sessions"
    cache.mkdir()
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(cache))
    sessions.mkdir()
    closed(sessions, ONE, "hello")
    known.forget()
    done = run("ls", "--dir", sessions, "-o", "jsonl")

    assert [one["id"] for one in json_lines(done)] == [str(ONE)]
    assert done.returncode == 0
    assert done.stderr == (
        f"sessiontail: going without the cache {cache}: no regular file; name another, "
        "or set SESSIONTAIL_CACHE=off\n"
    )
