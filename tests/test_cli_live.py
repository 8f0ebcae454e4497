"""The command beside writers: tailing, interrupting, resuming, deleting, the demo."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_cli import (
    ONE,
    TORN,
    TWO,
    chunk,
    closed,
    command,
    crashed,
    header,
    run,
    run_apart,
    trailer,
)
from writers import real_writer


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    """Read stdout until it ends with ``wanted``."""
    assert process.stdout is not None
    got = b""
    until = time.monotonic() + 60
    while not got.endswith(wanted):
        left = max(0.0, until - time.monotonic())
        assert select.select([process.stdout], [], [], left)[0], got
        data = os.read(process.stdout.fileno(), 65536)
        assert data, got
        got += data
    return got


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """Wait for the process; return its exit code and what was left of its output."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A session that openrath's own writer holds open, with one record."""
    writer = real_writer()
    writer("open", home=tmp_path, session_id=ONE)
    writer("write", text="first")
    path = tmp_path / f"{ONE}.jsonl.__partial__"
    yield path
    if path.exists():
        writer("abandon")


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
    code = tail.wait(20)

    assert tail.stderr is not None
    assert (code, tail.stderr.read()) == (0, b"")
    tail.stderr.close()


def test_it_waits_for_a_session_that_does_not_exist_yet(tmp_path: Path) -> None:
    tail = start("tail", "-f", ONE, "--dir", tmp_path, "--wait", "-k", "user")
    time.sleep(0)  # whichever comes first, the outcome is the same
    closed(tmp_path, ONE, "late")

    code, out, notes = end(tail)

    assert (code, out, notes) == (0, b"user        late\n", b"sessiontail: 4f2c0000 closed\n")


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


def test_prune_tells_what_it_cannot_count(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.jsonl").write_text("garbage\n")

    done = run("prune", "--dir", tmp_path, "--max-size", "0")

    assert done.stderr.startswith("sessiontail: 1 file skipped: 1 x ")


def test_prune_without_yes_shows_the_plan_and_deletes_nothing(live: Path) -> None:
    old = closed(live.parent, TWO, "old")

    shown = run("prune", "--dir", live.parent, "--older-than", "1d")
    as_json = run("prune", "--dir", live.parent, "--older-than", "1d", "-o", "json")
    there = (old.exists(), live.exists())
    done = run("prune", "--dir", live.parent, "--older-than", "1d", "--yes")
    again = run("prune", "--dir", live.parent, "--older-than", "1d")

    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"goes: 1 session, {run_size(as_json)} B, oldest ")
    assert lines[1].startswith("  older than 1 day: 1 session, ")
    assert lines[2].startswith("stays: 1 session, ")
    assert lines[3].startswith("  live: 1 session, ")
    assert shown.stderr == "sessiontail: nothing was deleted: add --yes to do it\n"
    assert (shown.returncode, as_json.returncode, there) == (1, 1, (True, True))
    assert json.loads(as_json.stdout)["applied"] is False
    assert (done.returncode, old.exists(), live.exists()) == (0, False, True)
    assert (again.returncode, again.stderr) == (0, "sessiontail: nothing to delete\n")


def run_size(done: subprocess.CompletedProcess[str]) -> int:
    size: int = json.loads(done.stdout)["bytes_to_free"]
    return size


def test_rm_refuses_a_live_session_and_deletes_the_rest_only_with_yes(live: Path) -> None:
    other = closed(live.parent, TWO, "other")

    asked = run("rm", TWO, "--dir", live.parent)
    there = other.exists()
    done = run("rm", "4f2c", "4f2d", "zz", "--dir", live.parent, "--yes", "-o", "json")

    assert (asked.returncode, there) == (1, True)
    assert asked.stderr == "sessiontail: nothing was deleted: add --yes to do it\n"
    assert (done.returncode, live.exists(), other.exists()) == (1, True, False)
    assert json.loads(done.stdout) == {"found": [TWO], "files": [str(other)], "deleted": [TWO]}
    assert done.stderr == (
        f"sessiontail: {live}: process {real_writer().pid} is writing it; it is kept\n"
        f"sessiontail: {live.parent}: no session is called 'zz'; `sessiontail ls` lists them\n"
        "sessiontail: 1 session deleted\n"
    )


def test_a_second_rm_of_an_id_keeps_the_copy_that_was_exported_beside_it(tmp_path: Path) -> None:
    original = closed(tmp_path, ONE, "one")
    export = tmp_path / "export.jsonl"
    export.write_bytes(original.read_bytes())

    first, second = (run("rm", ONE, "--dir", tmp_path, "--yes") for _ in range(2))
    there = (original.exists(), export.exists())
    by_name = run("rm", "export", "--dir", tmp_path, "--yes")

    assert first.stdout.splitlines()[-1] == f"goes: {original}"
    assert (first.returncode, second.returncode, there) == (0, 1, (False, True))
    assert second.stderr == (
        f"sessiontail: {export}: has that id and another name; it is kept: "
        "give its path to delete it\n"
    )
    assert by_name.stdout.splitlines()[-1] == f"goes: {export}"
    assert (by_name.returncode, export.exists()) == (0, False)


def test_rm_shows_both_files_of_a_reopened_session_and_deletes_both(tmp_path: Path) -> None:
    final, wal = closed(tmp_path, ONE, "one"), crashed(tmp_path, ONE)

    done = run("rm", ONE, "--dir", tmp_path, "--yes")

    assert done.stdout.splitlines()[-2:] == [f"goes: {wal}", f"goes: {final}"]
    assert (done.returncode, final.exists(), wal.exists()) == (0, False, False)


def test_what_a_killed_deletion_left_is_told_and_put_right(tmp_path: Path) -> None:
    final = closed(tmp_path, ONE, "one")
    aside = tmp_path / f".{final.name}.deleting"
    told = f"put aside by a deletion that did not end; the next prune gives it its name back ({final.name}), or deleting it does"

    final.rename(aside)
    shown = [run("ls", "--dir", tmp_path), run("prune", "--dir", tmp_path, "--older-than", "1d")]
    pruned = run("prune", "--dir", tmp_path, "--older-than", "1d", "--yes")
    back = final.exists()
    final.rename(aside)
    removed = run("rm", ONE, "--dir", tmp_path, "--yes")

    for done in shown:
        assert f"1 file skipped: 1 x {told} ({aside.name})" in done.stderr
    assert shown[1].returncode == 1
    assert f"sessiontail: {aside.name} has its name back: {final.name}\n" in pruned.stderr
    assert (pruned.returncode, back) == (0, True)
    assert removed.stdout == f"goes: {aside}\n"
    assert (removed.returncode, list(tmp_path.iterdir())) == (0, [])


def test_rm_deletes_no_file_that_is_no_session(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("dear\n")
    damaged = tmp_path / "old.jsonl"
    damaged.write_text("garbage\n")

    refused = run("rm", letter, "--yes")
    done = run("rm", damaged, "--yes")

    assert (refused.returncode, letter.exists()) == (1, True)
    assert (done.returncode, damaged.exists()) == (0, False)


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


def test_an_interrupted_demo_says_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    while b"assistant" not in process.stdout.readline():
        pass
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    code, _, notes = end(process)

    assert (code, notes) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_shows_a_crash_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_apart("demo", env={"TMPDIR": str(tmp_path)})

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert done.stdout.count(" ended: closed") == 3
    assert done.stdout.count(" ended: abandoned, 89 bytes of a line are left") == 1
    assert done.stdout.rstrip().count("根据\\xe5") == 1
    states = [line.split()[0] for line in done.stdout.splitlines() if "/op_" in line][-5:-1]
    assert sorted(states) == ["closed", "closed", "closed", "unknown"]
