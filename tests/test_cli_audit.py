"""``sessiontail audit``: its forms, its files, its exit codes, and what is refused before a byte is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import (
    ONE,
    TWO,
    at_terminal,
    closed,
    command,
    crashed,
    end,
    json_lines,
    run,
    run_apart,
    start,
)
from pages import Page
from sessiontail.cli import progress


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONTAIL_CACHE", str(tmp_path_factory.mktemp("cache") / "cache.sqlite"))


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """One that was closed, one that crashed with a torn line, and one that is damaged."""
    directory = tmp_path / "sessions"
    directory.mkdir()
    closed(directory, ONE, "one", "two")
    crashed(directory, TWO)
    (directory / "bad.jsonl").write_bytes(b"no json\n")
    return directory


def test_people_get_the_worst_sessions_and_what_there_is_in_all(sessions: Path) -> None:
    done = run("audit", sessions, "-n", "2")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.split()[0] for line in lines[:3]] == ["WORST", "error", "warning"]
    assert lines[4:7] == [
        "sessions  3: 1 closed, 2 abandoned; 2 conversations",
        "size      896 B, 78 B of it torn",
        "rows      3; 3 user",
    ]
    assert "tokens    ?" in lines
    assert done.stderr.splitlines() == [
        "sessiontail: 1 more session; -n 3 shows all",
        f"sessiontail: lines and messages: `sessiontail audit {sessions} -o jsonl`",
        f"sessiontail: a clean copy: `sessiontail repair ID --dir {sessions} --to FILE`",
    ]
    assert run("audit", sessions, "-o", "csv").stderr == ""
    assert "sessiontail repair" in run("audit", "--help").stdout


def test_the_directory_is_said_in_either_way_but_once(sessions: Path) -> None:
    assert run("audit", "--dir", sessions, "-o", "jsonl").stdout == (
        run("audit", sessions, "-o", "jsonl").stdout
    )
    assert run("audit", sessions.parent, "-o", "csv", "-n", "0").stderr == (
        f"sessiontail: {sessions.parent}: the sessions lie in {sessions}\n"
    )
    twice = run("audit", sessions, "--dir", sessions)
    assert (twice.returncode, twice.stdout) == (2, "")
    assert "DIR and --dir say the same: give one of them" in twice.stderr


@pytest.mark.parametrize(
    ("fail_on", "without", "code", "told"),
    [
        ("error", None, 1, "sessiontail: --fail-on error: 1 session\n"),
        ("warning", None, 1, "sessiontail: --fail-on warning: 2 sessions\n"),
        ("error", "bad.jsonl", 0, ""),
        ("warning", "bad.jsonl", 1, "sessiontail: --fail-on warning: 1 session\n"),
    ],
)
def test_findings_fail_a_build_if_they_are_bad_enough(
    sessions: Path, fail_on: str, without: str | None, code: int, told: str
) -> None:
    if without:
        (sessions / without).unlink()

    done = run("audit", sessions, "--fail-on", fail_on, "-o", "csv")

    assert (done.returncode, done.stderr) == (code, told)


def test_where_nothing_is_found_the_form_is_whole_and_the_exit_code_1(tmp_path: Path) -> None:
    done = run("audit", tmp_path, "-o", "json")
    table = run("audit", tmp_path)

    assert done.returncode == table.returncode == 1
    assert json.loads(done.stdout)["sessions"] == []
    assert table.stdout == ""
    assert (
        table.stderr
        == f"sessiontail: no sessions in {tmp_path}; name the directory where they lie\n"
    )


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet", "html"])
def test_a_file_has_the_form_that_its_name_says(
    sessions: Path, tmp_path: Path, ending: str
) -> None:
    to = tmp_path / f"audit.{ending}"

    done = run("audit", sessions, "--to", to)
    again = run("audit", sessions, "--to", to)
    forced = run("audit", sessions, "--to", to, "--force")

    data = to.read_bytes()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == forced.stderr == f"sessiontail: {to}: {len(data):,} bytes\n"
    assert (again.returncode, again.stderr) == (
        1,
        f"sessiontail: {to}: there is such a file; --force, or force=True, replaces it\n",
    )
    match ending:
        case "json":
            assert json.loads(data)["summary"]["sessions"] == 3
        case "jsonl" | "csv":
            assert data.count(b"\n") == 3 + (ending == "csv")
        case "parquet":
            assert data.startswith(b"PAR1")
        case _:
            assert Page(data.decode()).texts["h1"] == ["Audit of sessions"]
    assert {path.name for path in tmp_path.iterdir()} == {"sessions", to.name}


def test_filters_order_and_number_are_those_of_ls(sessions: Path) -> None:
    def ids(*options: str) -> list[object]:
        return [one["id"] for one in json_lines(run("audit", sessions, "-o", "jsonl", *options))]

    assert ids("--sort", "id", "-r") == [TWO, ONE, None]
    assert ids("--state", "abandoned", "--sort", "size", "-n", "1") == [TWO]
    assert ids("--since", "2026-01-01", "--sort", "id") == [ONE, TWO]
    assert ids("--until", "2026-01-01") == []


def test_a_query_is_answered_as_a_table_or_for_programs(sessions: Path) -> None:
    sql = "SELECT state, sum(own_rows) AS own FROM sessions GROUP BY ALL ORDER BY ALL"

    table = run("audit", sessions, "--sql", sql)
    lines = run("audit", sessions, "--sql", sql, "-o", "jsonl", "--state", "closed")

    assert table.stdout.splitlines() == ["state      own", "abandoned    1", "closed       2"]
    assert json_lines(lines) == [{"state": "closed", "own": 2}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sql", "SELEC 1"], '--sql: Parser Error: syntax error at or near "SELEC"'),
        (["--sql", "SELECT x FROM sessions"], '--sql: Binder Error: Referenced column "x" not'),
        (["--sql", "SELECT 1", "-o", "html"], "--sql has no -o html; take text, json, jsonl, csv"),
        (["--sql", "SELECT 1", "-n", "1"], "-n is of sessions; write LIMIT in the query"),
        (["--to", "x"], "--to x: say in which form, with -o json, jsonl, csv, parquet or html"),
        (["--to", "-"], "'-' is no file; leave out --to to print"),
        (
            ["-o", "text", "--to", "t.txt"],
            "-o text is for a terminal; --to takes -o json, jsonl, csv, parquet or html",
        ),
        (["--scheduler", "here"], "--scheduler here: give an address, such as tcp://host:8786"),
        (["--fail-on", "info"], "'info' is not one of 'warning', 'error'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_before_anything_is_read(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = run("audit", tmp_path / "nowhere", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "no such directory" not in done.stderr


def test_a_query_that_fails_only_on_what_is_there_is_one_line_too(sessions: Path) -> None:
    done = run("audit", sessions, "--sql", "SELECT state::INT FROM sessions")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sessiontail: --sql: Conversion Error: ")
    assert done.stderr.count("\n") == 1


def test_who_may_read_a_report_says_the_umask(sessions: Path, tmp_path: Path) -> None:
    to = tmp_path / "report.html"
    before = os.umask(0o027)
    try:
        run("audit", sessions, "--to", to)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)

    assert to.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("arguments", [["-o", "parquet"], ["--sql", "SELECT 1"]])
def test_without_duckdb_a_line_says_what_to_install(
    sessions: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    done = run("audit", sessions, *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "sessiontail: Parquet and SQL need duckdb: pip install duckdb\n",
    )


def test_parquet_is_not_written_to_a_terminal(sessions: Path) -> None:
    code, got = at_terminal("audit", sessions, "-o", "parquet", stderr=True)

    assert code == 2
    assert b"-o parquet is no text: add --to FILE, or lead it to a program" in got
    assert b"PAR1" not in got


@pytest.mark.parametrize("form", ["text", "parquet"])
def test_a_full_disk_is_one_line(sessions: Path, form: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("audit", sessions, "-o", form), stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (
        1,
        b"sessiontail: cannot write: No space left on device\n",
    )


def test_a_file_that_cannot_be_read_is_told_and_stops_nothing(sessions: Path) -> None:
    (sessions / f"{ONE[:-1]}9.jsonl").mkdir()

    done = run_apart("audit", sessions, "-o", "json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["summary"]["unreadable"] == 1
    assert told["summary"]["sessions"] == 4
    assert [one["rows"] for one in told["sessions"] if one["id"] == ONE] == [2]


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """The seconds that a process has computed."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def test_an_interrupt_ends_it_without_a_trace(sessions: Path) -> None:
    kept = Path(os.environ["SESSIONTAIL_CACHE"])
    endless = "SELECT sum(hash(range, id)) FROM range(100000000000), sessions"
    started = start("audit", sessions, "--sql", endless)
    until = time.monotonic() + 60
    begun_s: float | None = None
    # When the files are looked at, the rest takes no time to speak of, but for the query.
    while begun_s is None or cpu_s(started) < begun_s + 0.3:
        assert time.monotonic() < until
        begun_s = cpu_s(started) if begun_s is None and kept.exists() else begun_s
        time.sleep(0.02)

    started.send_signal(signal.SIGINT)

    assert end(started) == (130, b"", b"")


def test_when_all_is_read_it_says_what_is_done_then(
    sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    done = run("audit", sessions, "-o", "csv", watched=True)

    assert done.returncode == 0
    assert "comparing sessions" in done.stderr
