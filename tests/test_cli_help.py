"""``sessiontail help``: the same as ``--help``."""

from __future__ import annotations

from commands import run, run_apart


def test_help_alone_is_the_help_of_the_whole() -> None:
    asked = run("help")

    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == run("--help").stdout


def test_help_of_a_command_says_how_that_is_called() -> None:
    asked = run("help", "prune")

    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith("Usage: sessiontail prune [OPTIONS]\n")


def test_help_of_no_command_names_the_nearest() -> None:
    asked = run("help", "purne")

    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr == "sessiontail: no such command 'purne'; did you mean 'prune'?\n"


def test_commands_are_completed_in_the_shell() -> None:
    done = run_apart(
        env={
            "_SESSIONTAIL_COMPLETE": "bash_complete",
            "COMP_WORDS": "sessiontail help ta",
            "COMP_CWORD": "2",
        }
    )

    assert (done.stdout, done.stderr) == ("plain,tail\n", "")
