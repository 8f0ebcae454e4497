"""``sessiontail cat`` on real files: every form, damage in its place, and what a crash left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from commands import ONE, TORN, chunk, closed, command, header, json_lines, run, run_apart


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
