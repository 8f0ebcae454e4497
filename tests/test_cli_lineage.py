"""``sessiontail lineage``: which session descends from which."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chats import Chats, name, rows
from commands import command, run

MISSING = "dddddddd-0000-4000-8000-000000000001"
OTHER = "ddddeeee-0000-4000-8000-000000000001"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """1 <- 2 <- 3, and 3 is a merge with one that is missing; 4 <- 3; 5 alone."""
    chats = Chats(tmp_path)
    for number, parents in {1: [], 2: [1], 3: [2], 4: [3], 5: []}.items():
        named = [*map(name, parents), *[MISSING] * (number == 3), *[OTHER] * (number == 5)]
        chats.write(number, rows((f"q{number}", "a")), parents=named)
    return tmp_path


def found(*arguments: str | Path) -> dict[str, Any]:
    done = run("lineage", *arguments, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def ids(value: dict[str, Any]) -> list[str]:
    return [node["id"] for node in value["nodes"]]


def test_without_an_id_it_is_all_of_the_directory(directory: Path) -> None:
    value = found("--dir", directory)

    assert ids(value) == [*map(name, range(1, 6)), MISSING, OTHER]
    assert (value["schema"], value["focus"], value["descendants"]) == (1, None, None)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], [1, 2, 3, 4]),
        (["--ancestors"], [1, 2]),
        (["--descendants"], [2, 3, 4]),
        (["--ancestors", "--descendants"], [1, 2, 3, 4]),
    ],
)
def test_of_one_it_is_what_was_asked_for(
    directory: Path, options: list[str], shown: list[int]
) -> None:
    value = found(name(2), "--dir", directory, *options)

    assert [one for one in ids(value) if one != MISSING] == [*map(name, shown)]
    assert (MISSING in ids(value)) == (3 in shown)
    assert value["focus"] == name(2)
    assert value["ancestors"] == [name(one) for one in shown if one < 2]
    assert value["descendants"] == [name(one) for one in shown if one > 2]


def test_a_parent_without_a_file_can_be_asked_about(directory: Path) -> None:
    value = found("dddddd", "--dir", directory)

    assert (value["focus"], value["descendants"]) == (MISSING, [name(3), name(4)])


def test_a_session_can_be_given_by_the_path_of_its_file(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()

    value = found(directory / f"{name(2)}.jsonl", "--dir", tmp_path / "elsewhere")

    assert (value["focus"], value["ancestors"]) == (name(2), [name(1)])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["dddd"], 2, "'dddd' begins 2 ids, type more of one; see 'sessiontail lineage --help'"),
        (["feed"], 1, "{}: no session is called 'feed'; `sessiontail ls` lists them"),
        (["--ancestors"], 2, "--ancestors and --descendants are of one session: name it; see 'sessiontail lineage --help'"),
        (["-o", "dott"], 2, "invalid value for '-o' / '--output': 'dott' is not one of 'text', 'json', 'dot', 'mermaid', 'svg'; did you mean 'dot'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(directory: Path, arguments: list[str], code: int, said: str) -> None:
    done = run("lineage", "--dir", directory, *arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"sessiontail: {said.format(directory)}\n"


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_shown(directory: Path) -> None:
    (directory / "notes.jsonl").write_bytes(b"no header\n")

    done = run("lineage", "--dir", directory, "-o", "dot")
    asked = run("lineage", directory / "notes.jsonl")

    assert done.returncode == 0
    assert done.stderr.startswith("sessiontail: 1 file skipped: 1 x ")
    assert done.stdout.count("[label=") == 7
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr.startswith(f"sessiontail: {directory / 'notes.jsonl'}")


@pytest.mark.parametrize("form", ["text", "json", "dot", "mermaid", "svg"])
def test_nothing_is_told_and_no_picture_is_broken(tmp_path: Path, form: str) -> None:
    done = run("lineage", "--dir", tmp_path, "-o", form)

    assert done.returncode == 1
    assert done.stderr == (
        f"sessiontail: no sessions in {tmp_path}; give another directory with --dir\n"
    )
    assert bool(done.stdout) == (form != "text")


def test_each_picture_is_whole(directory: Path) -> None:
    forms = {
        form: run("lineage", "--dir", directory, "-o", form).stdout
        for form in ("dot", "mermaid", "svg")
    }

    assert forms["dot"].startswith("digraph lineage {\n")
    assert forms["dot"].endswith("\n}\n")
    assert forms["mermaid"].startswith("flowchart TD\n")
    assert len(ET.fromstring(forms["svg"]).findall(".//*[@role='img']")) == 7


def test_more_links_than_mermaid_draws_are_told(tmp_path: Path) -> None:
    parents = [name(i) for i in range(2, 503)]
    Chats(tmp_path).write(1, rows(("q", "a")), parents=parents)

    done = run("lineage", "--dir", tmp_path, "-o", "mermaid")

    assert done.returncode == 0
    assert done.stderr == (
        "sessiontail: Mermaid draws 500 links at most, unless told otherwise, and these are 501; "
        "-o svg draws any number\n"
    )


def test_a_cycle_is_told(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    for number, parent in ((1, 2), (2, 1)):
        chats.write(number, rows((f"q{number}", "a")), parents=[name(parent)])

    done = run("lineage", "--dir", tmp_path)

    assert done.returncode == 0
    assert done.stderr == (
        f"sessiontail: a cycle, each descends from itself: {name(1)}, {name(2)}\n"
    )
    assert len(done.stdout.splitlines()) == 3


def test_a_full_disk_is_one_line(directory: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("lineage", "--dir", directory, "-o", "svg"),
            stdout=full, stderr=subprocess.PIPE, timeout=100, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (
        1,
        b"sessiontail: cannot write: No space left on device\n",
    )


def test_its_help_teaches() -> None:
    done = run("lineage", "--help")

    assert done.returncode == 0
    assert "sessiontail lineage 4f2c --ancestors" in done.stdout
    assert "Exit codes: 0 shown, 1 none found, 2 usage." in done.stdout
