"""A session -> the whole conversation that led to it, printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chats import FIRST, Chats, name, rows
from commands import json_lines, run


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    chats = Chats(tmp_path)
    for i in range(3):
        chats.write(i + 1, rows(*FIRST[: i + 1]))
    return chats


def said(directory: Path, *arguments: str) -> list[str]:
    done = run("cat", "--dir", directory, "--conversation", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


ALL = [
    "user hello", "assistant Hi.", "user more", "assistant Yes.", "user and", "assistant No.",
]  # fmt: skip


def test_all_that_led_to_a_session_is_printed_once(chats: Chats) -> None:
    assert said(chats.directory, name(3), "-k", "user", "-k", "assistant") == ALL
    headers = [line for line in said(chats.directory, name(3)) if line.startswith("header")]
    assert [line.split()[1] for line in headers] == [name(1), name(2), name(3)]


@pytest.mark.parametrize(("window", "shown"), [("2", ALL[4:]), ("+5", ALL[4:]), ("all", ALL)])
def test_a_part_of_it_is_printed(chats: Chats, window: str, shown: list[str]) -> None:
    assert said(chats.directory, name(3), "-k", "user", "-k", "assistant", "-n", window) == shown


def test_a_path_is_a_session_of_its_directory(chats: Chats, tmp_path: Path) -> None:
    path = str(chats.directory / f"{name(3)}.jsonl")

    assert said(tmp_path / "elsewhere", path, "-k", "user") == ALL[::2]


def test_objects_say_whose_they_are(chats: Chats) -> None:
    done = run(
        "cat", "--dir", chats.directory, "--conversation", name(2), "-o", "jsonl", "-k", "user"
    )

    assert [one["session_id"] for one in json_lines(done)] == [name(1), name(2)]


def test_a_model_gets_it_as_messages(chats: Chats) -> None:
    done = run("cat", "--dir", chats.directory, "--conversation", name(3), "-o", "messages")

    assert [one["content"] for one in json.loads(done.stdout)] == [line.split()[1] for line in ALL]


@pytest.mark.parametrize(
    "other",
    [(name(1),), ("--strict",), ("--inherited",), ("-o", "raw")],
    ids=lambda given: given[0],
)
def test_what_it_cannot_be_with_is_refused(chats: Chats, other: tuple[str, ...]) -> None:
    done = run("cat", "--dir", chats.directory, "--conversation", name(3), *other)

    assert done.returncode == 2
    assert "--conversation needs one ID" in done.stderr


def test_a_file_without_a_header_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"damaged\n")

    done = run("cat", "--conversation", tmp_path / "a.jsonl")

    assert (done.returncode, done.stdout) == (2, "")
    assert "does not begin with a header" in done.stderr


def test_where_nothing_matches_it_says_so(chats: Chats) -> None:
    done = run("cat", "--dir", chats.directory, "--conversation", name(3), "-g", "nowhere")

    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing to print" in done.stderr
