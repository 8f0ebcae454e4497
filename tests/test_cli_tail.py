"""``sessiontail tail`` beside writers: following, interrupting, resuming by a cursor."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from commands import (
    ONE,
    TORN,
    TWO,
    chunk,
    closed,
    crashed,
    end,
    header,
    read_until,
    run,
    start,
    trailer,
)
from sessiontail.format.cursor import Position
from writers import real_writer


def test_the_last_records_of_a_session_are_its_last_lines(tmp_path: Path) -> None:
    closed(tmp_path, ONE, *map(str, range(100)))

    done = run("tail", "4f2c", "--dir", tmp_path, "-n", "3")

    assert done.stdout == (
        "user        98\nuser        99\n"
        "trailer     closed 2026-01-02 00:01:00Z  100 chunks  tokens unknown\n"
    )


def test_a_live_session_is_followed_until_it_is_closed(live: Path) -> None:
    tail = start("tail", "4f2c", "--dir", live.parent, "-n", "1", "--until-end")
    first = read_until(tail, b"\n")
    real_writer()("write", text="second")
    second = read_until(tail, b"\n")
    real_writer()("close")

    code, rest, notes = end(tail)

    assert (first, second) == (b"user        first\n", b"user        second\n")
    assert rest.startswith(b"trailer     closed ")
    assert (code, notes) == (0, b"sessiontail: 4f2c0000 closed\n")


def test_until_end_fails_for_a_session_that_was_not_closed(tmp_path: Path) -> None:
    crashed(tmp_path, TWO)

    done = run("tail", TWO, "--dir", tmp_path, "-n", "1", "--until-end")

    assert (done.returncode, done.stdout) == (1, "user        before\n")
    assert done.stderr == (
        f"sessiontail: 4f2d0000 abandoned, {len(TORN)} bytes after its last whole line\n"
    )


def test_interrupted_and_resumed_by_its_cursor_file_it_prints_everything_once(live: Path) -> None:
    at = live.parent / "at"
    arguments = ("tail", "-f", ONE, "--dir", live.parent, "-o", "raw", "--cursor-file", at)
    writer = real_writer()
    begun = start(*arguments, "-n", "all")
    got = read_until(begun, b'"first"}}\n')
    writer("write", text="second")
    got += read_until(begun, b'"second"}}\n')

    begun.send_signal(signal.SIGINT)
    interrupted = end(begun)
    writer("write", text="third")
    resumed = start(*arguments)
    got += read_until(resumed, b'"third"}}\n')
    writer("close")
    code, rest, _ = end(resumed)

    assert interrupted == (130, b"", b"")
    assert code == 0
    assert got + rest == live.with_name(f"{ONE}.jsonl").read_bytes()
    assert sorted(path.name for path in live.parent.iterdir()) == sorted([f"{ONE}.jsonl", "at"])


def test_a_cursor_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    closed(tmp_path, TWO, "two")
    at = tmp_path / "at"
    run("tail", ONE, "--dir", tmp_path, "--cursor-file", at)

    done = run("tail", TWO, "--dir", tmp_path, "--cursor-file", at)
    damaged = run("tail", TWO, "--dir", tmp_path, "--cursor", "st1.nonsense")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"sessiontail: {at}: ")
    assert done.stderr.endswith("start without it; or delete that file\n")
    assert damaged.returncode == 2
    assert damaged.stderr == (
        "sessiontail: the cursor is damaged: perhaps cut off when it was copied\n"
    )


def test_a_cursor_that_is_shown_goes_on_behind_what_was_printed(tmp_path: Path) -> None:
    path = tmp_path / f"{ONE}.jsonl.__partial__"
    path.write_bytes(header(ONE) + chunk(0, "a"))
    shown = run("tail", ONE, "--dir", tmp_path, "-k", "user", "--show-cursor")
    token = shown.stderr.removeprefix("sessiontail: cursor: ").strip()
    with path.open("ab") as file:
        file.write(chunk(1, "b") + trailer(2))

    done = run("tail", ONE, "--dir", tmp_path, "-k", "user", "--cursor", token)

    assert (shown.stdout, done.stdout) == ("user        a\n", "user        b\n")


def test_it_ends_when_the_reader_of_its_pipe_goes_though_nothing_is_written(live: Path) -> None:
    tail = start("tail", "-f", ONE, "--dir", live.parent, "-n", "1")
    read_until(tail, b"first\n")

    assert tail.stdout is not None
    tail.stdout.close()
    code = tail.wait(100)

    assert tail.stderr is not None
    assert (code, tail.stderr.read()) == (0, b"")
    tail.stderr.close()


def test_it_waits_for_a_session_that_does_not_exist_yet(tmp_path: Path) -> None:
    tail = start("tail", "-f", ONE, "--dir", tmp_path, "--wait", "-k", "user")
    time.sleep(0)  # whichever comes first, the outcome is the same
    closed(tmp_path, ONE, "late")

    code, out, notes = end(tail)

    assert (code, out) == (0, b"user        late\n")
    assert notes.endswith(b"sessiontail: 4f2c0000 closed\n")


def test_without_an_id_every_running_session_is_followed_and_those_that_begin(live: Path) -> None:
    closed(live.parent, TWO, "over")
    crashed(live.parent, "4f2e0000-0000-4000-8000-000000000003")
    third = "4f2f0000-0000-4000-8000-000000000004"
    now = run("tail", "--dir", live.parent, "-n", "1")
    tail = start("tail", "-f", "--dir", live.parent, "-n", "1", "-o", "jsonl", "-k", "user")
    got = read_until(tail, b"\n")
    real_writer()("write", text="second")
    got += read_until(tail, b"\n")
    closed(live.parent, third, "new")
    got += read_until(tail, b"\n")
    real_writer()("close")
    assert tail.stderr is not None
    notes = b""
    while notes.count(b"closed") < 2:
        notes += tail.stderr.readline()

    tail.send_signal(signal.SIGINT)
    code, rest, _ = end(tail)

    records = [json.loads(line) for line in got.splitlines()]
    assert now.stdout == "4f2c0000 user        first\n"
    assert [(one["session_id"], one["payload"]["content"]) for one in records] == [
        (ONE, "first"),
        (ONE, "second"),
        (third, "new"),
    ]
    assert sorted(notes.splitlines()) == [
        b"sessiontail: 4f2c0000 closed",
        b"sessiontail: 4f2f0000 closed",
        b"sessiontail: watching 1 running session in " + os.fsencode(live.parent),
    ]
    assert (code, rest) == (130, b"")


def test_several_sessions_are_told_apart(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one\nmore")
    closed(tmp_path, TWO, "two")

    done = run("tail", "-f", ONE, TWO, "--dir", tmp_path, "-k", "user", "--stats")

    assert sorted(done.stdout.splitlines()) == [
        "4f2c0000             more",
        "4f2c0000 user        one",
        "4f2d0000 user        two",
    ]
    assert done.stderr.count("sessiontail: stats: events=") == 1


def test_sessions_whose_ids_begin_alike_are_told_apart(tmp_path: Path) -> None:
    twin = ONE[:-1] + "9"
    closed(tmp_path, ONE, "one")
    closed(tmp_path, twin, "two")

    done = run("tail", "-f", ONE, twin, "--dir", tmp_path, "-k", "user")

    assert sorted(done.stdout.splitlines()) == [f"{ONE} user        one", f"{twin} user        two"]


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--until-end",), "--until-end needs an ID: without one, it never ends"),
        (("-o", "raw"), "-o raw needs one ID"),
        (("-f", ONE, TWO, "-o", "raw"), "-o raw needs one ID"),
        ((ONE, TWO, "--show-cursor"), "a cursor needs one ID, or -f without any"),
        (("--cursor", "st1.a"), "a cursor needs one ID, or -f without any"),
        ((ONE, "--cursor", "a", "--cursor-file", "b"), "give --cursor or --cursor-file, not both"),
        (("-f", "-n", "+2"), "-n +N needs an ID"),
        ((ONE, "-g", "("), "invalid value for '-g' / '--grep': '(' is no regular expression: "),
        ((ONE, "--max-lines", "0"), "invalid value for '--max-lines': 0 is not in the range x>=1"),
        ((ONE, "--since", "1h"), "--state and --since choose sessions: give them or IDs, not both"),
        ((ONE, "--state", "live"), "--state and --since choose sessions: give them or IDs, not"),
        (
            ("-f", "--state", "live", "--cursor", "a"),
            "--state needs a start without a cursor: states change meanwhile",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], mistake: str
) -> None:
    done = run("tail", "--dir", tmp_path, *arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"sessiontail: {mistake}")
    assert done.stderr.endswith("; see 'sessiontail tail --help'\n")


def test_where_nothing_is_printed_it_says_why_and_fails(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    unmatched = run("tail", ONE, "--dir", tmp_path, "-g", "two")
    nothing = run("tail", ONE, "--dir", tmp_path, "-n", "0")
    followed = run("tail", "-f", ONE, "--dir", tmp_path, "-g", "two")

    assert (unmatched.returncode, unmatched.stderr) == (1, "sessiontail: no record matches\n")
    assert (nothing.returncode, nothing.stderr) == (1, "sessiontail: nothing to print\n")
    assert (followed.returncode, followed.stderr) == (0, "sessiontail: 4f2c0000 closed\n")


def test_raw_is_counted_from_the_begin_and_behind_a_cursor(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, *"abc")
    lines = path.read_bytes().splitlines(keepends=True)
    at = tmp_path / "at"

    for options in ((), ("-f",)):
        from_third = run("tail", ONE, "--dir", tmp_path, "-o", "raw", "-n", "+3", *options)
        users = run("tail", ONE, "--dir", tmp_path, "-o", "raw", "-n", "2", "-k", "user", *options)
        assert from_third.stdout.encode() == b"".join(lines[2:])
        assert users.stdout.encode() == b"".join(lines[2:4])
    run("tail", ONE, "--dir", tmp_path, "--cursor-file", at)
    again = run("tail", ONE, "--dir", tmp_path, "-o", "raw", "--cursor-file", at)

    assert (again.stdout, again.returncode) == ("", 1)


def test_interrupted_while_records_come_its_cursor_never_says_more_than_was_printed(
    tmp_path: Path,
) -> None:
    at = tmp_path / "at"
    path = tmp_path / f"{ONE}.jsonl.__partial__"
    arguments = ("tail", "-f", ONE, "--dir", tmp_path, "-o", "raw", "--cursor-file", at)
    path.write_bytes(header(ONE) + b"".join(chunk(i, "x" * 1000) for i in range(3000)))
    got = b""
    for length in (1, 400_000, 1_500_000):
        # Its pipe is full most of the time: it is interrupted in the midst of printing.
        tail = start(*arguments, "-n", "all")
        printed = b""
        assert tail.stdout is not None
        while len(printed) < length:
            data = os.read(tail.stdout.fileno(), 65536)
            assert data
            printed += data
        tail.send_signal(signal.SIGINT)
        code, rest, _ = end(tail)
        assert code == 130
        printed += rest
        data = path.read_bytes()
        # What was printed and is not in the cursor comes again, from the begin of a line.
        begin = data.index(printed[:1100])
        assert begin <= len(got)
        got = max(got, data[:begin] + printed, key=len)
        assert data.startswith(got)
        position = Position.decode(at.read_text().strip()).offset if at.exists() else 0
        assert position <= len(got)

    assert len(got) > 1_500_000


def test_counters_are_told_at_the_end_where_they_were_asked_for(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    asked = run("tail", ONE, "--dir", tmp_path, "--stats")
    not_asked = run("tail", ONE, "--dir", tmp_path)

    assert asked.stderr.startswith("sessiontail: stats: ")
    assert " records=3" in asked.stderr
    assert not_asked.stderr == ""
    assert asked.stdout == not_asked.stdout
