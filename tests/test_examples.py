"""The programs in ``examples`` run, as they stand, on sessions of the real writer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rath.session.session import Session

from agents import Agent, calls, says
from commands import ONE, TWO, closed
from samples import ID
from writers import real_writer

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAMS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def program(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program(name, *arguments), capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where openrath's own loop writes, in this process and in those of the examples."""
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    return tmp_path / "sessions"


def agent_and_session(*replies: Any) -> tuple[Agent, Session]:
    agent = Agent(replies)
    session = agent.start(Session.from_user_message("Rain?"), Session.from_agent_prompt("Short."))
    return agent, session


def test_there_are_four() -> None:
    assert PROGRAMS == ["cost_report", "live_endpoint", "nightly_prune", "supervisor"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_says_what_it_is(name: str) -> None:
    done = run(name, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "--dir" in done.stdout


def test_the_supervisor_waits_for_the_answer_and_not_for_a_call(sessions: Path) -> None:
    agent, session = agent_and_session(calls(city="Zürich"), says("No rain."))
    with subprocess.Popen(
        program("supervisor", str(session.id)), stdout=subprocess.PIPE, text=True
    ) as supervisor:
        agent.step()
        agent.step()
        out, _ = supervisor.communicate(timeout=100)
    session.synchronize()

    assert (supervisor.returncode, out) == (0, "No rain.\n")


def test_the_supervisor_says_why_there_is_no_answer(tmp_path: Path) -> None:
    writer = real_writer()
    writer.session(tmp_path, ID, ["Rain?"])

    ended = run("supervisor", str(ID), "--dir", tmp_path)
    late = run("supervisor", TWO, "--dir", tmp_path, "--timeout", "0.1")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the session ended (closed) without that record" in ended.stderr
    assert (late.returncode, late.stderr) == (1, f"{TWO} has not answered within 0.1 s\n")


def test_the_nightly_prune_deletes_what_is_old_and_not_what_is_written(live: Path) -> None:
    old = closed(live.parent, TWO, "old")
    given = ("--dir", live.parent, "--keep", "0", "--days")

    young = run("nightly_prune", *given, "99999")
    dry = run("nightly_prune", *given, "0", "--dry-run")
    there = old.exists()
    size = old.stat().st_size
    done = run("nightly_prune", *given, "0")

    assert young.stdout == "sessions deleted: 0, 0 bytes\n"
    shown = f"{TWO}  2026-01-02  {size} bytes  older than 0:00:00\n"
    assert dry.stdout == f"{shown}sessions to delete: 1, {size} bytes\n"
    assert done.stdout == f"{shown}sessions deleted: 1, {size} bytes\n"
    assert (there, old.exists(), live.exists()) == (True, False, True)
    assert (young.stderr, dry.stderr, done.stderr) == ("", "", "")


def test_the_cost_report_tells_known_from_unknown(sessions: Path) -> None:
    for _ in range(2):
        agent, session = agent_and_session(says("No."))
        agent.step()
        session.synchronize()
    closed(sessions, ONE, "no count")

    done = run("cost_report", "--prompt", "2000", "--completion", "10000")

    today = datetime.now(UTC).date()
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "2026-01-02 1 sessions 0 + 0 tokens 0.0000 and 1 unknown",
        f"{today} 2 sessions 20 + 10 tokens 0.1400",
        "total 3 sessions 20 + 10 tokens 0.1400 and 1 unknown",
    ]
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def served(command: list[str], **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, and its address once it listens."""
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    ) as process:
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if found := re.search(r"running on (http://[\d.:]+)", line):
                break
        else:
            raise AssertionError(told)
        # What it says later must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield process, found[1]
        finally:
            process.kill()


def fastapi_app(directory: Path) -> tuple[list[str], dict[str, str]]:
    return program("live_endpoint", "--dir", directory, "--port", "0"), {}


def starlette_app(directory: Path) -> tuple[list[str], dict[str, str]]:
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "uvicorn", "starlette_endpoint:app", "--port", "0"]
    return command, {"PYTHONPATH": path, "SESSIONS": str(directory)}


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield server-sent events, their data parsed."""
    fields: dict[str, Any] = {}
    for line in lines:
        if not line:
            yield fields
            fields = {}
        else:
            name, _, value = line.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value
    assert fields == {}, "cut off"


@pytest.mark.parametrize("app", [fastapi_app, starlette_app])
def test_a_server_that_is_told_to_stop_ends_its_streams_and_the_next_one_goes_on(
    live: Path, app: Any
) -> None:
    command, env = app(live.parent)
    url = f"/sessions/{ID}"
    with served(command, **env) as (server, address):
        with httpx.stream("GET", address + url, timeout=60) as stream:
            got = events(stream.iter_lines())
            first = [next(got), next(got)]
            # The session is live: without the recipe the server waits until that ends.
            server.send_signal(signal.SIGTERM)
            rest = [*got]
        code = server.wait(60)
    real_writer()("write", text="second")
    with served(command, **env) as (server, address):
        again = {"Last-Event-ID": first[-1]["id"]}
        with httpx.stream("GET", address + url, headers=again, timeout=60) as stream:
            got = events(stream.iter_lines())
            resumed = next(got)
            real_writer()("close")
            ended = [*got]

    assert [one["data"]["record_type"] for one in first] == ["header", "chunk"]
    assert rest == [{"event": "end", "data": {"outcome": None}}]
    assert code == -signal.SIGTERM  # as uvicorn ends what was stopped in order
    assert resumed["data"]["payload"] == {"content": "second"}
    assert resumed["data"]["session_id"] == str(ID)
    assert [one["event"] for one in ended] == ["record", "end"]
    assert ended[-1]["data"] == {"outcome": "closed"}


def test_what_is_no_session_and_no_cursor_is_answered_in_words(live: Path) -> None:
    command, env = fastapi_app(live.parent)
    with served(command, **env) as (_, address):
        unknown, no_id = (httpx.get(f"{address}/sessions/{name}") for name in (TWO, "x"))
        no_cursor = httpx.get(f"{address}/sessions/{ID}", headers={"Last-Event-ID": "x"})

    answers = (unknown, no_id, no_cursor)
    assert [answer.status_code for answer in answers] == [404, 400, 400]
    assert not any(str(live.parent) in answer.text for answer in answers)
    assert "not a session id: 'x'" in no_id.json()["detail"]
