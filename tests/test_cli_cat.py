"""``sessiontail cat`` on real files: every form, damage in its place, and what a crash left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from chats import FIRST, Chats, rows
from commands import (
    ONE,
    TORN,
    TWO,
    chunk,
    closed,
    command,
    crashed,
    header,
    json_lines,
    run,
    run_apart,
)
from samples import chunk_line


def test_cat_shows_damage_where_it_is_and_strict_stops_there_with_3(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + chunk(0, "a") + b"{broken}\n" + chunk(1, "b") + TORN)
    offset = len(header(ONE) + chunk(0, "a"))

    lenient = run("cat", path)
    strict = run("cat", path, "--strict")

    assert (lenient.returncode, lenient.stderr) == (0, "")
    assert lenient.stdout == (
        f"header      {ONE}  run/op_create  created 2026-01-02 00:00:00Z\n"
        "user        a\n"
        f"damage      line 3 (byte {offset}), 9 bytes: invalid JSON: Expecting property name "
        "enclosed in double quotes (column 2)\n"
        "            {broken}\n"
        "user        b\n"
        f"torn        {len(TORN)} bytes after the last whole line, no record:\n"
        '            {"record_type": "chunk", "index": 1, "kind": "user", '
        '"payload": {"content": "\\xe5\n'
    )
    assert strict.returncode == 3
    assert strict.stdout.endswith("user        a\n")
    assert strict.stderr == (
        f"sessiontail: {path}:3 (byte {offset}): invalid JSON: Expecting property name "
        "enclosed in double quotes (column 2)\n"
    )


def test_a_time_at_the_end_of_the_calendar_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE, "0001-01-01T00:00:00+23:59") + chunk(0, "a"))

    done = run("cat", path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        f"header      {ONE}  run/op_create  created 0001-01-01 00:00:00+23:59\n"
    )


def test_messages_that_end_at_damage_are_an_array_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + chunk(0, "a") + b"{broken}\n" + chunk(1, "b"))

    strict = run("cat", path, "--strict", "-o", "messages")

    assert strict.returncode == 3
    assert json.loads(strict.stdout) == [{"role": "user", "content": "a"}]


def test_raw_is_the_whole_lines_of_the_file_byte_for_byte(tmp_path: Path) -> None:
    lines = (
        header(ONE)
        + b"\r\n\n"
        + chunk(0, "a\u2028")
        + b"\xff\n"
        + chunk(1, "b" * 300_000)
        + b"\n\n"
    )
    path = tmp_path / "run.jsonl"
    path.write_bytes(lines + TORN)

    done = subprocess.run(
        command("cat", path, "-o", "raw"), capture_output=True, timeout=100, check=True
    )

    assert done.stdout == lines


def test_what_is_no_utf8_and_no_json_number_is_printed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    odd = b'{"record_type": "chunk", "index": 0, "kind": "user", "payload": {"content": "\\ud800", "x": NaN}}\n'
    path.write_bytes(header(ONE) + odd)

    as_text = run("cat", path, "-k", "user")
    as_json = run("cat", path, "-k", "user", "-o", "jsonl")
    as_messages = run("cat", path, "-o", "messages")

    assert (as_text.stdout, as_text.stderr) == ("user        \\ud800\n", "")
    whose = f'{{"schema": 1, "session_id": "{ONE}", '.encode()
    assert as_json.stdout.encode() == odd.replace(b"{", whose, 1)
    assert json.loads(as_messages.stdout) == [{"role": "user", "content": "\ud800"}]


def test_payloads_nested_as_deep_as_they_are_taken_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    deep = b"[" * 950 + b"]" * 950
    line = (
        b'{"record_type": "chunk", "index": 0, "kind": "user", "payload": {"content": %s}}\n' % deep
    )
    path.write_bytes(header(ONE) + line)

    # How deep depends on the stack that is used up already.
    as_json = run_apart("cat", path, "-n", "1", "-o", "jsonl")
    as_text = run_apart("cat", path)

    whose = f'{{"schema": 1, "session_id": "{ONE}", '.encode()
    assert as_json.stdout.encode() == line.replace(b"{", whose, 1)
    assert (as_text.returncode, as_text.stderr) == (0, "")


def test_the_last_of_a_kind_are_printed_in_every_form(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, *"abcd")
    lines = path.read_bytes().splitlines(keepends=True)
    asked = ("cat", path, "-k", "user", "-n", "2")

    assert run(*asked).stdout == "user        c\nuser        d\n"
    assert run(*asked, "-o", "raw").stdout.encode() == b"".join(lines[3:5])
    assert [one["index"] for one in json_lines(run(*asked, "-o", "jsonl"))] == [2, 3]
    assert [one["content"] for one in json.loads(run(*asked, "-o", "messages").stdout)] == [*"cd"]


def test_of_a_kind_that_is_not_there_nothing_is_printed_and_that_is_told(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "a")

    text = run("cat", path, "-k", "system")
    messages = run("cat", path, "-k", "system", "-o", "messages")

    assert (text.returncode, text.stdout) == (1, "")
    assert text.stderr == f"sessiontail: {path.name}: nothing to print\n"
    assert (messages.returncode, json.loads(messages.stdout)) == (1, [])


def test_strict_stops_at_damage_that_no_window_shows(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(header(ONE) + b"{broken}\n" + chunk(0, "a") + chunk(1, "b"))

    for options in (("-n", "1"), ("-k", "user"), ("-n", "+4")):
        strict = run("cat", path, "--strict", *options)
        assert (strict.returncode, strict.stdout) == (3, "")
        assert run("cat", path, *options).returncode == 0


def test_several_are_printed_each_below_its_name(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    crashed(tmp_path, TWO)

    users = run("cat", "4f2c", "4f2d", "--dir", tmp_path, "-k", "user")
    whole = run("cat", ONE, TWO, "--dir", tmp_path)
    none = run("cat", ONE, TWO, "--dir", tmp_path, "-k", "system")

    assert (
        users.stdout == "==> 4f2c0000 <==\nuser        one\n==> 4f2d0000 <==\nuser        before\n"
    )
    assert users.stderr == (
        f"sessiontail: {len(TORN)} bytes after the last whole line, in 1 sessions, left out: "
        "no record\n"
    )
    assert whole.stdout.count("==>") == 2
    assert whole.stdout.splitlines()[-2].startswith(f"torn        {len(TORN)} bytes")
    assert (users.returncode, whole.returncode, whole.stderr) == (0, 0, "")
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr.endswith("sessiontail: nothing to print\n")


def test_ids_come_from_standard_input_where_one_is_a_dash(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    closed(tmp_path, TWO, "two")
    asked = ("cat", "--dir", tmp_path, "-k", "user")

    listed = json_lines(run("ls", "--dir", tmp_path, "--sort", "id", "-o", "jsonl"))
    given = "".join(f"{one['id']}\n" for one in listed).encode()
    both = run(*asked, "-", given=given)
    one = run(*asked, "-", given=b"\n  4f2d \r\n\n")
    nothing = run(*asked, "-", given=b"\n")

    assert both.stdout == "==> 4f2c0000 <==\nuser        one\n==> 4f2d0000 <==\nuser        two\n"
    assert one.stdout == "user        two\n"
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == (
        "sessiontail: no id on standard input: '-' reads them there, one a line\n"
    )


def test_one_that_is_not_found_keeps_no_other_from_being_printed(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")
    directory = tmp_path / "odd.jsonl"
    directory.mkdir()

    done = run("cat", "zz", directory, ONE, "--dir", tmp_path, "-o", "raw")

    assert done.returncode == 1
    assert done.stdout.encode() == path.read_bytes()
    assert done.stderr == (
        f"sessiontail: {tmp_path}: no session is called 'zz'; `sessiontail ls` lists them\n"
        f"sessiontail: {directory}: not a regular file\n"
    )


def test_of_several_raw_is_their_lines_json_says_whose_and_messages_are_refused(
    tmp_path: Path,
) -> None:
    paths = [closed(tmp_path, ONE, "one"), closed(tmp_path, TWO, "two")]
    asked = ("cat", ONE, TWO, "--dir", tmp_path)

    raw = run(*asked, "-o", "raw")
    array = json.loads(run(*asked, "-o", "json", "-k", "user").stdout)
    lines = json_lines(run(*asked, "-o", "jsonl", "-k", "user"))
    messages = run(*asked, "-o", "messages")

    assert raw.stdout.encode() == b"".join(path.read_bytes() for path in paths)
    assert array == lines
    assert [one["session_id"] for one in lines] == [ONE, TWO]
    assert (messages.returncode, messages.stdout) == (2, "")
    assert messages.stderr.startswith("sessiontail: -o messages needs one ID: run it once for each")


def test_a_torn_header_is_shown_and_told(tmp_path: Path) -> None:
    half, empty = (tmp_path / f"{one}.jsonl.__partial__" for one in (ONE, TWO))
    half.write_bytes(header(ONE)[:20])
    empty.touch()

    torn, nothing, strict = run("cat", half), run("cat", empty), run("cat", half, "--strict")
    told = (
        f"{half.name}: torn header: it is being created, or its writer died within the first line"
    )

    assert torn.stdout.startswith("torn        20 bytes after the last whole line, no record:\n")
    assert (torn.returncode, torn.stderr) == (1, f"sessiontail: {told}\n")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == (
        f"sessiontail: {empty.name}: empty: it is being created, or its writer died first\n"
    )
    assert (strict.returncode, strict.stderr) == (3, f"sessiontail: {tmp_path}/{told}\n")
    listed = run("ls", "--dir", tmp_path).stderr
    assert "2 files skipped: 1 x " in listed
    assert "torn header: it is being created" in listed


@pytest.fixture
def turn(tmp_path: Path) -> Path:
    """A turn that begins with the four rows of the one before."""
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST[:2]))
    return chats.write(2, rows(*FIRST))


def test_rows_of_an_earlier_session_are_left_out_and_that_is_told(turn: Path) -> None:
    done = run("cat", turn)

    assert done.stdout.splitlines()[1:4] == [
        "            child of 00000000",
        "            4 rows from 00000000; --inherited shows them",
        "user        and",
    ]
    assert done.stderr == ""


@pytest.mark.parametrize("chosen", [("-k", "user"), ("-g", "and")])
def test_among_what_was_chosen_nothing_stands_but_that(turn: Path, chosen: tuple[str, str]) -> None:
    done = run("cat", turn, *chosen)

    assert done.stdout == "user        and\n"
    assert done.stderr == "sessiontail: 4 rows from 00000000; --inherited shows them\n"


def test_of_several_each_says_it_below_its_name(turn: Path) -> None:
    done = run("cat", turn, turn.with_name(turn.name.replace("2.jsonl", "1.jsonl")), "-n", "3")
    lines = run(
        "cat", turn.with_name(turn.name.replace("2.jsonl", "1.jsonl")), turn
    ).stdout.splitlines()

    assert done.stdout.splitlines()[0].startswith("==> ")
    at = next(i for i, line in enumerate(lines) if "--inherited" in line)
    assert (
        [line for line in lines[:at] if line.startswith("==>")][-1].split()[1].startswith(turn.name)
    )


def test_they_are_shown_where_that_is_asked_for(turn: Path) -> None:
    done = run("cat", turn, "--inherited", "-k", "user")

    assert [line.split()[1] for line in done.stdout.splitlines()] == ["hello", "more", "and"]


def test_of_a_part_that_begins_behind_them_nothing_is_told(turn: Path) -> None:
    assert run("cat", turn, "-n", "2").stdout.splitlines()[0] == "assistant   No."
    assert run("cat", turn, "-n", "+3").stdout.splitlines()[0] == "assistant   No."


def test_objects_leave_them_out_and_standard_error_tells(turn: Path) -> None:
    done = run("cat", turn, "-o", "jsonl", "-k", "user")

    assert [one["payload"] for one in json_lines(done)] == [{"content": "and"}]
    assert done.stderr == "sessiontail: 4 rows from 00000000; --inherited shows them\n"


def test_a_copy_and_a_model_get_all(turn: Path) -> None:
    assert run("cat", turn, "-o", "raw").stdout.encode() == turn.read_bytes()
    assert len(json.loads(run("cat", turn, "-o", "messages").stdout)) == 6


def test_of_one_row_one_is_told(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, chunk_line(0, "Yes.", "assistant"))
    turn = chats.write(2, chunk_line(0, "Yes.", "assistant") + chunk_line(1, "and"))

    assert "1 row from 00000000; --inherited shows it" in run("cat", turn).stdout


def test_a_session_without_rows_of_its_own_says_so(tmp_path: Path) -> None:
    chats = Chats(tmp_path)
    chats.write(1, rows(*FIRST))
    turn = chats.write(2, rows(*FIRST), closed=False)

    assert run("cat", turn, "-n", "all").stdout.splitlines()[-1].split()[0] == "6"
