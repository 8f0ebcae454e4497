"""The command on real files: in this process, and in one of its own where that matters."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from sessiontail.cli.app import run as application

ONE = "4f2c0000-0000-4000-8000-000000000001"
TWO = "4f2d0000-0000-4000-8000-000000000002"
TORN = b'{"record_type": "chunk", "index": 1, "kind": "user", "payload": {"content": "\xe5'


def header(session_id: str, created_at: str = "2026-01-02T00:00:00+00:00") -> bytes:
    return (
        b'{"record_type": "header", "schema_version": 1, "id": "%s", "created_at": "%s", '
        b'"parent_session_ids": [], "lineage_operator": "run", "lineage_kind": "op_create"}\n'
    ) % (session_id.encode(), created_at.encode())


def chunk(index: int, content: str) -> bytes:
    return (
        b'{"record_type": "chunk", "index": %d, "kind": "user", "payload": {"content": %s}}\n'
        % (
            index,
            json.dumps(content).encode(),
        )
    )


def trailer(chunks: int) -> bytes:
    return (
        b'{"record_type": "trailer", "closed_at": "2026-01-02T00:01:00+00:00", '
        b'"final_chunk_count": %d, "cumulative_usage": null}\n'
    ) % chunks


def closed(directory: Path, session_id: str, *contents: str) -> Path:
    path = directory / f"{session_id}.jsonl"
    chunks = b"".join(chunk(i, content) for i, content in enumerate(contents))
    path.write_bytes(header(session_id) + chunks + trailer(len(contents)))
    return path


def crashed(directory: Path, session_id: str) -> Path:
    path = directory / f"{session_id}.jsonl.__partial__"
    path.write_bytes(header(session_id) + chunk(0, "before") + TORN)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "sessiontail", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in this process; return what a process of its own would."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        Path(os.devnull).open() as nothing,
        patch.object(sys, "stdin", nothing),
    ):
        code = application(list(map(str, arguments)))
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_apart(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
    )


def at_terminal(
    *arguments: str | Path, env: dict[str, str] | None = None, keys: bytes = b""
) -> tuple[int, bytes]:
    """Run the command with a terminal as stdout; return its exit code and what the terminal got.

    With ``keys``, the terminal is its stdin and stderr too, and these are typed at its question.
    """
    ours, theirs = pty.openpty()
    # A terminal interrupts those whose controlling terminal it is.
    controlled = ["setsid", "--ctty", "--wait"] if keys else []
    process = subprocess.Popen(
        [*controlled, *command(*arguments)],
        stdin=theirs if keys else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs if keys else subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **(env or {})},
    )
    os.close(theirs)
    got = b""
    while True:
        # What is typed before the question is read may be dropped: then it is typed again.
        if not select.select([ours], [], [], 0.5)[0]:
            if got.endswith(b"[y/N]: "):
                os.write(ours, keys)
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        got += data
    os.close(ours)
    return process.wait(30), got


def test_help_imports_neither_the_reader_nor_what_it_needs() -> None:
    code = (
        "import sys; sys.argv = ['sessiontail', '--help']\n"
        "from sessiontail.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "Usage: sessiontail" in done.stdout
    assert loaded & {"msgspec", "anyio", "aiofiles", "asyncio", "rich"} == set()
    assert "sessiontail.session.reading" not in done.stderr.split()


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(tmp_path: Path) -> None:
    closed(tmp_path, ONE)
    code = (
        "import sys; sys.modules[sys.argv[1]] = None; del sys.argv[1]\n"
        "sys.stdout.isatty = lambda: True\n"
        "from sessiontail.cli import main; sys.exit(main())"
    )

    for name in ("click", "rich"):
        done = subprocess.run(
            [sys.executable, "-c", code, name, "ls", "--dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert (done.returncode, done.stdout, done.stderr) == (
            2,
            "",
            "sessiontail: the command needs the extra `cli`: pip install 'sessiontail[cli]'\n",
        )


def test_every_command_teaches_with_examples() -> None:
    for name in ("ls", "cat", "tail", "rm", "prune", "demo"):
        done = run(name, "--help")

        assert (done.returncode, done.stderr) == (0, "")
        assert "Example" in done.stdout
        assert "Exit codes: 0 " in done.stdout


def test_a_usage_error_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    file = closed(tmp_path, ONE)
    mistakes = [
        (("frob",), "No such command 'frob'; see 'sessiontail --help'"),
        (("ls", "--frob"), "No such option '--frob'; see 'sessiontail ls --help'"),
        (("cat",), "Missing argument 'ID'; see 'sessiontail cat --help'"),
        (
            ("prune",),
            (
                "give a rule: --older-than, --keep-last, --max-size or --state; "
                "see 'sessiontail prune --help'"
            ),
        ),
        (("tail", ONE, "--wait"), "--wait needs -f; see 'sessiontail tail --help'"),
        (
            ("ls", "--dir", str(file)),
            (
                f"Invalid value for '--dir': {file} is no directory; give the one where sessions lie; "
                "see 'sessiontail ls --help'"
            ),
        ),
        (
            ("ls", "--since", "soon"),
            (
                "Invalid value for '--since': 'soon' is no time; write 2h, 3d, 2026-01-31 or "
                "2026-01-31T08:00; see 'sessiontail ls --help'"
            ),
        ),
    ]

    for arguments, message in mistakes:
        done = run(*arguments)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"sessiontail: {message}\n"


def test_an_id_may_be_shortened_until_it_is_ambiguous(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")
    closed(tmp_path, TWO, "two")

    exact = run("--dir", tmp_path, "cat", "4f2d", "-k", "user")
    ambiguous = run("cat", "4f2", "--dir", tmp_path)
    wrong = run("cat", "zz", "--dir", tmp_path)
    absent = run("cat", "zz", "--dir", tmp_path / "absent")
    undashed = run("cat", TWO.replace("-", "")[:12], "--dir", tmp_path, "-k", "user")

    assert undashed.stdout == exact.stdout
    assert (exact.stdout, exact.stderr) == ("user        two\n", "")
    assert (ambiguous.returncode, ambiguous.stderr) == (
        2,
        (
            f"sessiontail: '4f2' begins 2 ids, type more of one: {ONE}, {TWO}; "
            "see 'sessiontail cat --help'\n"
        ),
    )
    assert (wrong.returncode, wrong.stderr) == (
        1,
        f"sessiontail: {tmp_path}: no session is called 'zz'; `sessiontail ls` lists them\n",
    )
    assert (absent.returncode, absent.stderr) == (
        1,
        (
            f"sessiontail: {tmp_path}/absent: no such directory; "
            "give the one where sessions lie with --dir\n"
        ),
    )


def test_a_file_that_no_listing_shows_is_found_by_its_id_and_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{ONE}.jsonl"
    path.touch()

    strict = run("cat", "4f2c", "--strict", "--dir", tmp_path)
    tail = run("tail", ONE, "--dir", tmp_path)

    no_header = f"sessiontail: {path}: no header: not a session file\n"
    assert (strict.returncode, strict.stderr) == (3, no_header)
    assert (tail.returncode, tail.stderr) == (1, "sessiontail: nothing to print\n")
    assert run("rm", ONE, "--dir", tmp_path, "--yes").returncode == 0
    assert not path.exists()


def test_a_narrow_terminal_gets_every_column(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    _, wide = at_terminal("ls", "--dir", tmp_path)
    _, narrow = at_terminal("ls", "--dir", tmp_path, env={"COLUMNS": "30"})

    for word in (b"closed", b"CHUNKS", b"4f2c0000"):
        assert word in wide
        assert word in narrow


def test_a_question_that_gets_no_answer_deletes_nothing(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    end_of_file = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"\x04")
    interrupted = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"\x03")
    no = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"n\n")
    there = path.exists()
    yes = at_terminal("rm", ONE, "--dir", tmp_path, keys=b"y\n")

    assert (end_of_file[0], interrupted[0], no[0], yes[0]) == (1, 130, 1, 0)
    assert end_of_file[1].endswith(b"sessiontail: nothing was deleted\r\n")
    assert no[1].endswith(b"sessiontail: nothing was deleted\r\n")
    assert (there, path.exists()) == (True, False)


def test_ls_shows_unknown_tokens_as_unknown_and_counts_what_it_skipped(tmp_path: Path) -> None:
    one, two = closed(tmp_path, ONE, "one"), crashed(tmp_path, TWO)
    (tmp_path / "notes.jsonl").write_bytes(b"")

    done = run_apart("ls", "--dir", tmp_path, "--sort", "id", env={"TZ": "UTC"})
    listed = run("ls", "--dir", tmp_path, "--sort", "id", "-o", "jsonl")

    rows = [re.split(r" {2,}", line.strip()) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [[row[0], *row[2:]] for row in rows] == [
        ["STATE", "CHUNKS", "SIZE", "TOKENS", "ID", "LINEAGE"],
        ["closed", "1", str(one.stat().st_size) + " B", "?", "4f2c0000", "run/op_create"],
        ["abandoned", "1", str(two.stat().st_size) + " B", "?", "4f2d0000", "run/op_create"],
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


def json_lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


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
        command("cat", path, "-o", "raw"), capture_output=True, timeout=30, check=True
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
    assert as_json.stdout.encode() == odd
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

    assert as_json.stdout.encode() == line
    assert (as_text.returncode, as_text.stderr) == (0, "")


def test_windows_count_from_the_end_and_from_the_beginning(tmp_path: Path) -> None:
    closed(tmp_path, ONE, *"abcd")

    def texts(*options: str) -> list[str]:
        done = run(*options, "4f2c", "--dir", tmp_path, "-k", "user")
        return [line.split()[1] for line in done.stdout.splitlines()]

    assert texts("cat", "-n", "2") == ["c", "d"]
    assert texts("cat", "-n", "+2") == ["b", "c", "d"]
    assert texts("tail", "-n", "1") == ["d"]
    assert texts("tail", "-n", "all", "-g", "[ad]") == ["a", "d"]
    assert texts("tail", "-f", "-n", "+4") == ["d"]


def test_the_last_records_of_a_session_are_its_last_lines(tmp_path: Path) -> None:
    closed(tmp_path, ONE, *map(str, range(100)))

    done = run("tail", "4f2c", "--dir", tmp_path, "-n", "3")

    assert done.stdout == (
        "user        98\nuser        99\n"
        "trailer     closed 2026-01-02 00:01:00Z  100 chunks  tokens unknown\n"
    )


def test_a_session_s_escapes_never_reach_a_terminal(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "\x1b]0;owned\x07 \x9b31m \r gone\tkept\nnext")

    shown = at_terminal("cat", path, "-k", "user", env={"NO_COLOR": "1"})
    as_json = at_terminal("cat", path, "-k", "user", "-o", "jsonl")
    piped = run("cat", path, "-k", "user")

    assert shown == (
        0,
        b"user        \\x1b]0;owned\\x07 \\x9b31m \\x0d gone\tkept\r\n            next\r\n",
    )
    assert b"\x1b" not in as_json[1]
    assert json.loads(as_json[1])["payload"]["content"] == (
        "\x1b]0;owned\x07 \x9b31m \r gone\tkept\nnext"
    )
    assert "\x1b]0;owned" in piped.stdout


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "hello")

    unwanted = ({"NO_COLOR": "1"}, {"TERM": "dumb"})
    for arguments, env in zip((("cat", path), ("ls", "--dir", tmp_path)), unwanted, strict=True):
        coloured = at_terminal(*arguments)
        plain = at_terminal(*arguments, env=env)
        piped = run(*arguments)

        assert b"\x1b[3" in coloured[1] or b"\x1b[2m" in coloured[1]
        assert b"\x1b" not in plain[1] + piped.stdout.encode()


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, *(["x" * 1000] * 2000))
    shell = shutil.which("bash")
    assert shell is not None

    done = subprocess.run(
        [shell, "-c", 'set -o pipefail; "$@" | head -n 1', "bash", *command("cat", path)],
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"header      4f2c0000")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("cat", path), stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )

    assert done.returncode == 1
    assert done.stderr == b"sessiontail: cannot write: No space left on device\n"


def test_a_closed_output_is_one_line(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command("cat", path)],
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == b"sessiontail: standard output is closed: nowhere to write to\n"


def test_a_file_that_may_not_be_read_is_one_line() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = closed(Path(directory), ONE, "one")
        path.chmod(0)
        # As another user, once everything is imported: the interpreter may lie in root's home.
        code = (
            "import anyio, concurrent.futures.thread, os, sys\n"
            "import sessiontail.cli.app, sessiontail.cli.cat\n"
            "anyio.run(anyio.sleep, 0)\n"
            "os.getuid() or os.setuid(65534)\n"
            "from sessiontail.cli import main; sys.exit(main())"
        )

        done = subprocess.run(
            [sys.executable, "-c", code, "cat", str(path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"sessiontail: {path}: permission denied: look at its owner and mode\n"
