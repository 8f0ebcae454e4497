"""``sessiontail serve``: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import ONE, closed, command, run
from services import get
from sessiontail.service.server import listen


@contextmanager
def serving(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command("serve", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().removesuffix("\n")


def test_the_url_is_all_of_stdout_and_comes_when_it_is_answered(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "hello")
    token = "a&b=c"
    env = {"SESSIONTAIL_TOKEN": token}
    with serving("--dir", tmp_path, "--port", "0", env=env) as process:
        url = first_line(process)
        refused = get(f"{url}/api/sessions/{ONE}/events").status_code
        headers = {"Authorization": f"Bearer {token}"}
        answer = get(f"{url}/api/sessions/{ONE}/events", headers=headers)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (refused, answer.status_code, answer.text.count("\nid: ")) == (401, 200, 4)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == [
        f"sessiontail: serving the sessions of {tmp_path}",
        f"sessiontail: open {url}/?token=a%26b%3Dc in a browser; Ctrl-C stops",
    ]


def test_a_full_disk_is_one_line_and_nothing_is_served(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("serve", "--dir", tmp_path, "--port", "0"),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    said = b"sessiontail: cannot write: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_all_addresses_are_served_where_there_is_a_token(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--host", "0.0.0.0", "--token", "secret", "--allow-host", "box")
    with serving("--dir", tmp_path / "later", *arguments) as process:
        url = first_line(process)
        headers = {"Authorization": "Bearer secret"}
        answers = [
            get(f"{url}/api/sessions", headers={**headers, "Host": host}).status_code
            for host in ("192.0.2.1", "box", "elsewhere")
        ]
        process.terminate()
        _, err = process.communicate(timeout=60)

    assert (url.rpartition(":")[0], answers) == ("http://127.0.0.1", [200, 200, 421])
    assert process.returncode == 0
    port = url.rpartition(":")[2]
    assert err.decode().splitlines() == [
        f"sessiontail: serving the sessions of {tmp_path / 'later'}, which is not there yet",
        f"sessiontail: open {url}/?token=secret in a browser; Ctrl-C stops",
        f"sessiontail: other machines reach it as http://{socket.gethostname()}:{port}",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_let_in_with_a_token_only(tmp_path: Path, host: str) -> None:
    done = run("serve", "--dir", tmp_path, "--port", "0", "--host", host)

    assert (done.returncode, done.stdout) == (2, "")
    begin, _, token = done.stderr.partition(";")[0].rpartition("=")
    assert begin == (
        f"sessiontail: --host {host} lets other machines in: give a token that they must know, for "
        "example SESSIONTAIL_TOKEN"
    )
    assert len(token) == 32


def test_a_port_that_is_taken_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        done = run("serve", "--dir", tmp_path, "--port", str(port))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sessiontail: cannot listen on 127.0.0.1:{port}: address already in use; "
        "give another --port, or --port 0 to have a free one picked\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "two words"], "a token is a word without spaces, and not empty"),
        (["--token", ""], "a token is a word without spaces, and not empty"),
        (["--allow-host", "http://box"], "--allow-host: no name of a host: 'http://box'; write it without a scheme and a port"),
        (["--port", "70000"], "invalid value for '--port': 70000 is not in the range 0<=x<=65535"),
        (["--demo"], "--demo brings its own sessions: leave --dir out"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run("serve", "--dir", tmp_path, "--port", "0", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"sessiontail: {said}")


def test_the_help_teaches_with_lines_to_type() -> None:
    done = run("serve", "--help")

    assert done.returncode == 0
    assert "curl -N http://127.0.0.1:8642/api/sessions/ID/events" in done.stdout
    assert "SESSIONTAIL_TOKEN=secret sessiontail serve --host 0.0.0.0" in done.stdout
