"""Options that several commands have mean the same in each, and ids are completed."""

from __future__ import annotations

from pathlib import Path

import click

from commands import ONE, TWO, closed, crashed, run, run_apart
from sessiontail.cli.options import directory_argument


def test_ids_are_completed_in_the_shell(tmp_path: Path) -> None:
    closed(tmp_path, ONE)
    crashed(tmp_path, TWO)

    done = run_apart(
        env={
            "_SESSIONTAIL_COMPLETE": "bash_complete",
            "COMP_WORDS": f"sessiontail cat --dir {tmp_path} 4f2d",
            "COMP_CWORD": "4",
        }
    )

    assert (done.stdout, done.stderr) == (f"plain,{TWO}\n", "")


def test_completion_of_a_directory_that_is_absent_is_empty_and_silent(tmp_path: Path) -> None:
    done = run_apart(
        env={
            "_SESSIONTAIL_COMPLETE": "bash_complete",
            "COMP_WORDS": f"sessiontail tail --dir {tmp_path}/absent ''",
            "COMP_CWORD": "4",
        }
    )

    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_root_is_as_good_as_the_sessions_directory_and_that_is_told(tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    directory.mkdir()
    closed(directory, ONE, "one")
    told = f"sessiontail: --dir {tmp_path}: the sessions lie in {directory}\n"
    asked = ("cat", ONE, "-k", "user")

    below, before = run(*asked, "--dir", tmp_path), run("--dir", tmp_path, *asked)
    itself = run(*asked, "--dir", f"{directory}/")

    assert (below.stdout, below.stderr) == ("user        one\n", told)
    assert (before.stdout, before.stderr) == ("user        one\n", told)
    assert (itself.stdout, itself.stderr) == ("user        one\n", "")


def test_ids_are_completed_below_the_root_and_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    closed(tmp_path / "sessions", ONE)

    done = run_apart(
        env={
            "_SESSIONTAIL_COMPLETE": "bash_complete",
            "COMP_WORDS": f"sessiontail cat --dir {tmp_path} 4f2c",
            "COMP_CWORD": "4",
        }
    )

    assert (done.stdout, done.stderr) == (f"plain,{ONE}\n", "")


def test_json_is_the_form_for_programs(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    pairs = [
        (("ls", "--dir", tmp_path), "json"),
        (("prune", "--dir", tmp_path, "--older-than", "1d", "--dry-run"), "json"),
        (("rm", ONE, "--dir", tmp_path), "json"),
        (("cat", ONE, "--dir", tmp_path), "json"),
        (("tail", ONE, "--dir", tmp_path), "jsonl"),
    ]

    for command, form in pairs:
        asked, alias = run(*command, "-o", form), run(*command, "--json")
        assert asked.stdout.startswith(("[", "{"))
        assert (alias.stdout, alias.returncode) == (asked.stdout, asked.returncode)


def test_the_directory_of_the_command_goes_before_the_one_in_front_of_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory, session_id in ((one, ONE), (two, TWO)):
        directory.mkdir()
        closed(directory, session_id)

    inner = run("--dir", one, "cat", "4f2", "--dir", two, "-k", "header")
    outer = run("--dir", one, "cat", "4f2", "-k", "header")

    assert TWO in inner.stdout
    assert ONE in outer.stdout


def test_a_directory_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "absent")

    for path in (closed(tmp_path, ONE), link):
        done = run("--dir", path, "ls")
        assert done.returncode == 2
        assert f"{path} is no directory" in done.stderr


def test_a_directory_is_named_without_an_option_and_a_url_stays(tmp_path: Path) -> None:
    @click.command
    @directory_argument
    def command(where: str | None) -> str | None:
        return where

    def named(*words: str) -> object:
        return command.main(list(words), standalone_mode=False)

    (tmp_path / "sessions").mkdir()
    assert named(str(tmp_path)) == str(tmp_path / "sessions")
    assert named("s3://bucket/sessions") == "s3://bucket/sessions"
    assert named() is None
