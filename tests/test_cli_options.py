"""Words on the command line -> values, and what is no such word in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from commands import ONE, TWO, closed, crashed, run, run_apart
from sessiontail.cli.options import (
    Moment,
    Size,
    Span,
    Window,
    WindowType,
    directory_argument,
)


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


def meant(kind: Any, text: str) -> Any:
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("1.5h", timedelta(minutes=90)),
        (" 3d ", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("0s", timedelta(0)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert meant(Span(), text) == span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T08:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
    ],
)
def test_a_moment_is_a_date_that_is_local_without_an_offset(text: str, moment: datetime) -> None:
    assert meant(Moment(), text) == moment
    assert meant(Moment(), text).tzinfo is UTC


def test_a_moment_is_so_long_ago() -> None:
    before = datetime.now(UTC)
    moment = meant(Moment(), "2h")
    after = datetime.now(UTC)

    assert before <= moment + timedelta(hours=2) <= after


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("500K", 512_000),
        ("1.5k", 1536),
        ("200MB", 200 * 1024**2),
        ("10GiB", 10 * 1024**3),
        ("1T", 1024**4),
    ],
)
def test_a_size_is_bytes_or_powers_of_1024(text: str, size: int) -> None:
    assert meant(Size(), text) == size


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("10", Window(last=10)),
        ("0", Window(last=0)),
        ("+10", Window(first=10)),
        ("+0", Window()),
        ("all", Window()),
        ("9" * 18, Window(last=10**18 - 1)),
    ],
)
def test_a_window_is_the_last_or_from_one_on_or_all(text: str, window: Window) -> None:
    assert meant(WindowType(), text) == window


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Span(), text) for text in ("", "5", "h", "-1h", "1h30m", "1y", "1e9d", "9" * 400 + "w")),
        *((Moment(), text) for text in ("", "soon", "2026-13-01", "999999999w", "999999d", "0001")),
        *((Size(), text) for text in ("", "K", "-1", "1P", "1 K", "0x10", "1e3")),
        *((WindowType(), text) for text in ("", "-1", "+", "1.5", "ALL", "9" * 19, "\u0663")),
    ],
    ids=lambda value: str(value)[:12] if isinstance(value, str) else value.name,
)
def test_what_is_none_is_refused_with_what_to_write(kind: Any, text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"write .*\d"):
        meant(kind, text)


def test_what_is_a_value_already_stays() -> None:
    for kind, value in (
        (Span(), timedelta(1)),
        (Moment(), datetime.now(UTC)),
        (WindowType(), Window(last=3)),
    ):
        assert kind.convert(value, None, None) is value


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
